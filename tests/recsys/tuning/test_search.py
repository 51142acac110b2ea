"""A search is told made-up losses; nothing is trained."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import Field

from recsys.errors import NotEnoughMemory, TrialsFailed
from recsys.memory import Available
from recsys.models.search_space import Between, DataSize, OneOf, SearchSpace, as_json
from recsys.models.settings import FitSettings
from recsys.models.specs import TUNED, ModelSpec
from recsys.settings import BiasedMFSettings, Settings
from recsys.store.store import Manifest
from recsys.tuning.members import (
    GRANTED_DRAWS,
    SAMPLED_RATINGS,
    Allowance,
    Member,
    allowance,
    left_out,
    searched_families,
)
from recsys.tuning.search import FIRST_EPOCHS, ROUND, Attempt, Found, expected_attempts, search
from recsys.tuning.standard_error import is_better_by_chance

Outcome = Manifest | Exception
SIZE = DataSize(ratings=72_000, users=702, items=8227)
DRAWS = Allowance(trials=9, granted=9, draws=6, seconds=60.0)


class HistorySettings(FitSettings):
    """Of a model whose error only falls with more epochs."""

    epochs: int = 300
    depth: float = Field(1.0, description="how far back it looks")


FACTORS = Member(
    "mf_tuned",
    "tuned MF",
    SearchSpace(
        fields={
            "embedding_size": OneOf((50, 100, 200), sizes=True, known=100),
            "l2_factors": Between(0.03, 0.3, log=True, penalty=True, known=0.15),
            "learning_rate": Between(3e-4, 3e-3, log=True, known=1e-3),
        },
        simpler=({"embedding_size": 0},),
    ).of_search(SIZE, 4, None),
    BiasedMFSettings(epochs=40),
)
HISTORY = Member(
    "history",
    "history MF",
    SearchSpace(fields={"depth": Between(0.5, 8.0, log=True, known=1.0)}, epochs=100),
    HistorySettings(),
    chooses_epochs=False,
)


def outcome(losses: list[float], seconds: float = 1.0, **facts: Any) -> Manifest:
    best = losses.index(min(losses)) + 1 if losses else None
    made = {"val_loss": losses, "seconds": seconds, "stopped_early": False, "best_epoch": best, "parameters": 7}
    return Manifest(
        kind="trial", key=f"{losses}", files=[], seconds=seconds, facts=made | {"scored_epoch": best} | facts
    )


def distance(settings: FitSettings) -> float:
    """A bowl whose bottom is at 0.1 for l2_factors, or at 4 for depth."""
    if isinstance(settings, HistorySettings):
        return 1 + math.log(settings.depth / 4) ** 2 / 100
    assert isinstance(settings, BiasedMFSettings)
    return 1 + math.log(settings.l2_factors / 0.1) ** 2


def bowl(attempt: Attempt) -> Outcome:
    return outcome([distance(attempt.settings) + 1 / epoch for epoch in range(1, attempt.settings.epochs + 1)])


def spread(share: float) -> Callable[[Manifest], npt.NDArray[np.float64]]:
    """Squared errors of 100 ratings whose mean is a trial's loss: of a `share` twice as large, else nearly 0."""

    def errors(made: Manifest) -> npt.NDArray[np.float64]:
        loss = made["facts"]["val_loss"][made["facts"]["scored_epoch"] - 1]
        return np.where(np.arange(100) < 100 * share, loss / share, 0.0)

    return errors


def run(
    train: Callable[[Attempt], Outcome],
    allowed: Allowance,
    seed: int = 1,
    members: tuple[Member, ...] = (FACTORS,),
    concentrated: float = 1.0,
) -> tuple[Found, list[list[Attempt]]]:
    searching = search("mf", members, allowed, seed, spread(concentrated))
    asked = [next(searching)]
    while True:
        try:
            asked.append(searching.send([train(attempt) for attempt in asked[-1]]))
        except StopIteration as end:
            return end.value, asked


def of_families(ratings: int = 72_000, **tuning: Any) -> tuple[dict[str, tuple[Member, ...]], Allowance]:
    settings, size = Settings.model_validate({"tuning": tuning}), replace(SIZE, ratings=ratings)
    families = searched_families(settings, size)
    return {name: tuple(members) for name, members in families.items()}, allowance(settings, families, size)


