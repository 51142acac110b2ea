"""The one contest that the answer is about, on any split: the matrix factorisation against the best deep network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recsys.evaluation.comparison import Comparison, Difference, OtherSplit
from recsys.evaluation.effect import smallest_effect
from recsys.report.standing import (
    Outcome,
    chance_factor,
    difference_of,
    is_network,
    outcome_by_margin,
    outcome_for,
    tie_margin,
)


class Contestant(Protocol):
    """A row under any split."""

    @property
    def name(self) -> str:
        """The name in settings and files."""

    @property
    def title(self) -> str:
        """How the report calls it."""

    @property
    def mse(self) -> float:
        """Test error, in squared rating units."""


@dataclass(frozen=True)
class Duel:
    """How the best network did against the factorisation.

    `gap` is the network's MSE less the factorisation's, in squared rating units; `outcome` is the network's.
    `tested` is None where the difference was not tested.
    """

    factorisation: Contestant
    network: Contestant
    gap: float
    outcome: Outcome
    tested: Difference | None

    @property
    def better(self) -> Contestant:
        """Whichever has the lower error."""
        return self.network if self.gap < 0 else self.factorisation

    @property
    def worse(self) -> Contestant:
        """Whichever has not."""
        return self.factorisation if self.gap < 0 else self.network

    @property
    def reach(self) -> tuple[float, float] | None:
        """The 95% interval of `gap`, if there is one."""
        if self.tested is None or self.tested.low is None or self.tested.high is None:
            return None
        low, high = self.tested.low, self.tested.high
        return (low, high) if self.tested.name == self.network.name else (-high, -low)


def duel(comparison: Comparison) -> Duel | None:
    """The contest on the comparison's own split; None where a side is missing."""
    return _duel(comparison.models, comparison.differences, tie_margin(comparison))


def duel_under(comparison: Comparison, split: OtherSplit) -> Duel | None:
    """The contest on another split of the same ratings; None where a side is missing."""
    margin = smallest_effect(comparison.min_effect, split.rating_sd) * chance_factor(split.test_rows)
    return _duel(split.scores, split.differences, margin)


def _duel(rows: Sequence[Contestant], differences: Sequence[Difference], margin: float) -> Duel | None:
    by_name = {row.name: row for row in rows}
    factorisation = by_name.get("mf_tuned") or by_name.get("mf")
    network = min((row for row in rows if is_network(row.name)), key=lambda row: row.mse, default=None)
    if factorisation is None or network is None:
        return None
    gap, tested = network.mse - factorisation.mse, difference_of(differences, network.name, factorisation.name)
    outcome = outcome_for(tested, network.name) if tested else outcome_by_margin(gap, margin)
    return Duel(factorisation, network, gap, outcome, tested)
