"""What goes from a store, and what stays."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from recsys.artefacts import MANIFEST, Manifest, lock_of
from recsys.errors import BadSettings
from recsys.fingerprint import Fingerprint
from recsys.pruning import LEAST_AGE, Pruned, prune
from recsys.store import Facts, Store

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
    assert prune(store.root, MONTH, only_count=True).artefacts == 1
    assert prune(store.root, MONTH).artefacts == 1


def test_what_is_being_made_stays(store: Store) -> None:
    key = made(store, "old", 31)["key"]
    with FileLock(lock_of(store.root, f"codes/{key}")):
        assert prune(store.root, MONTH) == Pruned(busy=1)
    assert store.find(fingerprint("old"))


def test_an_interrupted_training_goes_by_its_newest_epoch_unless_it_goes_on(store: Store) -> None:
    for name, days in (("old", 31), ("new", 1), ("busy", 31)):
        epoch = store.root / "checkpoints" / name / "epoch-00001" / "state.json"
        epoch.parent.mkdir(parents=True)
        epoch.write_text("{}")
        age(epoch, days)
    made(store, "any", 0)
    with FileLock(lock_of(store.root, "models/busy")):
        pruned = prune(store.root, MONTH)
    assert (pruned.checkpoints, pruned.busy) == (1, 1)
    assert {path.name for path in (store.root / "checkpoints").iterdir()} == {"new", "busy"}


def test_links_and_what_is_no_artefact_are_left_alone(store: Store, tmp_path: Path) -> None:
    made(store, "any", 0)
    elsewhere = tmp_path / "elsewhere" / "key"
    elsewhere.mkdir(parents=True)
    (elsewhere / MANIFEST).write_text("{}")
    age(elsewhere / MANIFEST, 31)
    (store.root / "codes" / "link").symlink_to(elsewhere)
    (store.root / "linked").symlink_to(elsewhere.parent)
    other = store.root / "codes" / "notes.txt"
    other.write_text("mine")
    age(other, 31)
    assert prune(store.root, MONTH) == Pruned()
    assert (elsewhere / MANIFEST).exists()
    assert other.exists()


def test_a_killed_pruning_leaves_nothing_that_is_taken_for_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, "old", 31)

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.pruning.shutil.rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        prune(store.root, MONTH)
    monkeypatch.undo()
    assert store.find(fingerprint("old")) is None
    assert not list((store.root / "results" / "keys").iterdir())
    store.make(fingerprint("old"), build)
    assert not list((store.root / "codes").glob(".*"))


def test_what_is_no_store_or_was_used_today_is_refused(store: Store, tmp_path: Path) -> None:
    made(store, "any", 0)
    with pytest.raises(BadSettings, match="is no store: give the folder"):
        prune(tmp_path, MONTH)
    with pytest.raises(BadSettings, match="Say 1d or more"):
        prune(store.root, LEAST_AGE - 1)
