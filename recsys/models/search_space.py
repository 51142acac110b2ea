"""What a search of a model's settings may vary, as data, and its values as Optuna and as JSON have them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = int | float | bool | str | list[int]
"""What a searched setting may be."""

MANY_TRIALS = 16
"""A search of fewer trials varies the most useful settings only."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    known: Value
    """What the known point of the space has here."""


@dataclass(frozen=True)
class Between(_Known):
    """A number between two others, drawn evenly or, with `log`, evenly among its logarithms."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class OneOf(_Known):
    """One of several values; `ordered` where the first and the last are the ends of a scale."""

    values: tuple[Value, ...]
    ordered: bool = True


@dataclass(frozen=True)
class SearchSpace:
    """What a search of a model's settings may vary.

    The defaults of the settings need not lie in the space: they are trial 0 in any case. The known points, which are
    tried next, and the ranges come from some dozens of trials by hand a family, on the validation ratings of the
    embedded sample: there a search begins with a head start that its budget does not count. On any other ratings they
    are guesses like all defaults.

    Attributes:
        fields: field of the settings -> what it may be.
        further: fields that only a search of many trials varies; they are costly, or seldom of use.
    """

    fields: Mapping[str, Between | OneOf]
    further: frozenset[str] = frozenset()

    @property
    def known(self) -> dict[str, Value]:
        """The known point."""
        return {name: where.known for name, where in self.fields.items()}

    def for_trials(self, trials: int) -> "SearchSpace":
        """Return the space of a search of so many trials: with few, `further` fields keep their known value."""
        if trials >= MANY_TRIALS:
            return self
        known = self.known
        fixed = {name: OneOf((known[name],), ordered=False, known=known[name]) for name in self.further}
        return replace(self, fields={**self.fields, **fixed})


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


def decoded(where: Between | OneOf, value: Any) -> Any:
    """Return what Optuna drew as a setting."""
    return value if isinstance(where, Between) else json.loads(value)


def as_json(value: Any) -> Value:
    """Return a setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
