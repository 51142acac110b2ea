"""What a search of a model's settings may vary, as data, and its values as Optuna and as JSON have them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from recsys.models.settings import epochs_on

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Value = int | float | bool | str | list[int]
"""What a searched setting may be."""

MANY_TRIALS = 16
"""A search that draws fewer trials varies the most useful settings, of the most promising models, only."""

USUAL_RATINGS = 16.0
"""Training ratings of a user or an item, on average, in the embedded sample, where the ranges come from."""

MOST_ADAPTED = 4.0
"""Ranges are stretched by at most this factor."""


@dataclass(frozen=True)
class DataSize:
    """The numbers of training ratings, users and items."""

    ratings: int
    users: int
    items: int

    @property
    def sparsity(self) -> float:
        """How many times as few ratings a user or an item has on average as in the embedded sample, from 1/4 to 4."""
        average = 2 * self.ratings / (self.users + self.items)
        return min(MOST_ADAPTED, max(1 / MOST_ADAPTED, USUAL_RATINGS / average))


@dataclass(frozen=True, kw_only=True)
class _Known:
    known: Value
    """What the known point of the space has here."""


@dataclass(frozen=True)
class Between(_Known):
    """A number between two others, drawn evenly or, with `log`, evenly among its logarithms.

    A `penalty` is L2 regularisation per rating. The prior that it stands for has a fixed weight against all ratings of
    a user, so that the best one grows where these are few: there the range reaches further up, else further down.
    """

    low: float
    high: float
    log: bool = False
    penalty: bool = False

    def adapted(self, sparsity: float) -> Self:
        """Return the range for ratings of this `DataSize.sparsity`; it never shrinks."""
        if not self.penalty:
            return self
        return replace(self, low=self.low * min(1.0, sparsity), high=self.high * max(1.0, sparsity))


@dataclass(frozen=True)
class OneOf(_Known):
    """One of several values; `ordered` where the first and the last are the ends of a scale.

    With `sizes`, which are numbers of factors or units, smaller ones are added where a user has few ratings.
    """

    values: tuple[Value, ...]
    ordered: bool = True
    sizes: bool = False

    def adapted(self, sparsity: float) -> Self:
        """Return the choices for ratings of this `DataSize.sparsity`; none is ever left out."""
        lowest = self.values[0]
        if not self.sizes or not isinstance(lowest, int):
            return self
        smaller = {lowest // share for share in (4, 2) if share <= sparsity} - {0}
        return replace(self, values=(*sorted(smaller), *self.values))


@dataclass(frozen=True)
class SearchSpace:
    """What a search of a model's settings may vary.

    The defaults of the settings need not lie in the space: they are tried in any case. So are the known points, which
    come, as the ranges do, from some dozens of trials by hand a family, on the validation ratings of the embedded
    sample: there a search begins with a head start that its budget does not count. On any other ratings they are
    guesses like all defaults.

    Attributes:
        fields: field of the settings -> what it may be.
        further: fields that only a search of many trials varies; they are costly, or seldom of use.
        simpler: what further known points, cheaper than that of `fields`, have in other fields or outside of the
            ranges: the simple models that the model contains.
        epochs: of a trial that is drawn, at most; fewer on many ratings, see `recsys.models.settings.epochs_on`.
    """

    fields: Mapping[str, Between | OneOf]
    further: frozenset[str] = frozenset()
    simpler: tuple[Mapping[str, Value], ...] = ()
    epochs: int = 48

    @property
    def known(self) -> list[dict[str, Value]]:
        """The known points, the cheapest first."""
        point = {name: where.known for name, where in self.fields.items()}
        return [*(point | dict(changes) for changes in self.simpler), point]

    def of_search(self, size: DataSize, draws: int, most_epochs: int | None) -> "SearchSpace":
        """Return the space of a search on so many ratings, which draws so many trials, of so many epochs at most.

        Ranges may be wider; with few trials, `further` fields keep their known value.
        """
        fields = {name: where.adapted(size.sparsity) for name, where in self.fields.items()}
        if draws < MANY_TRIALS:
            known = {name: fields[name].known for name in self.further}
            fields |= {name: OneOf((value,), ordered=False, known=value) for name, value in known.items()}
        epochs = min(epochs_on(size.ratings, self.epochs), most_epochs or self.epochs)
        return replace(self, fields=fields, epochs=epochs)


def distribution(where: Between | OneOf) -> "BaseDistribution":
    """Return what Optuna draws from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(where, Between):
        return FloatDistribution(where.low, where.high, log=where.log)
    return CategoricalDistribution([json.dumps(value) for value in where.values])


def contains(where: Between | OneOf, value: Any) -> bool:
    """Return whether a setting lies in its part of the space."""
    if isinstance(where, Between):
        return where.low <= float(value) <= where.high
    return as_json(value) in where.values


def encoded(where: Between | OneOf, value: Any) -> Any:
    """Return a setting as Optuna has it."""
    return value if isinstance(where, Between) else json.dumps(as_json(value))


def drawn(where: Between | OneOf, trial: "Trial", name: str) -> Value:
    """Return what an Optuna trial draws for the parameter of this name."""
    if isinstance(where, Between):
        return trial.suggest_float(name, where.low, where.high, log=where.log)
    value: Value = json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in where.values]))
    return value


def as_json(value: Any) -> Value:
    """Return a setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