def test_without_a_budget_the_settings_of_each_model_are_tried_as_given_and_the_best_wins() -> None:
    found, asked = run(bowl, Allowance(trials=2, granted=2, draws=0, seconds=0.0), members=(FACTORS, HISTORY))
    assert asked == [[Attempt(0, "mf_tuned", FACTORS.given), Attempt(1, "history", HISTORY.trial)]]
    assert (found.tuning.name, found.tuning.title, found.tuning.winner) == ("history", "history MF", 1)
    assert found.tuning.searched_trials == 0
    assert {trial.state for trial in found.tuning.trials} == {"finished"}


def test_given_settings_then_known_points_are_tried_first_and_whole() -> None:
    members = (FACTORS, replace(HISTORY, given=HistorySettings(depth=2.0)))
    _, asked = run(bowl, DRAWS, members=members)
    assert [attempt.model for attempt in asked[0]] == ["mf_tuned", "history", "mf_tuned", "mf_tuned", "history"]
    assert asked[0][0].settings == FACTORS.given
    assert [getattr(attempt.settings, "embedding_size", None) for attempt in asked[0]] == [100, None, 0, 100, None]
    assert asked[0][-1].settings == HistorySettings(epochs=100, depth=1.0)
    assert all(attempt.settings.epochs >= 40 for attempt in asked[0])


def test_a_known_point_that_was_given_is_tried_once() -> None:
    _, asked = run(bowl, DRAWS, members=(HISTORY,))
    assert asked[0] == [Attempt(0, "history", HistorySettings(epochs=100))]


@pytest.mark.parametrize("budget", [0.5, 1, 3.4])
def test_every_family_has_as_many_trials_and_all_that_are_drawn_in_their_space(budget: float) -> None:
    families, allowed = of_families(budget=budget)
    for members in families.values():
        found, asked = run(lambda attempt: outcome([1.0 + attempt.number]), allowed, members=members)
        assert len(found.tuning.trials) == allowed.trials
        assert found.tuning.points + allowed.draws <= allowed.trials
        space = {member.name: member.space for member in members}
        drawn = [one for attempts in asked for one in attempts if one.number >= found.tuning.points]
        for attempt in drawn:
            for name, where in space[attempt.model].fields.items():
                value = getattr(attempt.settings, name)
                if isinstance(where, Between):
                    assert where.low <= value <= where.high
                else:
                    assert as_json(value) in where.values


