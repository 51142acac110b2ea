"""The flow that compares only where there are new ratings."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from recsys.settings import Settings
from tests.factories import small_settings, write_ratings

Look = Callable[[Settings], State[Any]]

LONG_AGO = 1e9


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of each comparison; a report is all that is made of them."""
    begun: list[Settings] = []

    def compare(settings: Settings) -> str:
        begun.append(settings)
        report = Path(settings.output.reports) / "run"
        report.mkdir(parents=True, exist_ok=True)
        (report / "report.html").touch()
        return str(report)

    monkeypatch.setattr("flows.watch.compare", compare)
    return begun


@pytest.fixture
def look(prefect_server: str) -> Look:
    from flows.watch import compare_if_changed

    return lambda settings: compare_if_changed(settings, return_state=True)


def old(path: Path) -> Path:
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_unchanged_ratings_are_not_compared_again(look: Look, comparisons: list[Settings], tmp_path: Path) -> None:
    ratings = old(write_ratings(tmp_path / "ratings.csv"))
    settings = small_settings(ratings, tmp_path)
    first, second = look(settings), look(settings)
    assert (first.name, second.name) == ("Completed", "Unchanged")
    assert first.result() == second.result() == str(tmp_path / "reports" / "run")
    assert second.is_completed()
    assert str(tmp_path / "reports" / "run") in (second.message or "")
    assert comparisons == [settings]

    old(write_ratings(ratings, seed=1))
    assert look(settings).name == "Completed"
    assert len(comparisons) == 2
    assert look(settings.model_copy(update={"refresh": True})).name == "Completed"
    assert look(settings.model_copy(update={"seed": 7})).name == "Completed"
    assert len(comparisons) == 4


def test_the_newest_file_of_a_folder_is_compared(look: Look, comparisons: list[Settings], tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    settings = small_settings(incoming, tmp_path)
    nothing = look(settings)
    assert (nothing.name, nothing.message) == ("Waiting", f"{incoming} holds no ratings file yet.")

    first = old(write_ratings(incoming / "first.csv"))
    assert look(settings).name == "Completed"
    old(first.rename(incoming / "the same under another name.csv"))
    assert look(settings).name == "Unchanged"

    second = write_ratings(incoming / "second.csv", seed=1)
    growing = look(settings)
    assert growing.name == "Waiting"
    assert "may be growing" in (growing.message or "")
    os.utime(second, (LONG_AGO + 1, LONG_AGO + 1))
    assert look(settings).name == "Completed"
    assert [settings.data.ratings for settings in comparisons] == [str(first), str(second)]


def test_a_folder_of_parts_is_compared_as_one_file(look: Look, comparisons: list[Settings], tmp_path: Path) -> None:
    events = tmp_path / "incoming" / "events"
    events.mkdir(parents=True)
    first, second = write_ratings(events / "part-0.csv"), write_ratings(events / "part-1.csv", seed=1)
    for place in (events, events.parent):
        settings = small_settings(place, tmp_path, seed=len(comparisons))
        assert look(settings).name == "Waiting"
        for path in (first, second, events):
            old(path)
        assert [look(settings).name for _ in range(2)] == ["Completed", "Unchanged"]
        write_ratings(second, seed=2 + len(comparisons))
    assert [settings.data.ratings for settings in comparisons] == [str(events), str(events)]


def test_a_delivery_with_an_older_time_is_compared(look: Look, comparisons: list[Settings], tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    settings = small_settings(incoming, tmp_path)
    before, first = (
        write_ratings(incoming / f"{name}.csv", seed=seed) for seed, name in enumerate(("before", "first"))
    )
    for path, time in ((before, LONG_AGO), (first, LONG_AGO + 9)):
        os.utime(path, (time, time))
    assert look(settings).name == "Completed"
    assert look(settings).name == "Unchanged"

    copied = [write_ratings(incoming / name, seed=seed) for seed, name in ((2, "zz.csv"), (3, "a.csv"))]
    for number, path in enumerate(copied):  # as rsync -a leaves it
        os.utime(path, (LONG_AGO + 1 + number, LONG_AGO + 1 + number))
    assert [look(settings).name for _ in range(3)] == ["Completed", "Completed", "Unchanged"]
    assert [settings.data.ratings for settings in comparisons] == [str(path) for path in (first, *copied)]

    old(write_ratings(first, seed=4))
    assert look(settings).name == "Completed"
    old(first.rename(incoming / "renamed.csv"))
    assert look(settings).name == "Unchanged"


def test_a_delivery_that_fails_holds_no_other_up(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    settings = small_settings(incoming, tmp_path)
    tries: list[str] = []

    def compare(settings: Settings) -> str:
        name = Path(str(settings.data.ratings)).name
        tries.append(name)
        if name == "bad.csv":
            raise RuntimeError("no ratings")
        report = Path(settings.output.reports) / "run"
        report.mkdir(parents=True, exist_ok=True)
        (report / "report.html").touch()
        return str(report)

    monkeypatch.setattr("flows.watch.compare", compare)
    old(write_ratings(incoming / "first.csv"))
    assert look(settings).name == "Completed"
    for seed, name in enumerate(("bad.csv", "good.csv"), start=1):
        old(write_ratings(incoming / name, seed=seed))
    assert look(settings).is_failed()
    assert look(settings).name == "Completed"
    assert look(settings).is_failed()
    assert tries == ["first.csv", "bad.csv", "good.csv", "bad.csv"]


def test_a_comparison_that_fails_is_tried_again(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small_settings(old(write_ratings(tmp_path / "ratings.csv")), tmp_path)
    tries = []

    def fails(settings: Settings) -> str:
        tries.append(settings)
        raise RuntimeError("a model failed")

    monkeypatch.setattr("flows.watch.compare", fails)
    assert look(settings).is_failed()
    assert look(settings).is_failed()
    assert len(tries) == 2


def test_a_file_that_is_not_there_fails_with_a_sentence(look: Look, tmp_path: Path) -> None:
    failed = look(small_settings(tmp_path / "nowhere.csv", tmp_path))
    assert failed.is_failed()
    assert "nowhere.csv does not exist; give the path of your ratings file" in (failed.message or "")
