"""A store that machines share, each with a working copy of its own."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.store.fingerprint import Fingerprint
from recsys.store.remote import WORKING_COPIES, Remote
from recsys.store.store import Facts, Manifest, Store

Machine = Callable[[str], Store]


def fingerprint(**settings: object) -> Fingerprint:
    return Fingerprint(task="encode", layer="codes", inputs={}, settings=settings, code={}, versions={})


def build(folder: Path) -> Facts:
    (folder / "a.txt").write_text("alpha")
    (folder / "deep").mkdir()
    (folder / "deep" / "b.txt").write_text("beta")
    return {"rows": 2}


def no_build(folder: Path) -> Facts:
    raise AssertionError("it is built although it is there")


@pytest.fixture
def on(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that opens the store on a machine."""

    def open_on(machine: str) -> Store:
        monkeypatch.setenv(WORKING_COPIES, str(tmp_path / machine))
        return Store(memory)

    return open_on


def there(store: Store, made: Manifest, name: str) -> str:
    """Return the path of a file of an artefact in fsspec's memory."""
    return f"/bucket/store/codes/{made['key']}/{name}"


def test_another_machine_finds_what_one_has_made(on: Machine) -> None:
    made = on("one").make(fingerprint(), build)
    other = on("other")
    assert not other.root.exists()
    assert other.make(fingerprint(), no_build) == made
    assert {name: path.read_text() for name, path in other.files(made).items()} == {
        "a.txt": "alpha",
        "deep/b.txt": "beta",
    }
    assert all(path.is_relative_to(other.root) for path in other.files(made).values())
    assert [found.key for found in other.fingerprints("codes")] == [made["key"]]


def test_a_file_is_fetched_when_a_manifest_is_all_that_came(on: Machine) -> None:
    made = on("one").make(fingerprint(), build)
    assert on("other").path(made, "a.txt").read_text() == "alpha"


def test_checking_fetches_nothing(on: Machine) -> None:
    made = on("one").make(fingerprint(), build)
    other = on("other")
    assert other.manifest(fingerprint()) == made
    other.check(made)
    assert not (other.root / "codes").exists()
    MemoryFileSystem.store[there(other, made, "a.txt")].write(b"too long")
    with pytest.raises(DamagedArtefact, match="memory://bucket/store has lost a file of encode"):
        other.check(made)


@pytest.mark.parametrize("lost", ["artefact.json", "a.txt", "made_from.json"])
def test_what_a_killed_sender_left_is_no_artefact(on: Machine, lost: str) -> None:
    made = on("one").make(fingerprint(), build)
    other = on("other")
    del MemoryFileSystem.store[there(other, made, lost)]
    assert other.find(fingerprint()) is None
    assert list((other.root / "codes").glob("*")) == []
    assert other.make(fingerprint(), build)["files"] == made["files"]
    assert there(other, made, lost) in MemoryFileSystem.store


def test_the_manifest_is_sent_last_and_withdrawn_first(on: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def send(remote: Remote, files: dict[str, Path]) -> None:
        done.extend(sorted(files))

    def remove(remote: Remote, path: str) -> None:
        done.append(f"-{path}")

    monkeypatch.setattr(Remote, "send", send)
    monkeypatch.setattr(Remote, "remove", remove)
    key = on("one").make(fingerprint(), build)["key"]
    files = [f"codes/{key}/{name}" for name in ("a.txt", "deep/b.txt", "made_from.json")]
    assert done == [f"-codes/{key}/artefact.json", *files, f"codes/{key}/artefact.json"]


def test_a_file_that_was_changed_there_is_noticed_and_made_anew(on: Machine) -> None:
    made = on("one").make(fingerprint(), build)
    other = on("other")
    MemoryFileSystem.store[there(other, made, "a.txt")].write(b"alphA")
    with pytest.raises(DamagedArtefact, match=r"codes/\w+ is damaged \(a\.txt has changed"):
        other.verify(made)
    assert other.make(fingerprint(), build)["files"] == made["files"]
    assert on("third").path(made, "a.txt").read_text() == "alpha"


def test_a_file_that_was_changed_here_is_fetched_anew(on: Machine, caplog: pytest.LogCaptureFixture) -> None:
    store = on("one")
    made = store.make(fingerprint(), build)
    store.path(made, "a.txt").write_text("alphA")
    with caplog.at_level(logging.WARNING):
        assert store.make(fingerprint(), no_build) == made
    assert "a.txt has changed since it was written; it is fetched anew" in caplog.text
    assert store.path(made, "a.txt").read_text() == "alpha"


def test_what_could_not_be_sent_is_kept_and_sent_the_next_time(on: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the bucket")

    store = on("one")
    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "put", fail)
        with pytest.raises(StoreUnavailable, match=r"cannot be written \(no route to the bucket\)"):
            store.make(fingerprint(), build)
    assert on("other").find(fingerprint()) is None
    made = on("one").make(fingerprint(), no_build)
    assert on("other").find(fingerprint()) == made


def test_refreshing_replaces_what_others_see(on: Machine) -> None:
    on("one").make(fingerprint(), build)
    made = on("one").make(fingerprint(), lambda folder: {"rows": (folder / "a.txt").write_text("new")}, refresh=True)
    assert on("other").path(made, "a.txt").read_text() == "new"
    assert on("other").find(fingerprint()) == made


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "codes/k/../../../b.txt", "b.txt"])
def test_a_manifest_cannot_lead_out_of_the_store(on: Machine, path: str) -> None:
    made = on("one").make(fingerprint(), build)
    made["files"][0]["path"] = path
    name = f"codes/{made['key']}/artefact.json"
    other = on("other")
    assert other.shared is not None
    other.shared.remote.write(name, json.dumps(made).encode())
    assert other.find(fingerprint()) is None
    with pytest.raises(DamagedArtefact):
        other.shared.fetch(f"codes/{made['key']}")
