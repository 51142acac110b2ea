"""Drawing pairs of user and item at random, so that the parts have about as many rows as they are to have."""

from bisect import bisect_left
from math import ceil

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from recsys.data.pairs import Pairs, Rows, in_order, row_type

BLOCK = 1 << 20
"""Pairs that are looked at together."""


def hold_out(pairs: Pairs, some: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Divide pairs, given by their numbers, so that about `share` of their rows is in the second part.

    They are drawn in the order of `train_test_split(some, test_size=share, random_state=seed)`, first its test part,
    until `share` of the rows is reached; a pair of more rows than are missing is passed over. Where `share` is above a
    half, the first part is filled so from the end. So the second part has as many rows as `train_test_split` would
    give it, but for what no pair fits into.

    Raises:
        ValueError: there are too few pairs for two parts.
    """
    drawn = np.concatenate(train_test_split(some, test_size=share, random_state=seed)[::-1])
    sizes = pairs.sizes[drawn]
    rows = int(sizes.sum(dtype=np.int64))
    asked = ceil(share * rows)
    held_out = _filling(sizes, asked) if share <= 0.5 else ~_filling(sizes[::-1], rows - asked)[::-1]
    return drawn[~held_out], drawn[held_out]


def divide(rows: int, share: float, seed: int) -> tuple[Rows, Rows]:
    """Divide so many rows, given by their numbers, so that `share` of them is in the second part, but not all.

    The parts are those of `train_test_split(range(rows), test_size=share, random_state=seed)`, which takes twice the
    memory.
    """
    drawn: Rows = np.arange(rows, dtype=row_type(rows))
    np.random.RandomState(seed).shuffle(drawn)
    second = min(ceil(share * rows), rows - 1)
    return drawn[second:], drawn[:second]


def _filling(sizes: npt.NDArray[np.integer], most: int) -> npt.NDArray[np.bool_]:
    """Which of the sizes, taken in their order where they fit, come to `most`; the smallest where none fits."""
    taken = np.zeros(len(sizes), bool)
    for start in range(0, len(sizes), BLOCK):
        places = start + np.flatnonzero(sizes[start : start + BLOCK] <= most)
        while len(places):
            sums = np.cumsum(sizes[places], dtype=np.int64)
            fit = int(np.searchsorted(sums, most, side="right"))
            taken[places[:fit]] = True
            most -= int(sums[fit - 1])
            places = places[fit:]
            places = places[sizes[places] <= most]
    if not taken.any():
        taken[np.argmin(sizes)] = True
    return taken


def folds_of(pairs: Pairs, folds: int, seed: int) -> npt.NDArray[np.integer]:
    """Return the fold of each pair, shape (pairs,).

    The pairs are shuffled and dealt, those of most rows first, each to a fold that has fewest rows so far: where there
    are enough pairs of one row, two folds differ by one row at most.
    """
    shuffled = np.random.RandomState(seed).permutation(np.arange(len(pairs.starts), dtype=pairs.starts.dtype))
    sizes = pairs.sizes[shuffled]
    kinds, counts = np.unique(sizes, return_counts=True)
    dealt_in_turn = shuffled[in_order(-sizes)]
    found, rows, start = np.empty(len(sizes), np.int32), np.zeros(folds, np.int64), 0
    for size, count in zip(kinds[::-1].tolist(), counts[::-1].tolist(), strict=True):
        dealt = _dealt(rows, size, count)
        found[dealt_in_turn[start : start + count]] = np.repeat(np.arange(folds), dealt)
        rows += size * dealt
        start += count
    return found


def _dealt(rows: npt.NDArray[np.int64], size: int, count: int) -> npt.NDArray[np.int64]:
    """How many of `count` pairs of `size` rows each fold gets, if each goes to one of fewest `rows`, the first one."""

    def below(level: int) -> npt.NDArray[np.int64]:
        """How many each fold gets while it has fewer rows than `level`."""
        return -(np.minimum(rows - level, 0) // size)

    lowest, most = int(rows.min()), int(np.ptp(rows)) + size * count
    level = lowest + bisect_left(range(most + 1), count, key=lambda more: int(below(lowest + more).sum()))
    dealt = below(level - 1)
    next_in_turn = np.flatnonzero(rows + size * dealt == level - 1)
    dealt[next_in_turn[: count - int(dealt.sum())]] += 1
    return dealt
