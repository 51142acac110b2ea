"""Calibration: the mean rating of test ratings with similar predictions, and how uncertain it is.

Errors of one user's ratings are correlated, so every standard error here is clustered by user (Liang and Zeger 1986,
"Longitudinal Data Analysis Using Generalized Linear Models").
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.evaluation.significance import LEVEL

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

    @property
    def largest(self) -> Bin | None:
        """The bin of the largest gap, of those with enough ratings."""
        judged = [entry for entry in self.bins if entry.rows >= FEWEST_ROWS]
        return max(judged, key=lambda entry: abs(entry.gap), default=None)


def calibration(user: npt.NDArray[np.integer], actual: Floats, predicted: Floats) -> Calibration:
    """Compare predictions with ratings, in bins of equal width and by a least-squares line.

    Args:
        user: codes from 0, shape (rows,).
        actual: ratings, shape (rows,), in rating units.
        predicted: shape (rows,), in rating units.

    Raises:
        ValueError: there are no rows.
    """
    if len(actual) == 0:
        raise ValueError("there are no ratings to compare with")
    edges = np.linspace(predicted.min(), predicted.max(), BINS + 1)
    placed = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, BINS - 1)
    filled = np.unique(placed)
    bins = [_bin(user[placed == at], actual[placed == at], predicted[placed == at], len(filled)) for at in filled]
    slope, error, users = _slope(user, actual, predicted)
    if slope is None or error is None:
        return Calibration(bins, None, None, None)
    reach = float(stdtrit(users - 1, 1 - LEVEL / 2)) * error
    return Calibration(bins, slope, slope - reach, slope + reach)


def _bin(user: npt.NDArray[np.integer], actual: Floats, predicted: Floats, bins: int) -> Bin:
    gap = actual - predicted
    by_user, users = _sums(user, gap - gap.mean())
    reach = None
    if users > 1:
        error = np.sqrt(users / (users - 1) * np.sum(by_user**2)) / len(gap)
        reach = float(stdtrit(users - 1, 1 - LEVEL / 2 / bins) * error)
    return Bin(len(gap), float(predicted.mean()), float(actual.mean()), reach)


def _slope(user: npt.NDArray[np.integer], actual: Floats, predicted: Floats) -> tuple[float | None, float | None, int]:
    """Slope of the line, its standard error clustered by user, and the number of users."""
    centred = predicted - predicted.mean()
    squares = float(centred @ centred)
    if squares == 0:
        return None, None, 0
    slope = float(centred @ actual) / squares
    residual = actual - actual.mean() - slope * centred
    by_user, users = _sums(user, centred * residual)
    if users < 2:
        return None, None, users
    return slope, float(np.sqrt(users / (users - 1) * np.sum(by_user**2))) / squares, users


def _sums(user: npt.NDArray[np.integer], values: Floats) -> tuple[Floats, int]:
    """Sum of each user's values, for users with any, and the number of these users."""
    counted = np.bincount(user)
    return np.bincount(user, weights=values)[counted > 0].astype(np.float64), int((counted > 0).sum())
