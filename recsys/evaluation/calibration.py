"""Calibration: the mean rating of test ratings with similar predictions, and how uncertain it is.

Errors of one user's ratings are correlated, so every standard error here is clustered by user (Liang and Zeger 1986,
"Longitudinal Data Analysis Using Generalized Linear Models").
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.arrays import as_codes, as_numbers, require_one_length
from recsys.blocks import in_blocks
from recsys.evaluation.thresholds import LEVEL

BINS = 10
FEWEST_ROWS = 50
"""Bins of fewer ratings are shown but not judged: a standard error of so few ratings is itself noise."""

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Bin:
    """Test ratings with similar predictions.

    `predicted` and `actual` are means, in rating units; `reach` is half the width of the 95% interval of `actual`
    less `predicted`, corrected for the number of bins (Bonferroni), None with a single user in the bin.
    """

    rows: int
    predicted: float
    actual: float
    reach: float | None

    @property
    def gap(self) -> float:
        """Mean rating less mean prediction, in rating units."""
        return self.actual - self.predicted

    @property
    def off(self) -> bool:
        """Whether the gap is significant, in a bin of enough ratings."""
        return self.rows >= FEWEST_ROWS and self.reach is not None and abs(self.gap) > self.reach


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model's predictions.

    `slope` is that of the least-squares line of ratings on predictions: 1 for calibrated predictions, below 1 for
    too extreme ones. `low` and `high` are the ends of its 95% interval. All three are None where predictions do not
    vary or are of one user.
    """

    bins: list[Bin]
    slope: float | None
    low: float | None
    high: float | None

    @property
    def calibrated(self) -> bool:
        """Whether neither the slope nor a bin differs significantly from perfect calibration."""
        if self.low is None or self.high is None:
            return False
        return self.low <= 1 <= self.high and not any(entry.off for entry in self.bins)


def calibration(user: npt.NDArray[np.integer], actual: Numbers, predicted: Numbers) -> Calibration:
    """Compare predictions with ratings, shape (rows,) each, in bins of equal width and by a least-squares line.

    Raises:
        BadIds: a code of a user is no whole number from 0.
        BadRatings: a rating or a prediction is no finite number, or columns differ in length.
        ValueError: there are no rows.
    """
    if len(actual) == 0:
        raise ValueError("there are no ratings to compare with")
    user, actual, predicted = as_codes(user, "user"), as_numbers(actual, "rating"), as_numbers(predicted, "prediction")
    require_one_length(user_code=user, rating=actual, prediction=predicted)
    edges = np.linspace(float(predicted.min()), float(predicted.max()), BINS + 1)

    def blocks() -> Iterator[tuple[npt.NDArray[np.integer], Floats, Floats, npt.NDArray[np.integer]]]:
        """Yield users, ratings, predictions and their bins."""
        for of, *both in in_blocks(user, actual, predicted):
            known, told = (column.astype(np.float64) for column in both)
            yield of, known, told, np.clip(np.searchsorted(edges, told, side="right") - 1, 0, BINS - 1)

    sums = np.zeros((3, BINS))
    for _, known, told, placed in blocks():
        sums += [np.bincount(placed, weights, BINS) for weights in (None, told, known)]
    rows, filled = sums[0], np.flatnonzero(sums[0])
    told_mean, known_mean = (float(side.sum()) / len(actual) for side in sums[1:])
    means = np.divide(sums[1:], rows, out=np.zeros((2, BINS)), where=rows > 0)

    def bin_at(at: int) -> Bin:
        gap = means[1, at] - means[0, at]
        own = ((of[placed == at], (known - told)[placed == at] - gap) for of, known, told, placed in blocks())
        error, users = _clustered_error(own, int(user.max()) + 1)
        reach = None if error is None else float(stdtrit(users - 1, 1 - LEVEL / 2 / len(filled))) * (error / rows[at])
        return Bin(int(rows[at]), float(means[0, at]), float(means[1, at]), reach)

    bins = [bin_at(int(at)) for at in filled]
    if edges[0] == edges[-1]:
        return Calibration(bins, None, None, None)
    squares = products = 0.0
    for _, known, told, _ in blocks():
        centred = told - told_mean
        squares += float(np.sum(centred**2))
        products += float(np.sum(centred * known))
    slope = products / squares
    rest = (
        (of, (told - told_mean) * (known - known_mean - slope * (told - told_mean))) for of, known, told, _ in blocks()
    )
    error, users = _clustered_error(rest, int(user.max()) + 1)
    if error is None:
        return Calibration(bins, None, None, None)
    reach = float(stdtrit(users - 1, 1 - LEVEL / 2)) * (error / squares)
    return Calibration(bins, slope, slope - reach, slope + reach)


def _clustered_error(blocks: Iterable[tuple[npt.NDArray[np.integer], Floats]], users: int) -> tuple[float | None, int]:
    """Standard error of the sum of centred values, None for a single user, and the number of users with values."""
    by_user, rows = np.zeros(users), np.zeros(users, np.int64)
    for user, values in blocks:
        by_user += np.bincount(user, values, users)
        rows += np.bincount(user, minlength=users)
    found = by_user[rows > 0]
    many = len(found)
    return (float(np.sqrt(many / (many - 1) * np.sum(found**2))) if many > 1 else None), many
