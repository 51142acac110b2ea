"""Sums over the ratings of each user and each item, block by block.

NumPy and SciPy would convert what they sum: codes to int64, ratings to float64, counts of pairs to float64, together
dozens of bytes a rating. Here each sum is a loop over the ratings as they are, which adds in their order.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from recsys.blocks import TEMPORARY, RatingBlocks, Scratch, give_back, in_blocks

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating]
Parts = list[tuple[int, int]]
Loop = TypeVar("Loop", bound=Callable[..., object])

PAIRS = 1 << 23
"""Ratings whose items are sorted at once: 32 MB, of one user more where the user has more."""


def compiled(function: Loop) -> Loop:
    """Compile a loop that adds in the order in which it is written."""
    return cast(Loop, numba.njit(nogil=True, cache=True)(function))


@dataclass(frozen=True)
class PairCounts:
    """How often each user has rated each item: a sparse matrix of shape (users, items), by rows.

    Products with it add in the order of the codes, whatever the order of the ratings.

    Attributes:
        start: where the pairs of each user begin, int64 of shape (users + 1,).
        item: the items of each user in ascending order, int32 of shape (pairs,); it may be memory-mapped.
        count: how often each pair is rated, like `item`; without entries where each is rated once.
        of_users: ratings of each user, float64 of shape (users,).
        of_items: ratings of each item, float64 of shape (items,).
        parts: users in ascending order, (first, past the last), whose pairs are read at once.
    """

    start: Places
    item: Codes
    count: Codes
    of_users: Floats
    of_items: Floats
    parts: Parts

    @classmethod
    def of(
        cls, ratings: Iterable[tuple[Any, ...]], users: int, items: int, scratch: Scratch = TEMPORARY
    ) -> "PairCounts":
        """Return the counts of ratings, given as blocks of their codes, which are read several times."""
        of_users, of_items = np.zeros(users, np.int64), np.zeros(items, np.int64)
        for user, item, *_ in ratings:
            _count(user, of_users)
            _count(item, of_items)
        start = np.concatenate([[0], np.cumsum(of_users)])
        group = (start[1:] - 1) // PAIRS
        parts = list(pairwise([*np.searchsorted(group, np.unique(group)).tolist(), users]))
        rows, repeats = int(start[-1]), False

        def by_user() -> Iterator[Codes]:
            nonlocal repeats
            for first, last in parts:
                begin = start[first : last + 1] - start[first]
                items_of = _by_user(ratings, first, last, begin)
                repeats = repeats or _repeats(begin, items_of)
                yield items_of

        sorted_items = scratch.column(np.int32, rows, by_user())
        found: tuple[Places, Codes, Codes] = start, sorted_items, np.zeros(0, np.int32)
        if repeats:
            different = [_different(start, sorted_items, *part) for part in _one_by_one(parts, sorted_items)]
            begin = np.concatenate([[0], np.cumsum(np.concatenate(different))])
            item, count = (
                scratch.column(
                    np.int32,
                    rows,
                    (_merged(start, sorted_items, begin, *part)[which] for part in _one_by_one(parts, sorted_items)),
                )
                for which in (0, 1)
            )
            found = begin, item, count
        return cls(*found, of_users.astype(np.float64), of_items.astype(np.float64), parts)

    def has(self, user: Codes, item: Codes) -> npt.NDArray[np.bool_]:
        """Return whether each user has rated the item beside it, shape (rows,) as the codes."""
        return _has(self.start, self.item, user, item)

    def times(self, of_items: Floats) -> Floats:
        """Return the product with a number for each item, shape (users,)."""
        found = np.empty(len(self.of_users))
        for part in _one_by_one(self.parts, self.item, self.count):
            _sums(self.start, self.item, self.count, of_items, found, *part)
        return found

    def transposed_times(self, of_users: Floats) -> Floats:
        """Return the transpose's product with a number for each user, shape (items,)."""
        found = np.zeros(len(self.of_items))
        for part in _one_by_one(self.parts, self.item, self.count):
            _add_transposed(self.start, self.item, self.count, of_users, found, *part)
        return found


