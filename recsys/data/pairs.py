"""Ratings of one user and one item, which belong on one side of every split: whoever saw one may know the others."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 20
"""Rows that are numbered at once."""

Rows = npt.NDArray[np.integer]
Codes = npt.NDArray[np.int32]


class Pairs(NamedTuple):
    """Row numbers by their pair of user and item.

    Attributes:
        rows: shape (rows,), those of a pair side by side and in ascending order.
        starts: shape (pairs,), where in `rows` each pair begins.
    """

    rows: Rows
    starts: Rows

    @property
    def sizes(self) -> Rows:
        """How many rows each pair has, shape (pairs,)."""
        return np.diff(self.starts, append=self.starts.dtype.type(len(self.rows)))

    def rows_of(self, pairs: Rows) -> Rows:
        """Return the rows of some pairs, given by their numbers, in ascending order."""
        chosen = np.zeros(len(self.starts), bool)
        chosen[pairs] = True
        return np.sort(self.rows[np.repeat(chosen, self.sizes)])


def pairs_of(user: npt.NDArray[np.integer], item: npt.NDArray[np.integer]) -> Pairs | None:
    """Return the pairs in the order of their codes, shape (rows,) each; None where no pair has two rows."""
    rows = in_order(_keys(user, item, _codes(item)))
    begins = np.zeros(len(rows), bool)
    for codes in (user, item):
        ordered = codes[rows]
        begins[1:] |= ordered[1:] != ordered[:-1]
    begins[:1] = True
    starts = np.flatnonzero(begins).astype(rows.dtype)
    return Pairs(rows, starts) if len(starts) < len(rows) else None


def in_order(keys: npt.NDArray[np.integer]) -> Rows:
    """Return the row numbers, shape (rows,), by ascending key; of equal keys, in ascending order."""
    rows = len(keys)
    low, high = (int(keys.min()), int(keys.max())) if rows else (0, 0)
    bits = rows.bit_length()
    if (high - low).bit_length() + bits > 63:
        return np.argsort(keys, kind="stable").astype(row_type(rows))
    # numbers that hold key and row are sorted in a fraction of the time that sorting rows by their keys takes
    packed = np.subtract(keys, low, dtype=np.int64)
    del keys
    packed <<= bits
    for start in range(0, rows, BLOCK):
        packed[start : start + BLOCK] |= np.arange(start, min(start + BLOCK, rows))
    packed.sort()
    packed &= (1 << bits) - 1
    found: Rows = packed.astype(row_type(rows))
    return found


def row_type(rows: int) -> type[np.int32] | type[np.int64]:
    """The integers that row numbers are kept as."""
    return np.int32 if rows < 2**31 else np.int64


def _codes(codes: npt.NDArray[np.integer]) -> int:
    return 1 + int(codes.max(initial=0))


def _keys(user: npt.NDArray[np.integer], item: npt.NDArray[np.integer], items: int) -> npt.NDArray[np.int64]:
    """One number for each pair of user and item, in their order."""
    keys = user.astype(np.int64)
    keys *= items
    keys += item
    return keys
