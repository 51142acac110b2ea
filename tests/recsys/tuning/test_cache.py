"""A search that is followed from notes asks for the same and finds the same."""

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.errors import TrialsFailed
from recsys.settings import EmbeddingSettings
from recsys.store.store import Manifest, Store
from recsys.tuning import cache as remembered
from recsys.tuning.cache import Outcomes, remembered_search
from recsys.tuning.members import Allowance
from recsys.tuning.search import Attempt, Found, search
from tests.recsys.tuning.test_search import FACTORS, HISTORY, spread

MEMBERS = [FACTORS, HISTORY]
BUDGET = Allowance(trials=11, granted=7, draws=8, seconds=240.0)

Train = Callable[[Attempt], Manifest | Exception]
Searching = Generator[list[Attempt], Outcomes, Found]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the searches that were begun in earnest."""
    begun: list[int] = []

    def counted(*given: object) -> Searching:
        begun.append(int(str(given[3])))
        yielded: Found = yield from search(*given)  # type: ignore[arg-type]
        return yielded

    monkeypatch.setattr(remembered, "search", counted)
    return begun


def train(attempt: Attempt) -> Manifest:
    rate = attempt.settings.learning_rate if isinstance(attempt.settings, EmbeddingSettings) else 0.5
    losses = [rate + 1 / epoch for epoch in range(1, attempt.settings.epochs + 1)]
    facts = {"val_loss": losses, "seconds": 1.5, "stopped_early": False, "best_epoch": len(losses)}
    facts |= {"scored_epoch": len(losses), "parameters": 7}
    return Manifest(kind="trial", key=f"{losses}", files=[], seconds=1.5, facts=facts)


def run(searching: Searching, train: Train = train, steps: int = 99) -> tuple[Found | None, list[list[Attempt]]]:
    """Answer so many questions of a search."""
    asked = [next(searching)]
    try:
        for _ in range(steps):
            asked.append(searching.send([train(attempt) for attempt in asked[-1]]))
    except StopIteration as end:
        return end.value, asked
    return None, asked


def following(store: Store, seed: int = 1, budget: Allowance = BUDGET) -> Searching:
    return remembered_search(store, "mf", MEMBERS, budget, seed, spread(1.0))


def test_it_asks_for_and_finds_what_the_search_does_and_the_second_time_without_it(
    store: Store, asked_for: list[int]
) -> None:
    expected = run(search("mf", MEMBERS, BUDGET, 1, spread(1.0)))
    assert run(following(store)) == expected
    assert asked_for == [1]
    assert run(following(store)) == expected
    assert asked_for == [1]


def test_a_course_that_was_broken_off_is_taken_up_where_it_ended(store: Store, asked_for: list[int]) -> None:
    expected = run(search("mf", MEMBERS, BUDGET, 1, spread(1.0)))
    run(following(store), steps=1)
    assert run(following(store)) == expected
    assert asked_for == [1, 1]


def test_another_outcome_is_another_course(store: Store, asked_for: list[int]) -> None:
    def worse(attempt: Attempt) -> Manifest:
        made = train(attempt)
        made["facts"]["val_loss"] = [2 * loss for loss in made["facts"]["val_loss"]]
        return made

    run(following(store))
    assert run(following(store), worse) == run(search("mf", MEMBERS, BUDGET, 1, spread(1.0)), worse)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"budget": replace(BUDGET, sampled=9)}], ids=["seed", "sample"])
def test_another_search_is_another_course(
    store: Store, asked_for: list[int], changed: dict[str, int | Allowance]
) -> None:
    run(following(store))
    run(following(store, **changed))  # type: ignore[arg-type]
    assert len(asked_for) == 2


def test_a_search_of_which_every_trial_failed_is_remembered_as_such(store: Store, asked_for: list[int]) -> None:
    for _ in range(2):
        found, _ = run(following(store), lambda attempt: ValueError("it diverged"))
        assert found
        for member in MEMBERS:
            row = found.rows[member.name]
            assert isinstance(row.fit, TrialsFailed)
            assert str(row.fit) == "every trial failed; the first: it diverged"
            assert row.settings == member.given
    assert asked_for == [1]


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", '{"attempts": [[1, "mf_tuned", {"epochs": "many"}, 0]]}', '{"failed": null}']
)
def test_a_note_that_cannot_be_read_is_made_anew(store: Store, asked_for: list[int], damaged: str) -> None:
    expected = run(following(store))
    notes = sorted((store.root / "notes").glob("search-*.json"))
    contents = [note.read_bytes() for note in notes]
    for note in notes:
        note.write_text(damaged)
    assert run(following(store)) == expected
    assert [json.loads(note.read_bytes()) for note in notes] == [json.loads(content) for content in contents]


def test_without_a_store_nothing_is_noted(tmp_path: Path) -> None:
    run(following(Store(tmp_path / "nowhere")), steps=1)
    assert not (tmp_path / "nowhere").exists()
