"""A rating that is apart from the scale of the others, and frequent: likely a number that stands for no rating."""

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from recsys.blocks import value_counts

FREQUENT = 0.01
"""The share of the ratings from which on a value apart from the scale is no slip."""

LEAST_SCALE = 4
"""Of fewer values beside it, none is apart."""


class Apart(TypedDict):
    """A value, how many ratings have it, and the ends of the scale of the others."""

    value: float
    rows: int
    low: float
    high: float


def rating_apart(ratings: npt.NDArray[np.float32]) -> Apart | None:
    """Return the rating that is apart from the others, as -1, 0 or 99 is from 1 to 10; None if there is none.

    It is the lowest or the highest, has at least `FREQUENT` of the ratings, and is either beyond a gap that is wider
    than any other on the scale, twice as wide below and three times above, or a zero, one step below the scale, that
    is more than twice as frequent as either of the two ratings next to it.

    Args:
        ratings: shape (rows,).
    """
    values, counts = value_counts(ratings)
    if len(values) <= LEAST_SCALE:
        return None
    steps = np.diff(values)
    frequent = counts >= FREQUENT * len(ratings)
    below = steps[0] >= 2 * steps[1:].max() and values[0] <= 0 < values[1]
    zeros = values[0] == 0 and counts[0] > 2 * counts[1:3].max()
    if frequent[0] and (below or zeros or steps[0] >= 3 * steps[1:].max()):
        return Apart(value=float(values[0]), rows=int(counts[0]), low=float(values[1]), high=float(values[-1]))
    if frequent[-1] and steps[-1] >= 3 * steps[:-1].max():
        return Apart(value=float(values[-1]), rows=int(counts[-1]), low=float(values[0]), high=float(values[-2]))
    return None
