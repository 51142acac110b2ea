"""Predictions summed up for the plots: a few numbers per bin, however many rows there are."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_BOXES = 12
MOST_ACTIVITY_BINS = 8
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Spread:
    """How one model's predictions spread over each actual rating.

    `centre` and `rows` have one entry per box, `width` is the room of a box in rating units, and
    `quantiles` has a row per box and a column per entry of SHARES.
    """

    centre: Floats
    width: float
    rows: Counts
    quantiles: Floats


@dataclass(frozen=True)
class ErrorByActivity:
    """RMSE by number of training ratings: bin labels, rows per bin, and one RMSE per bin and model."""

    labels: list[str]
    rows: Counts
    rmse: dict[str, Floats]


def spread(actual: pd.Series, predicted: pd.Series) -> Spread:
    """Sum predictions up per actual rating, or per bin of it where there are many different ratings.

    Args:
        actual: the ratings, at least one.
        predicted: one prediction per rating.
    """
    values = actual.to_numpy(np.float64)
    different = np.unique(values)
    if len(different) <= MOST_BOXES:
        centre = different
        box = np.searchsorted(different, values)
        width = float(np.diff(different).min()) if len(different) > 1 else 1.0
    else:
        edges = np.linspace(different[0], different[-1], MOST_BOXES + 1)
        box = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_BOXES - 1)
        centre = (edges[:-1] + edges[1:]) / 2
        width = float(edges[1] - edges[0])
    grouped = pd.Series(predicted.to_numpy(np.float64)).groupby(box)
    quantiles = grouped.quantile(np.array(SHARES)).unstack()
    filled = quantiles.index.to_numpy()
    return Spread(centre[filled], width, np.asarray(grouped.size(), dtype=np.int64), quantiles.to_numpy(np.float64))


def error_by_activity(
    predictions: pd.DataFrame, counts: str, names: list[str], most: int = MOST_ACTIVITY_BINS
) -> ErrorByActivity:
    """RMSE in bins of training ratings whose bounds grow tenfold in one or two steps; none is a bin of its own.

    Args:
        predictions: one row per test rating, at least one.
        counts: the column with the number of training ratings, `user_ratings` or `item_ratings`.
        names: the columns of the models.
        most: how many bins at most, beside that for no training rating.
    """
    activity = predictions[counts].to_numpy(np.int64)
    starts = bin_starts(int(activity.max()), most)
    found = np.searchsorted(starts, activity, side="right") - 1
    rows = np.bincount(found, minlength=len(starts))
    shown = rows > 0
    rating = predictions["rating"].to_numpy(np.float64)
    rmse = {}
    for name in names:
        squared = (predictions[name].to_numpy(np.float64) - rating) ** 2
        rmse[name] = np.sqrt(np.bincount(found, weights=squared, minlength=len(starts))[shown] / rows[shown])
    labels = [label for label, keep in zip(_labels(starts), shown, strict=True) if keep]
    return ErrorByActivity(labels, rows[shown], rmse)


def bin_starts(largest: int, most: int) -> Counts:
    """First count of each bin: 0, then 1, 3, 10, 30, … or, where that makes more than `most` bins, 1, 10, 100, …"""
    decades = [10**power for power in range(len(str(max(1, largest))))]
    halves = [start for decade in decades for start in (decade, 3 * decade) if start <= max(1, largest)]
    starts = halves if len(halves) <= most else decades
    return np.array([0, *starts], dtype=np.int64)


def _labels(starts: Counts) -> list[str]:
    labels = ["0"]
    for position in range(1, len(starts)):
        first = int(starts[position])
        if position + 1 == len(starts):
            labels.append(f"{_compact(first)}+")
            continue
        following = int(starts[position + 1])
        labels.append(f"{_compact(first)}–{_compact(following if first >= 1000 else following - 1)}")
    return labels


def _compact(value: int) -> str:
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value // size}{unit}"
    return str(value)


def thinned(length: int, keep: int, most: int = 300) -> Counts:
    """Positions of at most about `most` of `length` points: evenly spread, with the ends and `keep` among them."""
    if length <= most:
        return np.arange(length, dtype=np.int64)
    return np.unique(np.append(np.linspace(0, length - 1, most).astype(np.int64), keep))
