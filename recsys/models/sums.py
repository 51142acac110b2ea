"""Sums over the ratings of each user and each item, in memory that ratings without copies take.

NumPy and SciPy would convert what they sum: codes to int64, ratings to float64, counts of pairs to float64, together
dozens of bytes a rating. Here each sum is a loop over the ratings as they are, which adds in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating]
Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(function: Loop) -> Loop:
    """Compile a loop that adds in the order in which it is written."""
    return cast(Loop, numba.njit(nogil=True, cache=True)(function))


@dataclass(frozen=True)
class PairCounts:
    """How often each user has rated each item: a sparse matrix of shape (users, items), by rows.

    Products with it add in the order of the codes, whatever the order of the ratings.

    Attributes:
        start: where the pairs of each user begin, int64 of shape (users + 1,).
        item: the items of each user in ascending order, int32 of shape (pairs,).
        count: how often each pair is rated, int32 of shape (pairs,); without entries where each is rated once.
        of_users: ratings of each user, float64 of shape (users,).
        of_items: ratings of each item, float64 of shape (items,).
    """

    start: Places
    item: Codes
    count: Codes
    of_users: Floats
    of_items: Floats

    @classmethod
    def of(cls, user: Codes, item: Codes, users: int, items: int) -> "PairCounts":
        """Return the counts of ratings, given by their codes, shape (ratings,) each."""
        of_users, of_items = counted(user, users), counted(item, items)
        start = np.concatenate([[0], np.cumsum(of_users)])
        by_user = _by_user(user, item, start)
        count = np.zeros(0, np.int32)
        if _repeats(start, by_user):
            start, by_user, count = _merged(start, by_user)
        return cls(start, by_user, count, of_users.astype(np.float64), of_items.astype(np.float64))

    def has(self, user: Codes, item: Codes) -> npt.NDArray[np.bool_]:
        """Return whether each user has rated the item beside it, shape (rows,) as the codes."""
        return _has(self.start, self.item, user, item)

    def times(self, of_items: Floats) -> Floats:
        """Return the product with a number for each item, shape (users,)."""
        return _sums(self.start, self.item, self.count, of_items)

    def transposed_times(self, of_users: Floats) -> Floats:
        """Return the transpose's product with a number for each user, shape (items,)."""
        return _transposed_sums(self.start, self.item, self.count, of_users, len(self.of_items))


@compiled
def counted(code: Codes, codes: int) -> Places:
    """Return how often each of so many codes is there, int64 of shape (codes,)."""
    found = np.zeros(codes, np.int64)
    for at in range(len(code)):
        found[code[at]] += 1
    return found


@compiled
def summed(code: Codes, value: Values, codes: int) -> Floats:
    """Return the sum of `value`, shape (rows,) as `code`, of each of so many codes."""
    found = np.zeros(codes)
    for at in range(len(code)):
        found[code[at]] += value[at]
    return found


@compiled
def summed_products(code: Codes, other: Codes, of_other: Floats, value: Values, codes: int) -> Floats:
    """Return the sum of of_other[other] * value, shape (rows,), of each of so many codes."""
    found = np.zeros(codes)
    for at in range(len(code)):
        found[code[at]] += of_other[other[at]] * value[at]
    return found


@compiled
def mean_square(value: Values, mean: float) -> float:
    """Return the mean of (value - mean)²."""
    total = 0.0
    for at in range(len(value)):
        total += (value[at] - mean) ** 2
    return total / len(value)


@compiled
def _by_user(user: Codes, item: Codes, start: Places) -> Codes:
    found = np.empty(len(item), np.int32)
    place = start[:-1].copy()
    for at in range(len(item)):
        found[place[user[at]]] = item[at]
        place[user[at]] += 1
    for row in range(len(start) - 1):
        found[start[row] : start[row + 1]].sort()
    return found


@compiled
def _repeats(start: Places, item: Codes) -> bool:
    for row in range(len(start) - 1):
        for at in range(start[row] + 1, start[row + 1]):
            if item[at] == item[at - 1]:
                return True
    return False


@compiled
def _merged(start: Places, item: Codes) -> tuple[Places, Codes, Codes]:
    """Merge equal items of a user, in `item` itself, as a copy would be gigabytes of a billion ratings."""
    begin, count = np.zeros_like(start), np.zeros(len(item), np.int32)
    pairs = 0
    for row in range(len(start) - 1):
        for at in range(start[row], start[row + 1]):
            if at == start[row] or item[at] != item[pairs - 1]:
                item[pairs] = item[at]
                pairs += 1
            count[pairs - 1] += 1
        begin[row + 1] = pairs
    return begin, item[:pairs], count[:pairs]


@compiled
def _has(start: Places, item: Codes, user: Codes, asked: Codes) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(user), np.bool_)
    for at in range(len(user)):
        low, end = start[user[at]], start[user[at] + 1]
        high = end
        while low < high:
            middle = (low + high) // 2
            if item[middle] < asked[at]:
                low = middle + 1
            else:
                high = middle
        found[at] = low < end and item[low] == asked[at]
    return found


@compiled
def _sums(start: Places, item: Codes, count: Codes, value: Floats) -> Floats:
    found = np.empty(len(start) - 1)
    for row in range(len(found)):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            total += count[at] * value[item[at]] if len(count) else value[item[at]]
        found[row] = total
    return found


@compiled
def _transposed_sums(start: Places, item: Codes, count: Codes, value: Floats, items: int) -> Floats:
    found = np.zeros(items)
    for row in range(len(start) - 1):
        for at in range(start[row], start[row + 1]):
            found[item[at]] += count[at] * value[row] if len(count) else value[row]
    return found
