"""The metrics of the report, one record each.

Whoever adds a metric adds its function and its record here. The tables of terminal, page and Prefect, comparison.json
and comparison.csv, the manifest that a repeated run is compared with, and `--help` read the records. NumPy and
scikit-learn are imported where a metric is computed: the command line lists the metrics without them.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from inspect import unwrap
from typing import TYPE_CHECKING, Literal, TypeVar

from recsys.errors import BadRatings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]
    Codes = npt.NDArray[np.int32]

Better = Literal["lower", "higher"]
Unit = Literal["squared rating units", "rating units", "percent"]

TOP = 10
"""Places of a ranked list that ranking metrics look at, the reciprocal rank excepted."""


@dataclass(frozen=True)
class Metric:
    """What tables and files need to know of a metric.

    Attributes:
        key: in comparison.json, comparison.csv and manifest.json.
        title: heading of its column.
        meaning: what it measures, without unit and direction.
        unit: percent for a share that is written as a percentage, None for any other number without a unit.
        better: the direction; None for what is neither good nor bad by itself, so that no value is marked as the best.
        step: the smallest difference worth writing, where there is no unit; else it follows from the ratings.
    """

    key: str
    title: str
    meaning: str
    _: KW_ONLY
    unit: Unit | None = None
    better: Better | None = None
    step: float = 0.001

    @property
    def description(self) -> str:
        """Its meaning, unit and direction."""
        unit = f", in {self.unit}" if self.unit and self.unit != "percent" else ""
        return f"{self.meaning}{unit}" + (f"; {self.better} is better" if self.better else "")


@dataclass(frozen=True, kw_only=True)
class RatingMetric(Metric):
    """A metric of predicted ratings.

    Attributes:
        compute: from ratings and predictions, in single or double precision, and user codes, int32, shape (rows,) each;
            None where it is not defined. They may be memory-mapped: see `recsys.blocks.in_blocks`.
        in_subsets: whether it is also computed for warm and for cold test ratings alone.
        in_terminal: whether the terminal, of 80 characters, has a column for it.
    """

    compute: "Callable[[Floats, Floats, Codes], float | None]"
    in_subsets: bool = True
    in_terminal: bool = True


@dataclass(frozen=True)
class RankedItems:
    """The catalogue as it was ranked for each of some users, best first, without the items rated before.

    Attributes:
        top: int32 item codes at the first TOP places, shape (users, TOP), or fewer where the catalogue is smaller; -1
            past the end of a list.
        hits: bool, same shape: whether that item is relevant to the user.
        first_hit: place of the first relevant item, from 1, however late, shape (users,).
        relevant: number of the user's relevant items, at least 1, shape (users,).
        items: size of the catalogue.
    """

    top: "Codes"
    hits: "npt.NDArray[np.bool_]"
    first_hit: "npt.NDArray[np.integer]"
    relevant: "npt.NDArray[np.integer]"
    items: int


@dataclass(frozen=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of ranked lists.

    Attributes:
        compute: its value for each user, shape (users,), of which the mean is reported, or one value for all.
        with_error: whether the standard error of the mean is reported as well.
    """

    compute: "Callable[[RankedItems], Floats | float]"
    with_error: bool = False

    @property
    def keys(self) -> list[str]:
        """Its own key, and that of its standard error."""
        return [self.key, f"{self.key}_error"] if self.with_error else [self.key]


Result = TypeVar("Result")


def of_ratings(compute: "Callable[[Floats, Floats, Codes], Result]") -> "Callable[[Floats, Floats, Codes], Result]":
    """Check what a function that computes a metric of predicted ratings is called with.

    Raises:
        BadIds: a code of a user is no whole number from 0.
        BadRatings: there are no ratings, a rating or a prediction is no finite number, or columns differ in length.
    """

    @wraps(compute)
    def checked(rating: "Floats", prediction: "Floats", user: "Codes") -> Result:
        return compute(*_checked(rating, prediction, user))

    return checked


def _checked(rating: "Floats", prediction: "Floats", user: "Codes") -> "tuple[Floats, Floats, Codes]":
    from recsys.arrays import as_codes, as_numbers, require_one_length

    rating, prediction, user = (
        as_numbers(rating, "rating"),
        as_numbers(prediction, "prediction"),
        as_codes(user, "user"),
    )
    if not require_one_length(rating=rating, prediction=prediction, user_code=user):
        raise BadRatings("There are no ratings: give one or more.")
    return rating, prediction, user


@of_ratings
def mse(rating: "Floats", prediction: "Floats", user: "Codes") -> float:
    """Return the mean squared error."""
    from sklearn.metrics import mean_squared_error

    return _mean(mean_squared_error, rating, prediction)


@of_ratings
def rmse(rating: "Floats", prediction: "Floats", user: "Codes") -> float:
    """Return the square root of the mean squared error."""
    return float(mse(rating, prediction, user) ** 0.5)


@of_ratings
def user_rmse(rating: "Floats", prediction: "Floats", user: "Codes") -> float:
    """Return the mean over the users of the RMSE of each user's ratings, so that every user counts alike."""
    import numpy as np

    from recsys.evaluation.significance import squared_errors_of_users
    from recsys.models.sums import counted

    squares = squared_errors_of_users(user, rating, [prediction])
    rows = counted(user, len(squares))
    return float(np.sqrt(squares[rows > 0] / rows[rows > 0]).mean())


@of_ratings
def mae(rating: "Floats", prediction: "Floats", user: "Codes") -> float:
    """Return the mean absolute error."""
    from sklearn.metrics import mean_absolute_error

    return _mean(mean_absolute_error, rating, prediction)


