"""A search of one model's settings: what is tried, for how long, and what wins.

Trial 0 is the model's default configuration and is tried alone, so that on large data the budget of
seconds may be spent before more is begun. Then follow rounds of trials, each a step of successive halving
(Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization"): all are
trained for the first epochs, the best third anew for as many epochs as they need. Configurations are drawn by
Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
Optimization"), which learns from one round to the next.

The course of a search hangs on its seed and on the validation losses that it is told; on the seconds only where
these run out before the trials do. Nothing here knows a test rating.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import TrialsFailed
from recsys.evaluation.results import SearchedSetting, Trial, Tuning
from recsys.models.search_space import Between, OneOf, SearchSpace, as_json, contains, decoded, distribution, encoded
from recsys.models.settings import FitSettings
from recsys.settings import TuningSettings
from recsys.store.store import Manifest

if TYPE_CHECKING:
    import optuna

ROUND = 6
"""Trials that begin together, at most."""

FIRST_EPOCHS = 4
"""The first epochs of a trial are one in so many."""

SURVIVORS = 3
"""One in so many goes on after the first epochs."""


@dataclass(frozen=True)
class Attempt:
    """A training that a search asks for, of trial `number`."""

    number: int
    settings: FitSettings


@dataclass(frozen=True)
class Found:
    """What a search ends with: its course, and the winner's settings; the defaults where every trial failed.

    `chosen` is the winner's training, which chose the number of epochs; why there is none where every trial failed.
    """

    tuning: Tuning
    settings: FitSettings
    chosen: Manifest | Exception


Asking = Generator[list[Attempt], Sequence[Manifest | Exception], None]


@dataclass
class _Tried:
    number: int
    settings: FitSettings
    drawn: "optuna.Trial | None" = None
    made: Manifest | None = None
    whole: bool = False
    reason: str | None = None
    seconds: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        return self.made["facts"] if self.made else {}

    @property
    def loss(self) -> float:
        """The lowest validation loss so far."""
        return min(self.facts["val_loss"]) if self.made else math.inf


def search(
    name: str, title: str, space: SearchSpace, defaults: FitSettings, budget: TuningSettings, seed: int
) -> Generator[list[Attempt], Sequence[Manifest | Exception], Found]:
    """Search a model's settings: yield attempts to be trained side by side, be sent how they went.

    Sent back is, for each attempt in order, the manifest of its training, whose facts are those of
    `recsys.training.train.fit_and_validate`, or what it raised.

    `defaults` are trial 0, and what every other trial has where nothing varies; `budget` says how many trials, of how
    many epochs, and after how many seconds of training none is begun.
    """
    space = space.for_trials(budget.trials)
    first_epochs = budget.trial_epochs // FIRST_EPOCHS
    tried: list[_Tried] = []
    study = None
    while not tried or (len(tried) < budget.trials and _seconds(tried) < budget.seconds):
        if not tried:
            begun = [_Tried(0, defaults)]
        else:
            study = study or _study(space, seed, tried[0])
            count = min(ROUND, budget.trials - len(tried))
            begun = [_draw(study, space, defaults, budget, len(tried) + more) for more in range(count)]
        tried += begun
        if len(begun) > 1:
            yield from _train(begun, lambda x: x.model_copy(update={"epochs": max(1, min(x.epochs, first_epochs))}))
        going_on = sorted((one for one in begun if not one.reason), key=lambda one: one.loss)
        going_on = [one for one in going_on[: math.ceil(len(begun) / SURVIVORS)] if not one.whole]
        if going_on:
            yield from _train(going_on, lambda settings: settings)
        for one in begun:
            _learn(study, one)
    return _found(name, title, space, budget, tried)


def _train(trials: list[_Tried], changed: Callable[[FitSettings], FitSettings]) -> Asking:
    """Have some trials trained with changed settings, and note how it went."""
    outcomes = yield [Attempt(one.number, changed(one.settings)) for one in trials]
    for one, outcome in zip(trials, outcomes, strict=True):
        if isinstance(outcome, Exception):
            one.made, one.reason = None, str(outcome)
            continue
        one.seconds += outcome["facts"]["seconds"]
        one.reason = outcome["facts"].get("failed")
        one.made = None if one.reason else outcome
        facts = one.facts
        one.whole = bool(facts) and (facts["stopped_early"] or len(facts["val_loss"]) == one.settings.epochs)


def _seconds(tried: list[_Tried]) -> float:
    return sum(one.seconds for one in tried)


def _study(space: SearchSpace, seed: int, default: _Tried) -> "optuna.Study":
    """An Optuna study that knows how the default configuration went, where that lies in the space."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=ROUND - 1, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.NopPruner())
    study.enqueue_trial({name: encoded(where, where.known) for name, where in space.fields.items()})
    values = {name: getattr(default.settings, name) for name in space.fields}
    if default.made and all(contains(where, values[name]) for name, where in space.fields.items()):
        params = {name: encoded(where, values[name]) for name, where in space.fields.items()}
        distributions = {name: distribution(where) for name, where in space.fields.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=default.loss))
    return study


def _draw(
    study: "optuna.Study", space: SearchSpace, defaults: FitSettings, budget: TuningSettings, number: int
) -> _Tried:
    drawn = study.ask({name: distribution(where) for name, where in space.fields.items()})
    values = {name: decoded(where, drawn.params[name]) for name, where in space.fields.items()}
    settings = type(defaults).model_validate(defaults.model_dump() | values | {"epochs": budget.trial_epochs})
    return _Tried(number, settings, drawn)


def _learn(study: "optuna.Study | None", one: _Tried) -> None:
    """Tell Optuna how a trial went that it drew."""
    if study is None or one.drawn is None:
        return
    from optuna.trial import TrialState

    if one.reason:
        study.tell(one.drawn, state=TrialState.FAIL)
    elif one.whole:
        study.tell(one.drawn, one.loss)
    else:
        one.drawn.report(one.loss, len(one.facts["val_loss"]))
        study.tell(one.drawn, state=TrialState.PRUNED)


def _found(name: str, title: str, space: SearchSpace, budget: TuningSettings, tried: list[_Tried]) -> Found:
    able = [one for one in tried if one.whole] or [one for one in tried if one.made]
    winner = min(able, key=lambda one: one.loss, default=None)
    tuning = Tuning(
        name=name,
        title=title,
        trials_allowed=budget.trials,
        seconds_allowed=budget.seconds,
        seconds_used=_seconds(tried),
        searched=[_searched(field, where) for field, where in space.fields.items()],
        trials=[_trial(space, one) for one in tried],
        winner=winner.number if winner else None,
    )
    if winner is None or winner.made is None:
        return Found(tuning, tried[0].settings, TrialsFailed(f"every trial failed; the first: {tried[0].reason}"))
    return Found(tuning, winner.settings, winner.made)


def _searched(name: str, where: Between | OneOf) -> SearchedSetting:
    if isinstance(where, Between):
        return SearchedSetting(name=name, low=where.low, high=where.high, log=where.log)
    return SearchedSetting(name=name, choices=list(where.values), ordered=where.ordered)


def _trial(space: SearchSpace, one: _Tried) -> Trial:
    return Trial(
        number=one.number,
        state="failed" if one.reason else "finished" if one.whole else "pruned",
        settings={name: as_json(getattr(one.settings, name)) for name in space.fields},
        epochs=len(one.facts.get("val_loss", [])),
        best_epoch=one.facts.get("best_epoch"),
        val_mse=one.loss if one.made else None,
        seconds=one.seconds,
        parameters=one.facts.get("parameters"),
        reason=one.reason,
    )
