"""What goes from a store, and what stays."""

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

import recsys.store.prune
from recsys.errors import BadSettings
from recsys.store.artifacts import MANIFEST, Manifest, lock_of
from recsys.store.fingerprint import Fingerprint
from recsys.store.prune import MIN_AGE, Pruned, prune
from recsys.store.store import Facts, Store

MONTH = 30 * 86_400.0


def fingerprint(name: str) -> Fingerprint:
    return Fingerprint(task="encode", layer="codes", inputs={}, settings={"name": name}, code={}, versions={})


def build(folder: Path) -> Facts:
    (folder / "a.txt").write_text("alpha")
    return {}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def made(store: Store, name: str, days_ago: float) -> Manifest:
    """Make an artefact with its record, last used some days ago."""
    manifest = store.make(fingerprint(name), build)
    for records in ("results/keys", "results/values"):
        (store.root / records).mkdir(parents=True, exist_ok=True)
        (store.root / records / manifest["key"]).write_text("{}")
    age(store.root / "codes" / manifest["key"] / MANIFEST, days_ago)
    return manifest


def unfinished(store: Store, key: str, days_ago: float) -> Path:
    """Leave a checkpoint of a training, last written some days ago."""
    folder = store.root / "checkpoints" / key
    epoch = folder / "epoch-00001" / "state.json"
    epoch.parent.mkdir(parents=True)
    epoch.write_text("{}")
    age(epoch, days_ago)
    return folder


def age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * 86_400,) * 2)


def test_what_was_not_used_goes_with_its_record_and_the_rest_stays(store: Store) -> None:
    old, new = made(store, "old", 31), made(store, "new", 29)
    pruned = prune(store.root, MONTH)
    assert (pruned.artefacts, pruned.checkpoints, pruned.busy) == (1, 0, 0)
    assert pruned.bytes > len("alpha")
    assert store.find(fingerprint("old")) is None
    assert store.find(fingerprint("new")) == new
    for records in ("results/keys", "results/values"):
        assert [path.name for path in (store.root / records).iterdir()] == [new["key"]]
    assert not (store.root / "codes" / old["key"]).exists()
    assert not list((store.root / "codes").glob(".*"))


def test_use_keeps(store: Store) -> None:
    made(store, "old", 31)
    assert store.find(fingerprint("old"))
    assert prune(store.root, MONTH) == Pruned()


def test_a_dry_run_counts_and_removes_nothing(store: Store) -> None:
    made(store, "old", 31)
    unfinished(store, fingerprint("other").key, 31)
    store.note("unused", b"{}")
    age(store.root / "notes" / "unused.json", 31)
    before = sorted(store.root.rglob("*"))
    expected = prune(store.root, MONTH, only_count=True)
    assert sorted(store.root.rglob("*")) == before
    assert (expected.artefacts, expected.checkpoints) == (1, 1)
    assert prune(store.root, MONTH) == expected


def test_what_is_being_made_stays(store: Store) -> None:
    key = made(store, "old", 31)["key"]
    with FileLock(lock_of(store.root, f"codes/{key}")):
        assert prune(store.root, MONTH) == Pruned(busy=1)
    assert store.find(fingerprint("old"))


def test_an_interrupted_training_goes_by_its_newest_epoch_unless_it_goes_on(store: Store) -> None:
    old, new, busy = (fingerprint(name).key for name in ("old", "new", "busy"))
    for key, days in ((old, 31), (new, 1), (busy, 31)):
        unfinished(store, key, days)
    made(store, "any", 0)
    with FileLock(lock_of(store.root, f"models/{busy}")):
        pruned = prune(store.root, MONTH)
    assert (pruned.checkpoints, pruned.busy) == (1, 1)
    assert {path.name for path in (store.root / "checkpoints").iterdir()} == {new, busy}


def test_an_unfinished_repetition_goes_without_what_was_made_before(store: Store) -> None:
    key = made(store, "repeated", 1)["key"]
    unfinished(store, key, 31)
    assert prune(store.root, MONTH).checkpoints == 1
    assert (store.root / "results" / "keys" / key).exists()
    assert store.find(fingerprint("repeated"))


