"""Answers that are noted are shown as long as nothing that they hang on has changed, and no longer."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import OutputSettings, Settings
from recsys.store.answers import Answer, answer_of, made_from, note_answer, noted_answer
from recsys.store.artifacts import MANIFEST, with_checksum, write_atomically
from recsys.store.remote import WORKING_COPIES
from recsys.store.run_history import append
from recsys.store.store import Manifest, Store
from tests.made_runs import past
from tests.recsys.store.test_store import build, fingerprint


@dataclass
class Place:
    """A folder with a store, a ratings file, a package of code, and a published report."""

    root: Path
    seed: int = 42

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def report(self) -> Path:
        return self.root / "reports" / "r-fair"

    def answer(self) -> Answer | None:
        """What is noted of the comparison as it is now."""
        return noted_answer(self.store, self._made_from())

    def note(self, manifest: Manifest) -> None:
        made = self._made_from()
        note_answer(self.store, answer_of(self.store, made, [manifest], self.report, tasks=7, columns="user is u"))

    def _made_from(self) -> dict[str, Any]:
        settings = Settings(seed=self.seed, output=OutputSettings(reports=str(self.root / "reports")))
        return made_from(self.store, settings, [self.root / "r.csv"], [self.root / "code"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One with a comparison that is noted."""
    place = Place(tmp_path)
    for name, content in {
        "r.csv": "u,i,5\n",
        "code/model.py": "x = 1\n",
        "reports/r-fair/comparison.json": "{}",
        "reports/r-fair/winner/about.json": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "reports" / "latest").symlink_to("r-fair")
    append(place.store, past(day=1))
    place.note(place.store.make(fingerprint(), build))
    return place


def test_it_comes_back_as_it_was_noted(place: Place) -> None:
    answer = place.answer()
    assert answer is not None
    assert (answer.tasks, answer.columns, answer.folder) == (7, "user is u", str(place.report))
    assert set(answer.published) == {"comparison.json", "winner/about.json"}
    assert answer.artefacts[0]["facts"] == {}


def test_a_run_of_the_same_result_changes_nothing(place: Place) -> None:
    append(place.store, past(day=1).model_copy(update={"when": datetime(2027, 1, 1, tzinfo=UTC)}))
    assert place.answer() is not None


@pytest.mark.parametrize("name", ["model.cpython-311.pyc", "model.cpython-311.pyc.140", "model.draw-36.py311.1.nbc"])
def test_what_is_compiled_of_the_code_changes_nothing(name: str, place: Place) -> None:
    (place.root / "code" / "__pycache__").mkdir()
    (place.root / "code" / "__pycache__" / name).write_bytes(b"")
    assert place.answer() is not None


def damage(place: Place) -> None:
    entry, *_ = place.store.manifest(fingerprint())["files"]
    path = place.store.root / entry["path"]
    path.write_bytes(bytes(len(path.read_bytes())))


def another_run(place: Place) -> None:
    append(place.store, past(day=2, mse={"mf": 0.1, "dnn": 0.2}))


def another_latest(place: Place) -> None:
    (place.root / "reports" / "latest").unlink()
    (place.root / "reports" / "latest").symlink_to("elsewhere")


def garbled(place: Place) -> None:
    [note] = place.root.glob("store/notes/answer-*.json")
    note.write_bytes(note.read_bytes()[:-9])


def of_another_version(place: Place) -> None:
    [note] = place.root.glob("store/notes/answer-*.json")
    write_atomically(note, with_checksum({"made_from": {}}))


@pytest.mark.parametrize(
    "change",
    [
        lambda place: setattr(place, "seed", 43),
        lambda place: (place.root / "r.csv").write_text("u,i,4\n"),
        lambda place: (place.root / "code" / "model.py").write_text("x = 2\n"),
        lambda place: (place.root / "code" / "page.css").write_text("p {}"),
        lambda place: (place.report / "comparison.json").write_text("[]"),
        lambda place: (place.report / "winner" / "about.json").unlink(),
        lambda place: (place.report / "notes.txt").write_text("mine"),
        damage,
        another_run,
        another_latest,
        garbled,
        of_another_version,
    ],
    ids=["seed", "ratings", "code", "style", "report", "winner", "more", "store", "run", "latest", "note", "version"],
)
def test_it_does_not_after_a_change(change: Callable[[Place], object], place: Place) -> None:
    change(place)
    assert place.answer() is None


def test_another_library_is_a_change(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "keras-99.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert place.answer() is None


def test_there_is_one_note_for_each_choice_of_settings(place: Place) -> None:
    (place.root / "r.csv").write_text("u,i,4\n")
    place.note(place.store.manifest(fingerprint()))
    assert place.answer() is not None
    assert len(os.listdir(place.root / "store" / "notes")) == 1


def test_what_it_hangs_on_is_marked_as_used(place: Place) -> None:
    manifest = place.store.root / "codes" / fingerprint().key / MANIFEST
    os.utime(manifest, (1e9, 1e9))
    assert place.answer() is not None
    assert manifest.stat().st_mtime > 1.5e9


def test_a_store_with_a_url_notes_none(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKING_COPIES, str(tmp_path / "copies"))
    store = Store("memory://answers")
    store.root.mkdir(parents=True)
    note_answer(store, answer_of(store, {"settings": {}}, [], place.report, tasks=1, columns=""))
    assert list(store.root.rglob("answer-*")) == []
    assert noted_answer(store, {"settings": {}}) is None
