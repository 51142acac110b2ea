"""A search is told made-up losses; nothing is trained."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from recsys.errors import TrialsFailed
from recsys.models.search_space import Between, OneOf, SearchSpace, as_json
from recsys.models.specs import MODEL, TUNED, ModelSpec
from recsys.settings import BiasedMFSettings, EmbeddingSettings, Settings, TuningSettings
from recsys.store.store import Manifest
from recsys.tuning.search import FIRST_EPOCHS, ROUND, Attempt, Found, search

Outcome = Manifest | Exception
DEFAULTS = BiasedMFSettings(epochs=40)
MF, DNN = MODEL["mf_tuned"], MODEL["dnn_tuned"]


def space_of(model: ModelSpec) -> SearchSpace:
    assert model.space
    return model.space


def outcome(losses: list[float], seconds: float = 1.0, **facts: Any) -> Manifest:
    best = losses.index(min(losses)) + 1 if losses else None
    return Manifest(
        kind="trial",
        key=f"{losses}",
        files=[],
        seconds=seconds,
        facts={"val_loss": losses, "seconds": seconds, "stopped_early": False, "best_epoch": best, "parameters": 7}
        | facts,
    )


def distance(settings: EmbeddingSettings) -> float:
    """A bowl whose bottom is at 0.1 for l2_factors."""
    assert isinstance(settings, BiasedMFSettings)
    return 1 + math.log(settings.l2_factors / 0.1) ** 2


def bowl(attempt: Attempt) -> Outcome:
    return outcome([distance(attempt.settings) + 1 / epoch for epoch in range(1, attempt.settings.epochs + 1)])


def run(
    train: Callable[[Attempt], Outcome], budget: TuningSettings, seed: int = 1, model: ModelSpec = MF
) -> tuple[Found, list[list[Attempt]]]:
    defaults = DEFAULTS if model is MF else Settings().of(model)
    searching = search(model.name, "tuned", space_of(model), defaults, budget, seed)
    asked = [next(searching)]
    while True:
        try:
            asked.append(searching.send([train(attempt) for attempt in asked[-1]]))
        except StopIteration as end:
            return end.value, asked


def test_without_a_budget_the_settings_are_taken_as_they_are() -> None:
    found, asked = run(bowl, TuningSettings(budget=0))
    assert asked == [[Attempt(0, DEFAULTS)]]
    assert found.settings == DEFAULTS
    assert found.tuning.winner == 0
    assert [trial.state for trial in found.tuning.trials] == ["finished"]


def test_the_default_configuration_is_tried_first_alone_and_whole() -> None:
    _, asked = run(bowl, TuningSettings(budget=2))
    assert asked[0] == [Attempt(0, DEFAULTS)]


@pytest.mark.parametrize("model", TUNED, ids=lambda model: model.name)
def test_what_is_known_to_be_good_is_tried_next(model: ModelSpec) -> None:
    _, asked = run(lambda attempt: outcome([1.0]), TuningSettings(budget=1), model=model)
    second = asked[1][0].settings
    assert {name: as_json(getattr(second, name)) for name in space_of(model).fields} == space_of(model).known


def test_a_third_of_a_round_goes_on_after_the_first_epochs_and_has_the_best_of_them() -> None:
    budget = TuningSettings(budget=7 / 4, trial_epochs=20)
    found, asked = run(bowl, budget)
    first, second = asked[1], asked[2]
    assert len(first) == ROUND
    assert {attempt.settings.epochs for attempt in first} == {20 // FIRST_EPOCHS}
    assert {attempt.settings.epochs for attempt in second} == {20}
    by_loss = sorted(first, key=lambda attempt: distance(attempt.settings))
    assert {attempt.number for attempt in second} == {attempt.number for attempt in by_loss[:2]}
    states = [trial.state for trial in found.tuning.trials[1:]]
    assert sorted(states) == ["finished"] * 2 + ["pruned"] * 4


@pytest.mark.parametrize("model", TUNED, ids=lambda model: model.name)
@pytest.mark.parametrize("budget", [1, 3.4])
def test_both_families_have_as_many_trials_and_all_in_their_space(model: ModelSpec, budget: float) -> None:
    allowed = TuningSettings(budget=budget)
    found, asked = run(lambda attempt: outcome([1.0 + attempt.number]), allowed, model=model)
    assert len(found.tuning.trials) == allowed.trials
    for settings in [attempt.settings for attempts in asked[1:] for attempt in attempts]:
        for name, where in space_of(model).fields.items():
            value = getattr(settings, name)
            if isinstance(where, Between):
                assert where.low <= value <= where.high
            else:
                assert as_json(value) in where.values


@pytest.mark.parametrize(("budget", "varied"), [(1, False), (4, True)])
def test_only_many_trials_vary_what_is_costly_or_seldom_of_use(budget: float, varied: bool) -> None:
    found, asked = run(lambda attempt: outcome([1.0 + attempt.number]), TuningSettings(budget=budget), model=DNN)
    drawn = [attempt.settings for attempts in asked[1:] for attempt in attempts]
    assert ({settings.model_dump()["activation"] for settings in drawn} != {"relu"}) == varied
    (searched,) = [one for one in found.tuning.searched if one.name == "activation"]
    assert (len(searched.choices) > 1) == varied


def test_a_larger_budget_comes_closer_to_the_best() -> None:
    small, large = (run(bowl, TuningSettings(budget=budget))[0] for budget in (1, 10))
    assert distance(large.settings) < 1.02
    assert distance(large.settings) <= distance(small.settings) <= distance(DEFAULTS)


def test_the_same_seed_asks_for_the_same_and_another_for_others() -> None:
    once, again, other = (run(bowl, TuningSettings(budget=2), seed)[1] for seed in (1, 1, 2))
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

    found, _ = run(half_fail, TuningSettings(budget=3))
    trials = found.tuning.trials
    assert len(trials) == 12
    assert [trial.number for trial in trials if trial.state == "failed"] == [0, 1, 3, 5, 7, 9, 11]
    assert trials[0].reason == "it broke"
    assert trials[1].reason == "the loss became nan"
    assert found.tuning.winner is not None
    assert found.tuning.winner % 2 == 0
    assert found.tuning.seconds_used == sum(trial.seconds for trial in trials) > 12


def test_where_all_fail_there_is_a_reason_and_no_winner() -> None:
    found, _ = run(lambda attempt: RuntimeError("it broke"), TuningSettings(budget=1))
    assert found.tuning.winner is None
    assert isinstance(found.chosen, TrialsFailed)
    assert str(found.chosen) == "every trial failed; the first: it broke"


def test_no_round_begins_when_the_seconds_are_spent() -> None:
    found, _ = run(lambda attempt: outcome([1.0], 500.0), TuningSettings(budget=1))
    assert len(found.tuning.trials) == 1
    assert found.tuning.seconds_used > found.tuning.seconds_allowed


def test_a_trial_that_stopped_early_is_not_trained_again() -> None:
    def stops(attempt: Attempt) -> Outcome:
        return outcome([distance(attempt.settings)] * 3, stopped_early=True)

    _, asked = run(stops, TuningSettings(budget=1))
    assert [len(attempts) for attempts in asked] == [1, 3]


def test_the_winner_brings_the_training_that_chose_its_epochs() -> None:
    found, _ = run(bowl, TuningSettings(budget=2))
    assert not isinstance(found.chosen, Exception)
    assert min(found.chosen["facts"]["val_loss"]) == min(
        trial.val_mse for trial in found.tuning.trials if trial.state == "finished" and trial.val_mse
    )


@pytest.mark.parametrize("model", TUNED, ids=lambda model: model.name)
def test_every_point_of_a_space_is_a_valid_setting(model: ModelSpec) -> None:
    defaults = Settings().of(model)
    for name, where in space_of(model).fields.items():
        ends = (where.low, where.high) if isinstance(where, Between) else where.values
        assert all(type(defaults).model_validate(defaults.model_dump() | {name: value}) for value in ends)
        assert isinstance(where, Between | OneOf)