def test_a_third_of_a_round_goes_on_after_the_first_epochs_and_has_the_best_of_them() -> None:
    found, asked = run(bowl, DRAWS)
    first, second = asked[1], asked[2]
    assert len(first) == ROUND
    assert {attempt.settings.epochs for attempt in first} == {48 // FIRST_EPOCHS}
    assert {attempt.settings.epochs for attempt in second} == {48}
    by_loss = sorted(first, key=lambda attempt: distance(attempt.settings))
    assert {attempt.number for attempt in second} == {attempt.number for attempt in by_loss[:2]}
    states = [trial.state for trial in found.tuning.trials[3:]]
    assert sorted(states) == ["finished"] * 2 + ["pruned"] * 4


def test_trial_epochs_cap_those_of_the_spaces() -> None:
    families, allowed = of_families(trial_epochs=8)
    _, asked = run(lambda attempt: outcome([1.0] * attempt.settings.epochs), allowed, members=families["mf"])
    assert {attempt.settings.epochs for attempts in asked[1:] for attempt in attempts} == {8, 8 // FIRST_EPOCHS}


@pytest.mark.parametrize(
    ("loss", "draws", "models"),
    [(1.5, 12, {"mf_tuned"}), (1.01, 12, {"mf_tuned", "history"}), (1.5, 24, {"mf_tuned", "history"})],
)
def test_few_trials_are_drawn_only_of_models_that_are_not_far_behind(loss: float, draws: int, models: set[str]) -> None:
    def behind(attempt: Attempt) -> Outcome:
        return outcome([1.0 if attempt.model == "mf_tuned" else loss] * attempt.settings.epochs)

    allowed = Allowance(trials=4 + draws, granted=4 + draws, draws=draws, seconds=0.0)
    found, _ = run(behind, allowed, members=(FACTORS, HISTORY))
    assert {trial.model for trial in found.tuning.trials[found.tuning.points :]} == models


@pytest.mark.parametrize(("budget", "varied"), [(1, False), (4, True)])
def test_only_many_trials_vary_what_is_costly_or_seldom_of_use(budget: float, varied: bool) -> None:
    families, allowed = of_families(budget=budget)
    found, asked = run(lambda attempt: outcome([1.0 + attempt.number]), allowed, members=families["dnn"])
    drawn = [attempt.settings.model_dump() for attempts in asked[1:] for attempt in attempts]
    assert ({settings["activation"] for settings in drawn if "activation" in settings} != {"relu"}) == varied
    (searched,) = [one for one in found.tuning.searched if (one.model, one.name) == ("dnn_tuned", "activation")]
    assert (len(searched.choices) > 1) == varied


def test_a_larger_budget_comes_closer_to_the_best() -> None:
    small, large = (run(bowl, replace(DRAWS, trials=3 + n, granted=3 + n, draws=n))[0] for n in (4, 40))
    best = [distance(found.rows["mf_tuned"].settings) for found in (large, small)]
    assert best[0] < 1.02
    assert best[0] <= best[1] <= distance(FACTORS.given)


def test_settings_are_tried_once() -> None:
    sizes = SearchSpace(fields={"embedding_size": OneOf((1, 2, 4, 8, 16, 32), known=8)}, epochs=4)
    member = replace(FACTORS, space=sizes, given=BiasedMFSettings(embedding_size=8, epochs=4))
    allowed = Allowance(trials=4, granted=4, draws=3, seconds=0.0)
    for seed in range(20):
        found, _ = run(bowl, allowed, seed, (member,))
        assert len({trial.settings["embedding_size"] for trial in found.tuning.trials}) == 4


def test_a_space_that_is_used_up_is_tried_again() -> None:
    member = replace(FACTORS, space=SearchSpace(fields={"embedding_size": OneOf((8,), known=8)}, epochs=4))
    found, _ = run(bowl, Allowance(trials=4, granted=4, draws=3, seconds=0.0), members=(member,))
    assert len(found.tuning.trials) == 4


def test_the_same_seed_asks_for_the_same_and_another_for_others() -> None:
    once, again, other = (run(bowl, DRAWS, seed, (FACTORS, HISTORY))[1] for seed in (1, 1, 2))
    assert once == again
    assert once[0] == other[0]
    assert once[1] != other[1]


def test_trials_that_fail_count_and_never_win() -> None:
    def half_fail(attempt: Attempt) -> Outcome:
        if attempt.number == 0:
            return RuntimeError("it broke")
        if attempt.number % 2:
            return outcome([], 2.0, failed="the loss became nan")
        return bowl(attempt)

    found, _ = run(half_fail, replace(DRAWS, trials=12, granted=12))
    trials = found.tuning.trials
    assert [trial.number for trial in trials if trial.state == "failed"] == [0, 1, 3, 5, 7, 9, 11]
    assert trials[0].reason == "it broke"
    assert trials[1].reason == "the loss became nan"
    assert found.tuning.winner is not None
    assert found.tuning.winner % 2 == 0
    assert found.tuning.searched_trials == 4
    assert found.tuning.seconds_used == sum(trial.seconds for trial in trials) > 12


def test_a_model_of_which_every_trial_fails_has_a_reason_and_the_others_go_on() -> None:
    def train(attempt: Attempt) -> Outcome:
        return RuntimeError("it broke") if attempt.model == "history" else bowl(attempt)

    found, _ = run(train, DRAWS, members=(FACTORS, HISTORY))
    failed = found.rows["history"]
    assert isinstance(failed.fit, TrialsFailed)
    assert str(failed.fit) == "every trial failed; the first: it broke"
    assert failed.settings == HISTORY.given
    assert found.tuning.name == "mf_tuned"
    everything, _ = run(lambda attempt: RuntimeError("it broke"), DRAWS, members=(FACTORS, HISTORY))
    assert everything.tuning.winner is None
    assert everything.tuning.searched_trials == 0


def test_seconds_end_a_search_but_not_before_the_granted_trials() -> None:
    families, allowed = of_families(budget=5)
    found, _ = run(lambda attempt: outcome([1.0], 1e6), allowed, members=families["mf"])
    assert allowed.granted <= len(found.tuning.trials) < allowed.granted + ROUND < allowed.trials
    assert allowed.granted - GRANTED_DRAWS == found.tuning.points
    assert found.tuning.seconds_used > found.tuning.seconds_allowed
    assert of_families(ratings=500_000, budget=2)[1].seconds == 5 * of_families(budget=2)[1].seconds


def test_a_trial_that_stopped_early_is_not_trained_again() -> None:
    def stops(attempt: Attempt) -> Outcome:
        return outcome([distance(attempt.settings)] * 3, stopped_early=True)

    _, asked = run(stops, DRAWS)
    assert [len(attempts) for attempts in asked] == [3, 6]


def test_each_model_brings_the_training_of_its_best_trial() -> None:
    found, _ = run(bowl, DRAWS, members=(FACTORS, HISTORY))
    for name, row in found.rows.items():
        assert not isinstance(row.fit, Exception)
        whole = [trial for trial in found.tuning.trials if trial.model == name and trial.state == "finished"]
        assert row.fit["facts"]["val_loss"][-1] == min(trial.val_mse for trial in whole if trial.val_mse)
    winner = found.tuning.trials[found.tuning.winner or 0]
    assert (winner.model, found.tuning.name) == ("history", "history")


def test_a_tie_is_won_by_the_model_that_comes_first() -> None:
    given = Allowance(trials=2, granted=2, draws=0, seconds=0.0)
    found, _ = run(lambda attempt: outcome([1.0] * attempt.settings.epochs), given, members=(FACTORS, HISTORY))
    assert (found.tuning.name, found.tuning.winner) == ("mf_tuned", 0)


@pytest.mark.parametrize(
    ("others", "concentrated", "simple"),
    [(0.9, 1.0, False), (0.9, 0.01, True), (0.99, 0.5, False), (1.2, 0.01, True), (1.2, 1.0, True)],
)
def test_a_simple_model_wins_unless_it_is_beaten_by_more_than_one_standard_error(
    others: float, concentrated: float, simple: bool
) -> None:
    def train(attempt: Attempt) -> Outcome:
        alone = attempt.model == "mf_tuned" and not getattr(attempt.settings, "embedding_size", 1)
        return outcome([1.0 if alone else others] * attempt.settings.epochs)

    found, _ = run(train, DRAWS, members=(FACTORS, HISTORY), concentrated=concentrated)
    settings = found.rows["mf_tuned"].settings
    assert isinstance(settings, BiasedMFSettings)
    assert (settings.embedding_size == 0) == simple
    assert found.tuning.name == "mf_tuned"
    assert found.tuning.winner == (2 if simple else 0)
    assert found.tuning.lowest == (2 if others > 1 else 0)


def test_one_validation_rating_tells_nothing_against_a_simple_model() -> None:
    assert is_better_by_chance(np.array([0.0]), np.array([9.0]))
    assert not is_better_by_chance(np.array([0.0, 0.0]), np.array([9.0, 9.0]))


def test_a_model_that_does_not_choose_its_epochs_is_tried_with_equally_many_and_refitted_with_those_given() -> None:
    found, asked = run(bowl, DRAWS, members=(HISTORY,))
    assert {attempt.settings.epochs for attempts in asked for attempt in attempts} == {100, 25}
    assert found.rows["history"].settings.epochs == 300
    shorter = replace(HISTORY, given=HistorySettings(epochs=8))
    _, asked = run(bowl, DRAWS, members=(shorter,))
    assert {attempt.settings.epochs for attempts in asked for attempt in attempts} == {8, 2}


def test_the_loss_of_a_trial_is_that_of_the_weights_it_kept() -> None:
    found, _ = run(lambda attempt: outcome([0.5, 0.9], scored_epoch=2), replace(DRAWS, draws=0), members=(HISTORY,))
    assert found.tuning.trials[0].val_mse == 0.9


def test_on_large_data_first_steps_are_on_a_sample_and_the_best_and_the_simple_go_on() -> None:
    _, allowed = of_families(ratings=SAMPLED_RATINGS + 1)
    assert allowed.sampled == SAMPLED_RATINGS
    assert of_families(ratings=SAMPLED_RATINGS)[1].sampled == 0
    found, (known, known_whole, drawn, *_) = run(bowl, replace(DRAWS, sampled=9), members=(FACTORS, HISTORY))
    assert {attempt.sampled for attempt in (*known, *drawn)} == {9}
    assert [attempt.settings.epochs for attempt in known] == [40, 100, 48, 48]
    assert {attempt.sampled for attempt in known_whole} == {0}
    assert [attempt.number for attempt in known_whole] == [0, 1, 2]
    assert known_whole[2].settings == FACTORS.with_values(
        {"embedding_size": 0, "l2_factors": 0.15, "learning_rate": 1e-3}
    )
    assert {trial.state for trial in found.tuning.trials if trial.sampled} == {"pruned"}
    assert not any(trial.sampled for trial in found.tuning.trials if trial.state == "finished")


def test_on_large_data_nothing_is_sampled_where_there_is_nothing_to_choose() -> None:
    allowed = Allowance(trials=2, granted=2, draws=0, seconds=0.0, sampled=9)
    _, asked = run(bowl, allowed, members=(FACTORS, HISTORY))
    assert [[attempt.sampled for attempt in attempts] for attempts in asked] == [[0, 0]]


@pytest.mark.parametrize("model", TUNED, ids=lambda model: model.name)
@pytest.mark.parametrize("ratings", [1000, 72_000, 10**8])
def test_every_point_of_a_space_is_a_valid_setting_whatever_the_data(model: ModelSpec, ratings: int) -> None:
    defaults = Settings().of(model)
    assert model.space
    space = model.space.of_search(replace(SIZE, ratings=ratings), 16, None)
    for name, where in space.fields.items():
        ends = (where.low, where.high) if isinstance(where, Between) else where.values
        assert all(type(defaults).model_validate(defaults.model_dump() | {name: value}) for value in ends)
    for point in space.known:
        assert type(defaults).model_validate(defaults.model_dump() | point)
    assert space.known == model.space.known


def test_ranges_reach_to_stronger_penalties_and_smaller_sizes_where_ratings_are_few_else_to_weaker_ones() -> None:
    penalty, size = Between(0.1, 1.0, log=True, penalty=True, known=0.5), OneOf((50, 100), sizes=True, known=100)
    rate = Between(0.1, 1.0, known=0.5)
    space = SearchSpace({"penalty": penalty, "size": size, "rate": rate})

    def ranges(ratings: int) -> tuple[Any, ...]:
        fields = space.of_search(DataSize(ratings, 1000, 1000), 16, None).fields
        found, sizes = fields["penalty"], fields["size"]
        assert fields["rate"] == rate
        assert isinstance(found, Between)
        assert isinstance(sizes, OneOf)
        return (round(found.low, 9), round(found.high, 9), sizes.values)

    assert ranges(16_000) == (0.1, 1.0, (50, 100))
    assert ranges(8_000) == (0.1, 2.0, (25, 50, 100))
    assert ranges(100) == (0.1, 4.0, (12, 25, 50, 100))
    assert ranges(10**6) == (0.025, 1.0, (50, 100))


def test_few_draws_leave_further_fields_at_their_known_value() -> None:
    space = SearchSpace({"rate": Between(0.1, 1.0, known=0.5)}, further=frozenset({"rate"}), epochs=30)
    assert space.of_search(SIZE, 4, 20).fields["rate"] == OneOf((0.5,), ordered=False, known=0.5)
    assert space.of_search(SIZE, 4, 20).epochs == 20
    assert space.of_search(SIZE, 40, None).epochs == 30


def test_models_without_room_are_left_out_before_they_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, size = Settings(), DataSize(ratings=16_000_000, users=138_000, items=27_000)
    assert left_out(settings, DataSize(ratings=9_000_000, users=138_000, items=27_000)) == {}
    assert "name it with --models" in left_out(settings, size)["towers"]
    settings = Settings.model_validate(
        {"tuning": {"models": ["mf_tuned", "bayes_mf", "dnn_tuned", "towers", "autorec"]}}
    )
    assert left_out(settings, size) == {}
    monkeypatch.setattr("recsys.memory.available_memory", lambda: Available(2e9, "are free"))
    found = left_out(settings, size)
    assert set(found) == {"towers"}
    assert "and 2.0 GB are free" in found["towers"]
    families = searched_families(settings, size, found)
    assert [member.name for member in families["dnn"]] == ["dnn_tuned", "autorec"]
    with pytest.raises(NotEnoughMemory, match="any searched model of the family DNN"):
        searched_families(settings, size, {"dnn_tuned", "towers", "autorec"})


def test_fewer_epochs_on_many_ratings() -> None:
    settings = Settings.model_validate({"towers": {"epochs": 9}})
    few, many = (DataSize(ratings=ratings, users=1000, items=1000) for ratings in (200_000, 800_000))
    epochs = {
        size.ratings: {
            member.name: (member.given.epochs, member.space.epochs)
            for members in searched_families(settings, size).values()
            for member in members
        }
        for size in (few, many)
    }
    assert epochs[200_000]["bayes_mf"] == (220, 140)
    assert epochs[800_000]["bayes_mf"] == (126, 80)
    assert epochs[800_000]["towers"] == (9, 10)
    assert epochs[200_000]["dnn_tuned"] == (20, 48)
    assert epochs[800_000]["dnn_tuned"] == (11, 28)


def test_about_as_many_attempts_are_expected_as_are_asked_for() -> None:
    allowed = Allowance(trials=2 + 4, granted=6, draws=4, seconds=60.0)
    _, asked = run(bowl, allowed, members=(FACTORS,))
    assert expected_attempts((FACTORS,), allowed) == ["mf_tuned"] * sum(map(len, asked[1:]))
    assert {*expected_attempts((FACTORS, HISTORY), allowed)} == {"mf_tuned", "history"}
    assert expected_attempts((FACTORS,), Allowance(trials=2, granted=2, draws=0, seconds=0.0)) == []
