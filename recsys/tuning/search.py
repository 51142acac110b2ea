"""A search over the models of a family and their settings: what is tried, for how long, and what wins.

First each model is tried with its settings as given, then with its known points. Then follow rounds of trials that are
drawn, model and settings together, by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for
Hyper-Parameter Optimization"), which learns from one round to the next. A round is a step of successive halving
(Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization"): all are trained
for the first epochs, the best third anew for as many epochs as they need. On large data, the first step is trained on
the ratings of a sample of the users, and there is one for the known settings as well.

The lowest validation loss wins, unless a simple model that the family contains, such as bias only, is within one
standard error of it: of few validation ratings, the lowest of many losses is low by chance.

The course of a search hangs on its seed and on the validation losses that it is told; on the seconds only where
these run out before the trials do. Nothing here knows a test rating.
"""

import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import TrialsFailed
from recsys.evaluation.results import SearchedSetting, Trial, Tuning
from recsys.models.search_space import (
    MANY_TRIALS,
    Between,
    OneOf,
    as_json,
    contains,
    distribution,
    drawn,
    encoded,
)
from recsys.models.settings import FitSettings
from recsys.models.specs import Family
from recsys.store.store import Manifest
from recsys.tuning.members import Allowance, Member, known_settings
from recsys.tuning.standard_error import SquaredErrors, is_better_by_chance

if TYPE_CHECKING:
    import optuna

ROUND = 6
"""Trials that are drawn together, at most."""

FIRST_EPOCHS = 4
"""The first epochs of a trial are one in so many."""

SURVIVORS = 3
"""One in so many goes on after the first step."""

MOST_DRAWS = 20
"""Times that settings are drawn for one trial, as those that were tried before tell nothing."""

MARGIN = 1.03
"""A search of few trials draws only models whose best trial is within this factor of the family's best loss."""


@dataclass(frozen=True)
class Attempt:
    """A training that a search asks for, of trial `number`, on about `sampled` ratings (0: on all)."""

    number: int
    model: str
    settings: FitSettings
    sampled: int = 0


@dataclass(frozen=True)
class Chosen:
    """What became of a model: the settings of its best trial, those given where every trial failed.

    `fit` is that trial's training, or why there is none.
    """

    settings: FitSettings
    fit: Manifest | Exception


@dataclass(frozen=True)
class Found:
    """What a search ends with: its course, and its models by name. `tuning.name` is the family's winner."""

    tuning: Tuning
    rows: Mapping[str, Chosen]


Asking = Generator[list[Attempt], Sequence[Manifest | Exception], None]


@dataclass
class _Tried:
    number: int
    member: Member
    settings: FitSettings
    drawn: "optuna.Trial | None" = None
    made: Manifest | None = None
    whole: bool = False
    sampled: bool = False
    reason: str | None = None
    seconds: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        return self.made["facts"] if self.made else {}

    @property
    def is_simple(self) -> bool:
        """Whether it tries the settings of a simple model that its model contains."""
        return self.member.is_simple(self.settings)

    @property
    def loss(self) -> float:
        """The validation loss of the weights that its last training kept."""
        return float(self.facts["val_loss"][self.facts["scored_epoch"] - 1]) if self.made else math.inf