def test_notes_and_digests_go_unless_they_are_used(store: Store, tmp_path: Path) -> None:
    made(store, "any", 0)
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("1,2,3")
    age(ratings, 40)
    store.digest(ratings)
    store.note("used", b"{}")
    store.note("unused", b"{}")
    (digest,) = (store.root / "digests").iterdir()
    notes = [store.root / "notes" / f"{name}.json" for name in ("used", "unused")]
    for path in (digest, *notes):
        age(path, 31)
    assert store.digest(ratings)
    assert store.noted("used") == b"{}"
    assert prune(store.root, MONTH).bytes == len("{}")
    assert digest.exists()
    assert [path.exists() for path in notes] == [True, False]
    age(digest, 31)
    prune(store.root, MONTH)
    assert not digest.exists()


def test_records_of_an_artefact_that_is_gone_go_too(store: Store) -> None:
    key = made(store, "gone", 0)["key"]
    shutil.rmtree(store.root / "codes" / key)
    records = [store.root / "results" / kind / key for kind in ("keys", "values")]
    assert prune(store.root, MONTH) == Pruned()
    for record in records:
        age(record, 31)
    assert prune(store.root, MONTH) == Pruned(bytes=2 * len("{}"))
    assert not any(record.exists() for record in records)


def test_links_and_what_is_no_artefact_are_left_alone(store: Store, tmp_path: Path) -> None:
    made(store, "any", 0)
    elsewhere = tmp_path / "elsewhere" / "key"
    elsewhere.mkdir(parents=True)
    (elsewhere / MANIFEST).write_text("{}")
    age(elsewhere / MANIFEST, 31)
    (store.root / "codes" / "link").symlink_to(elsewhere)
    (store.root / "linked").symlink_to(elsewhere.parent)
    key = fingerprint("linked").key
    for kind in ("codes", "checkpoints"):
        (store.root / kind).mkdir(exist_ok=True)
        (store.root / kind / key).symlink_to(elsewhere)
    (store.root / "digests").symlink_to(elsewhere)
    folders = [store.root / "codes" / "model", store.root / "checkpoints" / "model"]
    mine = [elsewhere / "notes.json", *(folder / name for folder in folders for name in ("notes.txt", MANIFEST))]
    for file in mine:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
        age(file, 31)
    assert prune(store.root, MONTH) == Pruned()
    assert (elsewhere / MANIFEST).exists()
    assert all(file.exists() for file in mine)


def test_a_killed_pruning_leaves_nothing_that_is_taken_for_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, "old", 31)

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.store.prune.shutil.rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        prune(store.root, MONTH)
    monkeypatch.undo()
    assert store.find(fingerprint("old")) is None
    assert not list((store.root / "results" / "keys").iterdir())
    assert list((store.root / "codes").glob(".*"))
    assert prune(store.root, MONTH) == Pruned()
    assert not list((store.root / "codes").glob(".*"))


def test_two_prunings_at_once_remove_each_artefact_once(store: Store) -> None:
    many = 60
    for number in range(many):
        made(store, str(number), 31)
    with ThreadPoolExecutor(4) as pool:
        pruned = list(pool.map(lambda _: prune(store.root, MONTH), range(4)))
    assert sum(one.artefacts for one in pruned) == many
    assert not list((store.root / "codes").iterdir())


def test_what_is_used_just_before_the_lock_is_taken_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, "old", 31)

    def use_and_lock(path: Path) -> FileLock:
        assert store.find(fingerprint("old"))
        return FileLock(path)

    monkeypatch.setattr("recsys.store.prune.FileLock", use_and_lock)
    assert prune(store.root, MONTH) == Pruned()
    assert store.find(fingerprint("old"))


def test_a_training_that_changes_its_checkpoint_meanwhile_keeps_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(store, "any", 0)
    folder = unfinished(store, fingerprint("goes on").key, 31)

    def replaced(folder: Path) -> Iterator[Path]:
        for path in inside(folder):
            shutil.rmtree(path.parent)
            yield path

    inside = recsys.store.prune._inside
    monkeypatch.setattr("recsys.store.prune._inside", replaced)
    assert prune(store.root, MONTH) == Pruned()
    assert folder.exists()


def test_what_is_no_store_or_was_used_today_is_refused(store: Store, tmp_path: Path) -> None:
    made(store, "any", 0)
    with pytest.raises(BadSettings, match="is no store: give the folder"):
        prune(tmp_path, MONTH)
    with pytest.raises(BadSettings, match="Say 1d or more"):
        prune(store.root, MIN_AGE - 1)
