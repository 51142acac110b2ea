import errno
import os
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from recsys.errors import DamagedArtefact, NotEnoughMemory, StoreUnavailable
from recsys.store.artifacts import lock_of
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Facts, Manifest, Store, content, only, sha256_of


def fingerprint(task: str = "encode", **settings: object) -> Fingerprint:
    return Fingerprint(task=task, layer="codes", inputs={}, settings=settings, code={}, versions={})


def build(folder: Path) -> Facts:
    (folder / "a.txt").write_text("alpha")
    (folder / "deep").mkdir()
    (folder / "deep" / "b.txt").write_text("beta")
    return {"rows": 2}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_artefact_is_built_once(store: Store) -> None:
    built = []
    for _ in range(2):
        made = store.make(fingerprint(), lambda folder: built.append(folder) or build(folder))  # type: ignore[func-returns-value]
    assert len(built) == 1
    assert made["facts"] == {"rows": 2}
    assert {name: path.read_text() for name, path in store.files(made).items()} == {
        "a.txt": "alpha",
        "deep/b.txt": "beta",
    }


def test_refresh_builds_anew_and_replaces(store: Store) -> None:
    store.make(fingerprint(), build)
    made = store.make(fingerprint(), lambda folder: {"rows": (folder / "c.txt").write_text("new")}, refresh=True)
    assert [Path(entry["path"]).name for entry in made["files"]] == ["c.txt"]
    assert store.find(fingerprint()) == made


def test_other_settings_are_another_artefact(store: Store) -> None:
    assert store.make(fingerprint(dropout=0.2), build)["key"] != store.make(fingerprint(dropout=0.3), build)["key"]


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_text("alphA"), lambda path: path.write_text("")]
)
def test_a_damaged_file_is_found_and_made_anew(store: Store, damage: object) -> None:
    made = store.make(fingerprint(), build)
    path = store.path(made, "a.txt")
    damage(path)  # type: ignore[operator]
    with pytest.raises(DamagedArtefact, match=r"a\.txt"):
        store.verify(made)
    assert store.find(fingerprint()) is None
    assert store.path(store.make(fingerprint(), build), "a.txt").read_text() == "alpha"