def search(
    family: Family, members: Sequence[Member], allowed: Allowance, seed: int, errors: SquaredErrors
) -> Generator[list[Attempt], Sequence[Manifest | Exception], Found]:
    """Search a family's models and settings: yield attempts to be trained side by side, be sent how they went.

    Sent back is, for each attempt in order, the manifest of its training, whose facts are those of
    `recsys.training.train.fit_and_validate`, or what it raised. `errors` tells what the mean of a trial's validation
    loss is of.
    """
    tried = [_Tried(number, *known) for number, known in enumerate(known_settings(members, allowed.draws))]
    points = len(tried)
    trials = allowed.trials if allowed.draws else points
    yield from _try_known(tried, members, allowed.sampled)
    study = None
    while len(tried) < trials and (len(tried) < allowed.granted or _seconds(tried) < allowed.seconds):
        study = study or _Study(_promising(members, tried, allowed.draws), tried, seed)
        count = min(ROUND, trials - len(tried))
        begun = [study.draw(len(tried) + more) for more in range(count)]
        tried += begun
        if count > 1 or allowed.sampled:
            yield from _train(begun, allowed.sampled, shortened=True)
        going_on = sorted((one for one in begun if not one.reason), key=lambda one: one.loss)
        yield from _train([one for one in going_on[: max(1, count // SURVIVORS)] if not one.whole])
        for one in begun:
            study.learn(one)
    return _found(family, members, trials, allowed.seconds, points, tried, errors)


def expected_attempts(members: Sequence[Member], allowed: Allowance) -> list[str]:
    """Return the models of about the attempts that follow those of the known settings, the models taking turns.

    Which models and settings these are is not known before. Seconds that run out are left out of account.
    """
    drawn = allowed.trials - len(known_settings(members, allowed.draws)) if allowed.draws else 0
    rounds = [min(ROUND, drawn - begun) for begun in range(0, drawn, ROUND)]
    attempts = sum(count + max(1, count // SURVIVORS) if count > 1 else 1 for count in rounds)
    return [members[number % len(members)].name for number in range(attempts)]


def _try_known(tried: list[_Tried], members: Sequence[Member], sampled: int) -> Asking:
    """Train known settings whole; on large data only the best third on a sample, and of each model its best and simple.

    Simple models are cheap, and the winner is to be no worse than they are on all validation ratings. That they are
    better on the few ratings of a sample says little of all: the best of a model is one that is not simple.
    """
    going_on = tried
    if sampled and len(tried) > len(members):
        yield from _train(tried, sampled)
        order = sorted((one for one in tried if not one.reason), key=lambda one: one.loss)
        best = {one.member.name: one.number for one in reversed(order) if not one.is_simple}.values()
        third = [one.number for one in order[: math.ceil(len(tried) / SURVIVORS)]]
        simple = [one.number for one in order if one.is_simple]
        going_on = [one for one in tried if one.number in {*best, *third, *simple}]
    yield from _train(going_on)


def _train(trials: list[_Tried], sampled: int = 0, *, shortened: bool = False) -> Asking:
    """Have some trials trained, for their first epochs if `shortened`, and note how it went."""
    if not trials:
        return
    asked = [one.settings for one in trials]
    if shortened:
        asked = [x.model_copy(update={"epochs": max(1, x.epochs // FIRST_EPOCHS)}) for x in asked]
    outcomes = yield [Attempt(one.number, one.member.name, x, sampled) for one, x in zip(trials, asked, strict=True)]
    for one, settings, outcome in zip(trials, asked, outcomes, strict=True):
        one.sampled = bool(sampled)
        if isinstance(outcome, Exception):
            one.made, one.reason = None, str(outcome)
            continue
        one.seconds += outcome["facts"]["seconds"]
        one.reason = outcome["facts"].get("failed")
        one.made = None if one.reason else outcome
        one.whole = bool(one.made) and not sampled and (settings == one.settings or one.facts["stopped_early"])


def _seconds(tried: list[_Tried]) -> float:
    return sum(one.seconds for one in tried)


def _promising(members: Sequence[Member], tried: list[_Tried], draws: int) -> list[Member]:
    """The models that trials are drawn of: of a search of few trials, those that are not far behind."""
    whole = [one for one in tried if one.whole]
    if draws >= MANY_TRIALS or not whole:
        return list(members)
    limit = MARGIN * min(one.loss for one in whole)
    near = {one.member.name for one in whole if one.loss <= limit}
    return [member for member in members if member.name in near]


class _Study:
    """An Optuna study of models and their settings, which knows how the trials of known settings went."""

    def __init__(self, members: Sequence[Member], known: Sequence[_Tried], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():  # the version is locked, and that an argument may change is no news for users
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=ROUND - 1, multivariate=True, group=True, constant_liar=True
            )
        self._members = {member.name: member for member in members}
        self._study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.NopPruner())
        self._tried = [(one.member.name, one.settings) for one in known]
        for one in known:
            self._add(one)

    def _add(self, one: _Tried) -> None:
        """Add a trial of known settings, where these lie in the space."""
        import optuna

        fields, name = one.member.space.fields, one.member.name
        values = {field: getattr(one.settings, field) for field in fields}
        if name not in self._members or not one.whole:
            return
        if not all(contains(where, values[field]) for field, where in fields.items()):
            return
        params = {f"{name}.{field}": encoded(where, values[field]) for field, where in fields.items()}
        distributions = {f"{name}.{field}": distribution(where) for field, where in fields.items()}
        which = optuna.distributions.CategoricalDistribution(list(self._members))
        made = optuna.trial.create_trial(
            params={MODEL_PARAMETER: name, **params},
            distributions={MODEL_PARAMETER: which, **distributions},
            value=one.loss,
        )
        self._study.add_trial(made)

    def draw(self, number: int) -> _Tried:
        """Draw a model, and settings for it, which were not tried before unless that is hard to avoid."""
        from optuna.trial import TrialState

        for left in reversed(range(MOST_DRAWS)):
            trial = self._study.ask()
            name = trial.suggest_categorical(MODEL_PARAMETER, list(self._members))
            member = self._members[name]
            values = {x: drawn(where, trial, f"{name}.{x}") for x, where in member.space.fields.items()}
            settings = member.with_values(values)
            if (name, settings) not in self._tried or not left:
                break
            self._study.tell(trial, state=TrialState.FAIL)
        self._tried.append((name, settings))
        return _Tried(number, member, settings, trial)

    def learn(self, one: _Tried) -> None:
        """Tell Optuna how a trial went that it drew."""
        from optuna.trial import TrialState

        assert one.drawn, "it was drawn"
        if one.reason:
            self._study.tell(one.drawn, state=TrialState.FAIL)
        elif one.whole:
            self._study.tell(one.drawn, one.loss)
        else:
            one.drawn.report(one.loss, len(one.facts["val_loss"]))
            self._study.tell(one.drawn, state=TrialState.PRUNED)


MODEL_PARAMETER = "model"


def _found(
    family: Family,
    members: Sequence[Member],
    trials: int,
    seconds: float,
    points: int,
    tried: list[_Tried],
    errors: SquaredErrors,
) -> Found:
    best = {member.name: one for member in members if (one := _best_of(member, tried, errors))}
    able = [one for one in best.values() if one.whole] or list(best.values())
    winner = _lowest(able, errors)
    lowest = min((one for one in tried if one.whole), key=lambda one: one.loss, default=winner)
    row = winner.member if winner else members[0]
    tuning = Tuning(
        name=row.name,
        title=row.title,
        family=family,
        points=points,
        trials_allowed=trials,
        seconds_allowed=seconds,
        seconds_used=_seconds(tried),
        searched=[
            _searched(member.name, field, where) for member in members for field, where in member.space.fields.items()
        ],
        trials=[_trial(one) for one in tried],
        winner=winner.number if winner else None,
        lowest=lowest.number if lowest else None,
    )
    return Found(tuning, {member.name: _chosen(member, best.get(member.name), tried) for member in members})


def _best_of(member: Member, tried: list[_Tried], errors: SquaredErrors) -> _Tried | None:
    """The model's best trial on all ratings, a whole one if there is any."""
    made = [one for one in tried if one.member is member and one.made and not one.sampled]
    return _lowest([one for one in made if one.whole] or made, errors)


def _lowest(trials: list[_Tried], errors: SquaredErrors) -> _Tried | None:
    """The trial of the lowest loss, or the best of simple settings if it is better than these by chance only."""
    best = min(trials, key=lambda one: one.loss, default=None)
    simple = min((one for one in trials if one.is_simple), key=lambda one: one.loss, default=None)
    if best is None or simple is None or best.is_simple:
        return best
    assert best.made, "it has a loss"
    assert simple.made, "it has a loss"
    return simple if is_better_by_chance(errors(best.made), errors(simple.made)) else best


def _chosen(member: Member, best: _Tried | None, tried: list[_Tried]) -> Chosen:
    if best is None or best.made is None:
        reason = next((one.reason for one in tried if one.member is member and one.reason), None)
        return Chosen(member.given, TrialsFailed(f"every trial failed; the first: {reason}"))
    if member.chooses_epochs:
        return Chosen(best.settings, best.made)
    return Chosen(best.settings.model_copy(update={"epochs": member.given.epochs}), best.made)


def _searched(model: str, name: str, where: Between | OneOf) -> SearchedSetting:
    if isinstance(where, Between):
        return SearchedSetting(name=name, model=model, low=where.low, high=where.high, log=where.log)
    return SearchedSetting(name=name, model=model, choices=list(where.values), ordered=where.ordered)


def _trial(one: _Tried) -> Trial:
    fields = one.member.space.fields
    return Trial(
        number=one.number,
        model=one.member.name,
        state="failed" if one.reason else "finished" if one.whole else "pruned",
        settings={name: as_json(getattr(one.settings, name)) for name in fields},
        epochs=len(one.facts.get("val_loss", [])),
        best_epoch=one.facts.get("best_epoch"),
        val_mse=one.loss if one.made else None,
        seconds=one.seconds,
        parameters=one.facts.get("parameters"),
        sampled=one.sampled and not one.reason,
        reason=one.reason,
    )
