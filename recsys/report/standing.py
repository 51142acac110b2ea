"""Who stands where: the order of the rows, the smallest gap that counts, and pairwise outcomes."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from recsys.evaluation.comparison import BaselineResult, Comparison, ModelResult

Outcome = Literal["better", "tie", "worse"]


class Named(Protocol):
    """A row of the table, scored or failed."""

    @property
    def name(self) -> str:
        """The name in settings and files."""


Row = TypeVar("Row", bound=Named)
Scored = TypeVar("Scored", bound=BaselineResult)

TIE_SHARE_OF_VARIANCE = 0.0045
"""Gaps in MSE below this share of the ratings' variance are a tie: 0.005 where the variance is 1.12, as
on MovieLens' scale of 0.5 to 5. That is two standard errors of a paired difference over
TIE_TEST_ROWS test ratings, and about what another seed or another split moves."""

TIE_TEST_ROWS = 20_000
"""With fewer test ratings chance moves more, as one over the square root of their number; with more of
them the seed still does, so the margin does not shrink."""

FIXED_ORDER = ("mf", "mf_tuned", "dnn", "dnn_tuned", "item_knn", "bias_only", "item_mean", "user_mean", "global_mean")


def tie_margin(comparison: Comparison) -> float:
    """The largest gap between two test MSEs that is still called a tie, in squared rating units."""
    return gap_by_chance(comparison, comparison.data.test_rows)


def gap_by_chance(comparison: Comparison, rows: int) -> float:
    """The largest gap between two MSEs over the same `rows` ratings that may be chance."""
    return mse_step(comparison) * max(1.0, math.sqrt(TIE_TEST_ROWS / max(1, rows)))


def mse_step(comparison: Comparison) -> float:
    """The smallest difference of squared errors that is worth writing; 0 where ratings do not vary."""
    return TIE_SHARE_OF_VARIANCE * comparison.data.rating_sd**2


def rmse_step(comparison: Comparison) -> float:
    """The same in rating units: d(rmse) = d(mse) / 2 rmse, at an rmse of one standard deviation."""
    return TIE_SHARE_OF_VARIANCE * comparison.data.rating_sd / 2


def outcome(mse: float, rival: float, margin: float) -> Outcome:
    """How one error compares with a rival's."""
    if abs(mse - rival) <= margin:
        return "tie"
    return "better" if mse < rival else "worse"


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Known names in their fixed order, then the others as they come."""
    rank = {name: position for position, name in enumerate(FIXED_ORDER)}
    return sorted(rows, key=lambda row: rank.get(row.name, len(rank)))


def factorisation(comparison: Comparison) -> ModelResult | None:
    """The matrix factorisation that networks are measured against, if one was scored: the tuned one, else the plain."""
    scored = {model.name: model for model in comparison.models}
    return scored.get("mf_tuned") or scored.get("mf")


def networks(comparison: Comparison) -> list[ModelResult]:
    """The deep networks that were scored."""
    return [model for model in in_order(comparison.models) if is_network(model.name)]


def is_network(name: str) -> bool:
    """Whether a model's name is that of a deep network."""
    return name.startswith("dnn")


def bias_only(comparison: Comparison) -> BaselineResult | None:
    """The baseline of mean, user bias and item bias, if it was scored."""
    return next((row for row in comparison.baselines if row.name == "bias_only"), None)


def best(rows: Sequence[Scored]) -> Scored | None:
    """The row of the lowest test error; the first of equals."""
    return min(rows, key=lambda row: row.mse, default=None)


def scored(comparison: Comparison) -> list[BaselineResult]:
    """Every row of the table: the models, then the baselines."""
    return in_order([*comparison.models, *comparison.baselines])