@dataclass(frozen=True)
class RatingSums:
    """What some ratings come to.

    Attributes:
        ratings: themselves.
        counts: how often each user has rated each item.
        of_users: sum of the ratings of each user, shape (users,).
        of_items: sum of the ratings of each item, shape (items,).
        mean: of the ratings.
        variance: mean of (rating - mean)².
        lowest: rating.
        highest: rating.
        seconds: wall-clock time that it took to sum them up.
    """

    ratings: RatingBlocks
    counts: PairCounts
    of_users: Floats
    of_items: Floats
    mean: float
    variance: float
    lowest: float
    highest: float
    seconds: float

    @classmethod
    def of(
        cls, given: tuple[Any, Any, Any] | RatingBlocks, users: int, items: int, scratch: Scratch = TEMPORARY
    ) -> "RatingSums":
        """Sum up ratings, which are read several times.

        Raises:
            BadIds: a code is of none of so many users and items.
            BadRatings: there are no ratings, or one is no finite number.
        """
        began = time.perf_counter()
        ratings = RatingBlocks.all(given, users, items)
        of_users, of_items, total, lowest, highest = np.zeros(users), np.zeros(items), 0.0, np.inf, -np.inf
        for user, item, rating in ratings:
            _add(user, rating, of_users)
            _add(item, rating, of_items)
            total += float(rating.sum(dtype=np.float64))
            lowest = min(lowest, float(rating.min(initial=np.inf)))
            highest = max(highest, float(rating.max(initial=-np.inf)))
        mean = total / len(ratings)
        squares = 0.0
        for _, _, rating in ratings:
            squares = _add_squares(rating, mean, squares)
        counts = PairCounts.of(ratings, users, items, scratch)
        variance, seconds = squares / len(ratings), time.perf_counter() - began
        return cls(ratings, counts, of_users, of_items, mean, variance, lowest, highest, seconds)

    @property
    def user_deviations(self) -> Floats:
        """Sum of rating - mean of each user, shape (users,).

        Ratings are summed before the mean is taken off, which is exact, so that users with equal means stay equal on
        any scale of the ratings.
        """
        return self.of_users - self.mean * self.counts.of_users

    @property
    def item_deviations(self) -> Floats:
        """The same of each item, shape (items,)."""
        return self.of_items - self.mean * self.counts.of_items

    def user_products(self, of_items: Floats) -> Floats:
        """Return the sum of of_items[item] * rating of each user, shape (users,)."""
        found = np.zeros(len(self.of_users))
        for user, item, rating in self.ratings:
            _add_products(user, item, of_items, rating, found)
        return found


def _one_by_one(parts: Parts, *read: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield each part, and give back what was read for it."""
    for part in parts:
        yield part
        give_back(*read)


def counted(code: npt.NDArray[np.integer], codes: int) -> Places:
    """Return how often each of so many codes is there, int64 of shape (codes,)."""
    found = np.zeros(codes, np.int64)
    for (block,) in in_blocks(code):
        _count(block, found)
    return found


def summed(code: Codes, value: Values, codes: int) -> Floats:
    """Return the sum of `value`, shape (rows,) as `code`, of each of so many codes."""
    found = np.zeros(codes)
    _add(code, value, found)
    return found


@compiled
def _count(code: npt.NDArray[np.integer], found: Places) -> None:
    for at in range(len(code)):
        found[code[at]] += 1


@compiled
def _add(code: Codes, value: Values, found: Floats) -> None:
    for at in range(len(code)):
        found[code[at]] += value[at]


@compiled
def _add_products(code: Codes, other: Codes, of_other: Floats, value: Values, found: Floats) -> None:
    for at in range(len(code)):
        found[code[at]] += of_other[other[at]] * value[at]


@compiled
def _add_squares(value: Values, mean: float, total: float) -> float:
    for at in range(len(value)):
        total += (value[at] - mean) ** 2
    return total


def _by_user(ratings: Iterable[tuple[Any, ...]], first: int, last: int, begin: Places) -> Codes:
    """The items of some users, those of each in ascending order; `begin` says where."""
    found, place = np.empty(begin[-1], np.int32), begin.copy()
    for user, item, *_ in ratings:
        _place(user, item, first, last, place, found)
    _sort(begin, found)
    return found


@compiled
def _place(user: Codes, item: Codes, first: int, last: int, place: Places, found: Codes) -> None:
    for at in range(len(user)):
        if first <= user[at] < last:
            found[place[user[at] - first]] = item[at]
            place[user[at] - first] += 1


@compiled
def _sort(begin: Places, found: Codes) -> None:
    for row in range(len(begin) - 1):
        found[begin[row] : begin[row + 1]].sort()


@compiled
def _repeats(begin: Places, item: Codes) -> bool:
    for row in range(len(begin) - 1):
        for at in range(begin[row] + 1, begin[row + 1]):
            if item[at] == item[at - 1]:
                return True
    return False


@compiled
def _different(start: Places, item: Codes, first: int, last: int) -> Places:
    found = np.zeros(last - first, np.int64)
    for row in range(first, last):
        for at in range(start[row], start[row + 1]):
            if at == start[row] or item[at] != item[at - 1]:
                found[row - first] += 1
    return found


@compiled
def _merged(start: Places, item: Codes, begin: Places, first: int, last: int) -> tuple[Codes, Codes]:
    """The different items of some users, whose places `begin` tells, and how often each is there."""
    pairs = begin[last] - begin[first]
    found, count = np.empty(pairs, np.int32), np.zeros(pairs, np.int32)
    place = -1
    for row in range(first, last):
        for at in range(start[row], start[row + 1]):
            if at == start[row] or item[at] != item[at - 1]:
                place += 1
                found[place] = item[at]
            count[place] += 1
    return found, count


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
def _sums(start: Places, item: Codes, count: Codes, value: Floats, found: Floats, first: int, last: int) -> None:
    for row in range(first, last):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            total += count[at] * value[item[at]] if len(count) else value[item[at]]
        found[row] = total


@compiled
def _add_transposed(
    start: Places, item: Codes, count: Codes, value: Floats, found: Floats, first: int, last: int
) -> None:
    for row in range(first, last):
        for at in range(start[row], start[row + 1]):
            found[item[at]] += count[at] * value[row] if len(count) else value[row]
