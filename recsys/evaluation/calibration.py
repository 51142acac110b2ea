"""Calibration: the mean rating of test ratings with similar predictions, and how uncertain it is.

Errors of one user's ratings are correlated, so every standard error here is clustered by user (Liang and Zeger 1986,
"Longitudinal Data Analysis Using Generalized Linear Models").
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.arrays import as_codes, as_doubles, require_one_length
from recsys.evaluation.thresholds import LEVEL

BINS = 10
FEWEST_ROWS = 50
"""Bins of fewer ratings are shown but not judged: a standard error of so few ratings is itself noise."""

Floats = npt.NDArray[np.float64]


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


def calibration(user: npt.NDArray[np.integer], actual: Floats, predicted: Floats) -> Calibration:
    """Compare predictions with ratings, shape (rows,) each, in bins of equal width and by a least-squares line.

    Raises:
        BadIds: a code of a user is no whole number from 0.
        BadRatings: a rating or a prediction is no finite number, or columns differ in length.
        ValueError: there are no rows.
    """
    if len(actual) == 0:
        raise ValueError("there are no ratings to compare with")
    user, actual, predicted = as_codes(user, "user"), as_doubles(actual, "rating"), as_doubles(predicted, "prediction")
    require_one_length(user_code=user, rating=actual, prediction=predicted)
    edges = np.linspace(predicted.min(), predicted.max(), BINS + 1)
    placed = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, BINS - 1)
    filled = np.unique(placed)
    bins = [_bin(user[placed == at], actual[placed == at], predicted[placed == at], len(filled)) for at in filled]
    centred = predicted - predicted.mean()
    squares = float(centred @ centred)
    if squares == 0:
        return Calibration(bins, None, None, None)
    slope = float(centred @ actual) / squares
    error, users = _clustered_error(user, centred * (actual - actual.mean() - slope * centred))
    if error is None:
        return Calibration(bins, None, None, None)
    reach = float(stdtrit(users - 1, 1 - LEVEL / 2)) * (error / squares)
    return Calibration(bins, slope, slope - reach, slope + reach)


def _bin(user: npt.NDArray[np.integer], actual: Floats, predicted: Floats, bins: int) -> Bin:
    gap = actual - predicted
    error, users = _clustered_error(user, gap - gap.mean())
    reach = None if error is None else float(stdtrit(users - 1, 1 - LEVEL / 2 / bins)) * (error / len(gap))
    return Bin(len(gap), float(predicted.mean()), float(actual.mean()), reach)


def _clustered_error(user: npt.NDArray[np.integer], values: Floats) -> tuple[float | None, int]:
    """Standard error of the sum of centred values, None for a single user, and the number of users."""
    by_user = np.bincount(user, weights=values)[np.bincount(user) > 0]
    users = len(by_user)
    return (float(np.sqrt(users / (users - 1) * np.sum(by_user**2))) if users > 1 else None), users
