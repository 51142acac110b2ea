"""What a search of a model's settings may vary, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

Value = int | float | bool | str | list[int]
"""What a searched setting may be."""

MANY_TRIALS = 16
"""A search of fewer trials varies the most useful settings only."""


@dataclass(frozen=True)
class Between:
    """A number between two others, drawn evenly or, with `log`, evenly among its logarithms."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of several values; `ordered` where the first and the last are the ends of a scale."""

    values: tuple[Value, ...]
    ordered: bool = True


@dataclass(frozen=True)
class SearchSpace:
    """What a search of a model's settings may vary.

    The defaults of the settings need not lie in the space: they are trial 0 in any case. The known points and the
    ranges come from some dozens of trials by hand a family, on the validation ratings of the embedded sample: there a
    search begins with a head start that its budget does not count. On any other ratings they are guesses like all
    defaults.

    Attributes:
        fields: field of the settings -> what it may be.
        known: a point of the space that is tried next after trial 0.
        further: fields that only a search of many trials varies; they are costly, or seldom of use.
    """

    fields: Mapping[str, Between | OneOf]
    known: Mapping[str, Value]
    further: frozenset[str] = frozenset()

    def for_trials(self, trials: int) -> "SearchSpace":
        """Return the space of a search of so many trials: with few, `further` fields keep their known value."""
        if trials >= MANY_TRIALS:
            return self
        fixed = {name: OneOf((self.known[name],), ordered=False) for name in self.further}
        return replace(self, fields={**self.fields, **fixed})