@of_ratings
def r2(rating: "Floats", prediction: "Floats", user: "Codes") -> float | None:
    """Return the coefficient of determination, None where the ratings do not vary."""
    import numpy as np

    if rating.min() == rating.max():
        return None
    mean = float(rating.mean(dtype=np.float64))
    return 1 - mse(rating, prediction, user) / _mean(lambda known, _: np.mean((known - mean) ** 2), rating, prediction)


def _mean(of: "Callable[[Floats, Floats], float]", rating: "Floats", prediction: "Floats") -> float:
    """The mean over all rows of what is a mean over those of a block, in double precision."""
    import numpy as np

    from recsys.blocks import in_blocks

    blocks = in_blocks(rating, prediction)
    return sum(
        float(of(known.astype(np.float64), predicted.astype(np.float64))) * (len(known) / len(rating))
        for known, predicted in blocks
    )


def ndcg(ranked: RankedItems) -> "Floats":
    """Return the NDCG@TOP of each list, with a gain of 1 for a relevant item.

    It is the sum of 1 / log2(place + 1) over the relevant items among the first TOP, divided by what it is with all
    relevant items first (Järvelin and Kekäläinen 2002, 'Cumulated Gain-Based Evaluation of IR Techniques').
    """
    import numpy as np

    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    ideal: Floats = np.cumsum(discounts)[np.minimum(ranked.relevant, TOP) - 1]
    return ranked.hits @ discounts[: ranked.hits.shape[1]] / ideal


def recall(ranked: RankedItems) -> "Floats":
    """Return for each list the share of its relevant items that are among the first TOP."""
    found: Floats = ranked.hits.sum(axis=1) / ranked.relevant
    return found


def reciprocal_rank(ranked: RankedItems) -> "Floats":
    """Return for each list 1 / place of the first relevant item."""
    found: Floats = 1 / ranked.first_hit
    return found


def coverage(ranked: RankedItems) -> float:
    """Return the share of the catalogue that is among the first TOP of any list."""
    import numpy as np

    return len(np.unique(ranked.top[ranked.top >= 0])) / ranked.items


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        RatingMetric(
            "mse",
            "MSE",
            "mean squared error on the test ratings",
            compute=mse,
            unit="squared rating units",
            better="lower",
        ),
        RatingMetric("rmse", "RMSE", "square root of the MSE", compute=rmse, unit="rating units", better="lower"),
        RatingMetric(
            "user_rmse",
            "RMSE per user",
            "RMSE of each user's test ratings, averaged over the users",
            compute=user_rmse,
            unit="rating units",
            better="lower",
            in_subsets=False,
            in_terminal=False,
        ),
        RatingMetric(
            "mae", "MAE", "mean absolute error on the test ratings", compute=mae, unit="rating units", better="lower"
        ),
        RatingMetric(
            "r2",
            "R²",
            "share of the variance of the test ratings that is explained",
            compute=r2,
            better="higher",
            step=0.01,
        ),
        RankingMetric(
            "ndcg_at_10",
            "NDCG@10",
            "relevant items among the first 10 of a list, discounted by their place, as a share of what the best order "
            "gives, averaged over the users",
            compute=ndcg,
            better="higher",
            with_error=True,
        ),
        RankingMetric(
            "recall_at_10",
            "Recall@10",
            "share of a user's relevant items that are among the first 10, averaged over the users",
            compute=recall,
            better="higher",
        ),
        RankingMetric(
            "mrr",
            "MRR",
            "mean reciprocal rank: 1 / place of the first relevant item of a list, averaged over the users",
            compute=reciprocal_rank,
            better="higher",
        ),
        RankingMetric(
            "coverage_at_10",
            "Coverage@10",
            "share of all items that are among the first 10 of some list",
            compute=coverage,
            unit="percent",
        ),
    )
}
"""By key, in the order of the columns. MSE decides who is better; the others are reported."""


def rating_metrics() -> list[RatingMetric]:
    """Return the metrics of predicted ratings."""
    return [metric for metric in METRICS.values() if isinstance(metric, RatingMetric)]


def ranking_metrics() -> list[RankingMetric]:
    """Return the metrics of ranked lists."""
    return [metric for metric in METRICS.values() if isinstance(metric, RankingMetric)]


def ranking_keys() -> list[str]:
    """Return the keys of the metrics of ranked lists and of their standard errors."""
    return [key for metric in ranking_metrics() for key in metric.keys]


def described_metrics() -> str:
    """Return a line for each metric, as the command line lists them."""
    widest = max(len(metric.title) for metric in METRICS.values())
    lines = [f"{metric.title:<{widest}}  {metric.description}" for metric in METRICS.values()]
    return "\n".join(["Metrics of the report:", *lines])


def rating_scores(
    rating: "Floats", prediction: "Floats", user: "Codes", *, of_subset: bool = False
) -> dict[str, float | None]:
    """Return the metrics of one prediction or more by key; arrays are of shape (rows,).

    `of_subset` leaves out the metrics that are not computed for a part of the test ratings.

    Raises:
        BadIds: a code of a user is no whole number from 0.
        BadRatings: there are no ratings, a rating or a prediction is no finite number, or columns differ in length.
    """
    rating, prediction, user = _checked(rating, prediction, user)
    wanted = [metric for metric in rating_metrics() if metric.in_subsets or not of_subset]
    return {metric.key: unwrap(metric.compute)(rating, prediction, user) for metric in wanted}


def ranking_scores(ranked: RankedItems) -> dict[str, float | None]:
    """Return the metrics of some ranked lists, and their standard errors, None for a single list, by key."""
    import numpy as np

    scores: dict[str, float | None] = {}
    for metric in ranking_metrics():
        values = np.asarray(metric.compute(ranked))
        scores[metric.key] = float(values.mean())
        if metric.with_error:
            scores[metric.keys[1]] = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return scores
