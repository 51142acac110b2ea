"""The order of the rows, the smallest gap that counts, and pairwise outcomes on any split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from recsys.evaluation.results import BaselineResult, Combination, Comparison, Difference, ModelResult, OtherSplit
from recsys.evaluation.thresholds import TIE_SHARE_OF_VARIANCE, chance_factor, smallest_effect
from recsys.models.specs import MODEL, ROW, family_of

Outcome = Literal["better", "tie", "worse"]


class Named(Protocol):
    """A row of the table, scored or failed."""

    @property
    def name(self) -> str:
        """The name in settings and files."""


class Candidate(Named, Protocol):
    """A row that a search may have chosen."""

    @property
    def chosen(self) -> bool | None:
        """Whether it is the one that the search of its family chose; None where there was no search."""


Row = TypeVar("Row", bound=Named)
OfFamily = TypeVar("OfFamily", bound=Candidate)
Scored = TypeVar("Scored", bound=BaselineResult)


def effect(comparison: Comparison) -> float:
    """The MSE difference below which two rows are a tie whatever the evidence, in squared rating units."""
    return smallest_effect(comparison.min_effect, comparison.data.rating_sd)


def tie_margin(comparison: Comparison) -> float:
    """The largest gap between two test MSEs that is a tie where the difference was not tested."""
    return gap_by_chance(comparison, comparison.data.test_rows)


def gap_by_chance(comparison: Comparison, rows: int) -> float:
    """The largest gap between two MSEs over the same `rows` ratings that may be chance."""
    return effect(comparison) * chance_factor(rows)


def mse_step(comparison: Comparison) -> float:
    """The smallest difference of squared errors that is worth writing; 0 where ratings do not vary."""
    scale = smallest_effect(None, comparison.data.rating_sd)
    return min(scale, effect(comparison) or scale)


def rmse_step(comparison: Comparison) -> float:
    """The same in rating units: d(rmse) = d(mse) / 2 rmse, at an rmse of one standard deviation."""
    return TIE_SHARE_OF_VARIANCE * comparison.data.rating_sd / 2


def outcome(comparison: Comparison, row: BaselineResult, rival: BaselineResult) -> Outcome:
    """How one row compares with a rival: as their difference was found, or by the margin if it was not tested."""
    tested, margin = difference(comparison, row, rival), tie_margin(comparison)
    return outcome_for(tested, row.name) if tested else outcome_by_margin(row.mse - rival.mse, margin)


def outcome_for(tested: Difference, name: str) -> Outcome:
    """How the row of this name comes out of a tested difference that it is part of."""
    if tested.verdict in ("too small", "not certain"):
        return "tie"
    return "better" if (tested.verdict == "better") == (tested.name == name) else "worse"


def outcome_by_margin(gap: float, margin: float) -> Outcome:
    """How a row comes out that has `gap` more MSE than its rival, where the difference was not tested."""
    if abs(gap) <= margin:
        return "tie"
    return "better" if gap < 0 else "worse"


def difference(comparison: Comparison, row: BaselineResult, rival: BaselineResult) -> Difference | None:
    """The tested difference of two rows, whichever comes first in it."""
    return difference_of(comparison.differences, row.name, rival.name)


def difference_of(differences: Sequence[Difference], one: str, other: str) -> Difference | None:
    """The difference between the rows of two names, whichever comes first in it."""
    return next((tested for tested in differences if {tested.name, tested.other} == {one, other}), None)


def is_uncertain(comparison: Comparison, row: BaselineResult, rival: BaselineResult) -> bool:
    """Whether two rows are a tie for want of evidence, not of size."""
    tested = difference(comparison, row, rival)
    return tested is not None and tested.verdict == "not certain"


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The rows in the order of their records, then those that have none as they come."""
    rank = {name: position for position, name in enumerate(ROW)}
    return sorted(rows, key=lambda row: rank.get(row.name, len(rank)))