def test_a_build_that_fails_leaves_nothing(store: Store) -> None:
    def fails(folder: Path) -> Facts:
        build(folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.make(fingerprint(), fails)
    assert list((store.root / "codes").iterdir()) == []
    assert store.find(fingerprint()) is None


def test_what_a_killed_writer_left_is_removed(store: Store) -> None:
    made = store.make(fingerprint(), build)
    leftover = store.root / "codes" / f".{made['key']}.new"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    store.make(fingerprint(), build, refresh=True)
    assert not leftover.exists()


def test_two_writers_of_one_key_do_the_work_once(store: Store) -> None:
    built = []

    def slow(folder: Path) -> Facts:
        built.append(folder)
        threading.Event().wait(0.2)
        return build(folder)

    results: list[Manifest] = []
    threads = [threading.Thread(target=lambda: results.append(store.make(fingerprint(), slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert all(result == results[0] for result in results)


def test_the_store_is_private(store: Store) -> None:
    store.make(fingerprint(), build)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_a_full_disk_is_one_sentence(store: Store) -> None:
    def full(folder: Path) -> Facts:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreUnavailable, match=r"cannot be written \(No space left on device\)"):
        store.make(fingerprint(), full)


def test_only_hides_the_other_files(store: Store) -> None:
    made = store.make(fingerprint(), build)
    assert content(only(made, "a.txt")).keys() == {"a.txt"}
    with pytest.raises(KeyError):
        store.path(only(made, "a.txt"), "b.txt")


def test_the_digest_of_an_input_is_remembered_until_it_changes(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("one")
    os.utime(path, (1, 1))
    first = store.digest(path)
    assert len(list((store.root / "digests").iterdir())) == 1
    assert store.digest(path) == first
    path.write_text("two")
    os.utime(path, (2, 2))
    assert store.digest(path) != first


def test_a_digest_is_not_remembered_of_a_file_that_has_just_changed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("one")
    store.digest(path)
    assert not (store.root / "digests").exists()


@pytest.mark.timeout(20)
def test_what_may_never_end_is_not_read_for_its_digest(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            store.digest(path)


def test_a_digest_that_cannot_be_noted_is_known_nevertheless(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "ratings.csv"
    path.write_text("one")
    os.utime(path, (1, 1))
    monkeypatch.setattr("recsys.store.store.write_atomically", fail)
    assert store.digest(path) == sha256_of(path)


def test_what_others_replace_and_remove_meanwhile_is_left_out_of_what_was_made(store: Store) -> None:
    store.make(fingerprint(), build)
    over = threading.Event()

    def replace_and_remove() -> None:
        while not over.is_set():
            made = store.make(fingerprint(part=1), build, refresh=True)
            shutil.rmtree(store.root / "codes" / made["key"])

    with ThreadPoolExecutor() as pool:
        busy = pool.submit(replace_and_remove)
        try:
            for _ in range(500):
                assert fingerprint() in store.fingerprints("codes")
        finally:
            over.set()
        busy.result()


@pytest.mark.parametrize("place", ["/proc/store", "a file"])
def test_a_place_that_cannot_hold_a_store_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        Store(tmp_path / place).make(fingerprint(), build)


@pytest.mark.parametrize("name", ["artefact.json", "made_from.json"])
def test_a_bit_that_flips_in_what_is_said_of_an_artefact_is_found(
    store: Store, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = store.make(fingerprint(), build)
    path = store.root / "codes" / made["key"] / name
    path.write_bytes(path.read_bytes().replace(b'"rows": 2', b'"rows": 3').replace(b'"encode"', b'"Encode"'))
    if name == "artefact.json":
        assert store.find(fingerprint()) is None
        assert "artefact.json has changed since it was written; it is made anew" in caplog.text
        assert store.make(fingerprint(), build)["facts"] == {"rows": 2}
    else:
        assert store.fingerprints("codes") == []


def test_what_vanishes_while_it_is_used_is_told_in_a_sentence(store: Store) -> None:
    made = store.make(fingerprint(), build)

    def read_what_is_lost(folder: Path) -> Facts:
        shutil.rmtree(store.root / "codes")
        return {"bytes": store.path(made, "a.txt").stat().st_size}

    def lose_everything(folder: Path) -> Facts:
        shutil.rmtree(store.root)
        return build(folder)

    def read_what_arrow_misses(folder: Path) -> Facts:
        return {"rows": pq.read_table(store.root / "codes" / "lost.parquet").num_rows}

    for building in (read_what_is_lost, lose_everything, read_what_arrow_misses):
        with pytest.raises(
            StoreUnavailable,
            match=r"is missing: the store .* was changed from outside while it was used; repeat the command",
        ):
            store.make(fingerprint(part=building.__name__), building)


def test_whoever_waits_for_another_maker_is_asked_whether_to_go_on(store: Store) -> None:
    class Enough(Exception):
        pass

    asked = []

    def waiting() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Enough

    store.make(fingerprint(), build)
    with FileLock(lock_of(store.root, f"codes/{fingerprint(other=1).key}")), pytest.raises(Enough):
        store.make(fingerprint(other=1), build, waiting=waiting)
    assert store.make(fingerprint(other=1), build, waiting=waiting)["facts"] == {"rows": 2}


def test_a_full_disk_is_told_though_numpy_does_not_say_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> Facts:
        raise OSError("4096 requested and 0 written")

    monkeypatch.setattr("recsys.store.store.shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.make(fingerprint(), fail)


class ResourceExhaustedError(Exception):
    """As TensorFlow has it."""


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 3 TiB"), ResourceExhaustedError("OOM\nstack")])
def test_memory_that_is_not_to_be_had_is_told_in_a_sentence(store: Store, error: Exception) -> None:
    def fail(folder: Path) -> Facts:
        raise error

    reason = str(error).partition("\n")[0]
    with pytest.raises(NotEnoughMemory, match=rf"^encode has run out of memory \({reason}\): give it more, or .*\.$"):
        store.make(fingerprint(), fail)
    assert not list((store.root / "codes").iterdir())