def factorisation(comparison: Comparison) -> ModelResult | None:
    """The matrix factorisation that networks are measured against, if one was scored.

    It is the one that the search chose on validation ratings, else a tuned one, else a plain one.
    """
    return factorisation_among(comparison.models)


def networks(comparison: Comparison) -> list[ModelResult]:
    """The deep networks that are compared: the one that the search chose on validation ratings, else all."""
    return networks_among(comparison.models)


def sides(comparison: Comparison) -> list[ModelResult]:
    """The models that the verdict is about: the factorisation, then the networks."""
    model = factorisation(comparison)
    return [*([model] if model else []), *networks(comparison)]


def is_network(name: str) -> bool:
    """Whether a model's name is that of a deep network."""
    return family_of(name) == "dnn"


def factorisation_among(rows: Sequence[OfFamily]) -> OfFamily | None:
    """The matrix factorisation that networks are measured against, among rows of any split."""
    family = [row for row in in_order(rows) if family_of(row.name) == "mf"]
    ranked = [*(row for row in family if row.chosen), *(row for row in family if MODEL[row.name].space), *family]
    return next(iter(ranked), None)


def networks_among(rows: Sequence[OfFamily]) -> list[OfFamily]:
    """The deep networks that are compared, among rows of any split."""
    family = [row for row in in_order(rows) if is_network(row.name)]
    return [row for row in family if row.chosen] or family


def bias_only(comparison: Comparison) -> BaselineResult | None:
    """The baseline of mean, user bias and item bias, if it was scored."""
    return next((row for row in comparison.baselines if row.name == "bias_only"), None)


def best(rows: Sequence[Scored]) -> Scored | None:
    """The row of the lowest test error; the first of equals."""
    return min(rows, key=lambda row: row.mse, default=None)


def scored(comparison: Comparison) -> list[BaselineResult]:
    """Every row that stands for itself: the models, then the baselines."""
    return in_order([*comparison.models, *comparison.baselines])


def every_row(comparison: Comparison) -> list[BaselineResult]:
    """Every row of the table: the models, the combinations of rows, then the baselines."""
    return [*in_order(comparison.models), *comparison.combinations, *in_order(comparison.baselines)]


def best_network(comparison: Comparison) -> ModelResult | None:
    """The deep network that the search chose, else that of the lowest test error, if one was scored."""
    return best(networks(comparison))


def best_combination(comparison: Comparison) -> Combination | None:
    """The combination of the lowest test error, where it beats every single row by more than a tie."""
    leader, single = best(comparison.combinations), best(scored(comparison))
    return leader if leader and single and outcome(comparison, leader, single) == "better" else None


class Contestant(Candidate, Protocol):
    """A row under any split."""

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
        tested = self.tested
        if tested is None or tested.low is None or tested.high is None:
            return None
        return (tested.low, tested.high) if tested.name == self.network.name else (-tested.high, -tested.low)


def duel(comparison: Comparison) -> Duel | None:
    """The contest on the comparison's own split; None where a side is missing."""
    return _duel(comparison.models, comparison.differences, tie_margin(comparison))


def duel_under(comparison: Comparison, split: OtherSplit) -> Duel | None:
    """The contest on another split of the same ratings; None where a side is missing."""
    margin = smallest_effect(comparison.min_effect, split.rating_sd) * chance_factor(split.test_rows)
    return _duel(split.scores, split.differences, margin)


def _duel(rows: Sequence[Contestant], differences: Sequence[Difference], margin: float) -> Duel | None:
    factorisation = factorisation_among(rows)
    network = min(networks_among(rows), key=lambda row: row.mse, default=None)
    if factorisation is None or network is None:
        return None
    gap, tested = network.mse - factorisation.mse, difference_of(differences, network.name, factorisation.name)
    outcome = outcome_for(tested, network.name) if tested else outcome_by_margin(gap, margin)
    return Duel(factorisation, network, gap, outcome, tested)


def held_out_name(comparison: Comparison) -> str:
    """What the ratings behind `val_loss` are: in protocol notebook they are the test ratings."""
    return "test" if comparison.protocol == "notebook" else "validation"
