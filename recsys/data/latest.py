"""Holding out the latest ratings, of all users or of each, and how often equal times left the choice to the file."""

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.pairs import Pairs, Rows, in_order
from recsys.settings import SplitSettings

Parts = tuple[Rows, Rows, Rows]
"""Row numbers of training, validation and test."""

Ties = dict[str, dict[str, int]]
"""By part, `test` and `validation`: of how many (`of`) the order in the file chose so many (`tied`).

That is counted in ratings where there is one cut, and in users where each has one.
"""


class _Line(NamedTuple):
    """Rows from the oldest to the latest, those of one pair together in the place of the latest of them.

    Attributes:
        order: shape (rows,), row numbers; of equal times, the larger is the later.
        starts: shape (pairs,), where in `order` each pair begins; None where each row is a pair of its own.
    """

    order: Rows
    starts: Rows | None

    def nearest(self, place: int, below: int) -> int:
        """The place below `below` nearest to `place`, itself below that, at which no pair is cut; the lower of two."""
        if self.starts is None:
            return place
        behind = int(np.searchsorted(self.starts, place))
        around = [int(start) for start in self.starts[max(behind - 1, 0) : behind + 1] if start < below]
        return min(around, key=lambda start: abs(start - place), default=0)

    def lasts(self, begin: int, end: int) -> Rows:
        """The places of the latest row of each pair between two places."""
        if self.starts is None:
            return np.arange(begin, end)
        first, behind = np.searchsorted(self.starts, [begin, end])
        return np.append(self.starts[first + 1 : behind], end) - 1

    def last_of(self, places: Rows) -> Rows:
        """The places of the latest row of the pairs that begin at these places."""
        if self.starts is None:
            return places
        return np.append(self.starts, len(self.order))[np.searchsorted(self.starts, places) + 1] - 1


def latest_of_all(time: npt.NDArray[np.int64], settings: SplitSettings, pairs: Pairs | None) -> tuple[Parts, Ties]:
    """Hold out the latest rows, as split_by `time` does, and return the parts in ascending order with the ties.

    Tied are held-out rows of the time of the latest row before the cut; the rows of a pair have that of the latest.
    """
    rows = len(time)
    line = _line(in_order(time), pairs)
    test = line.nearest(rows - ceil(settings.test_size * rows), rows)
    validation = line.nearest(test - ceil(settings.validation_size * test), test)
    parts = (line.order[:validation], line.order[validation:test], line.order[test:])

    def tied(begin: int, end: int) -> dict[str, int]:
        count = 0
        if 0 < begin < end:
            lasts = line.lasts(begin, end)
            same = int(np.searchsorted(time[line.order[lasts]], time[line.order[begin - 1]], side="right"))
            count = int(lasts[same - 1]) + 1 - begin if same else 0
        return {"tied": count, "of": end - begin}

    ties = {"test": tied(test, rows), "validation": tied(validation, test)}
    train, held_out, tested = map(np.sort, parts)
    return (train, held_out, tested), ties


def latest_of_each(
    user: npt.NDArray[np.integer], time: npt.NDArray[np.int64], settings: SplitSettings, pairs: Pairs | None
) -> tuple[Parts, Ties]:
    """Hold out the latest rows of each user, as `user-last` and `leave-one-out` do; otherwise as `latest_of_all`.

    Tied are users whose earliest row of a part has the time of their latest row before it.
    """
    counts = np.bincount(user)
    line = _line(_by_user_and_time(user, time), pairs)
    ends = np.cumsum(counts).astype(line.order.dtype)
    if line.starts is None:
        test, validation = _last_rows(counts, settings)
    else:
        test, validation = _last_pairs(line.starts, counts, settings)
    place = np.arange(len(line.order), dtype=line.order.dtype)
    in_test = place >= np.repeat((ends - test).astype(place.dtype), counts)
    held_out = place >= np.repeat((ends - test - validation).astype(place.dtype), counts)
    del place
    order = line.order
    parts = np.sort(order[~held_out]), np.sort(order[held_out & ~in_test]), np.sort(order[in_test])

    def tied(begins: Rows) -> dict[str, int]:
        same = time[order[line.last_of(begins)]] == time[order[begins - 1]]
        return {"tied": int(np.count_nonzero(same)), "of": len(begins)}

    ties = {"test": tied((ends - test)[test > 0]), "validation": tied((ends - test - validation)[validation > 0])}
    return parts, ties


def _by_user_and_time(user: npt.NDArray[np.integer], time: npt.NDArray[np.int64]) -> Rows:
    by_time = in_order(time)
    return by_time[in_order(user[by_time])]


def _line(order: Rows, pairs: Pairs | None) -> _Line:
    """The rows in this order, where no pair has two; else each pair in the place of its last row."""
    if pairs is None:
        return _Line(order, None)
    place = np.empty_like(order)
    place[order] = np.arange(len(order), dtype=order.dtype)
    last = np.maximum.reduceat(place[pairs.rows], pairs.starts)
    place[pairs.rows] = np.repeat(last, pairs.sizes)
    place = place[order]
    moved = in_order(place)
    order, place = order[moved], place[moved]
    del moved
    begins = np.ones(len(place), bool)
    np.not_equal(place[1:], place[:-1], out=begins[1:])
    return _Line(order, np.flatnonzero(begins).astype(order.dtype))


def _last_rows(
    counts: npt.NDArray[np.integer], settings: SplitSettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of how many rows of each user the test and the validation part are, where no pair has two rows."""
    if settings.split_by == "leave-one-out":
        one = (counts >= 3).astype(np.int64)
        return one, one
    test = _share(settings.test_size, counts)
    return test, _share(settings.validation_size, counts - test)


def _share(share: float, counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """`share` of each count in whole rows, leaving at least one row for training."""
    # rounding up, as scikit-learn does once for all rows, would hold out far more than asked of users with few ratings
    held_out: npt.NDArray[np.int64] = np.minimum(np.rint(share * counts), np.maximum(counts - 1, 0)).astype(np.int64)
    return held_out


def _last_pairs(
    starts: Rows, counts: npt.NDArray[np.integer], settings: SplitSettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The same in whole pairs, given where these begin, user by user and from the oldest to the latest of each."""
    ends = np.cumsum(counts)
    begins = ends - counts
    starts = np.append(starts, starts.dtype.type(ends[-1]))
    if settings.split_by == "leave-one-out":
        first, behind = np.searchsorted(starts, begins), np.searchsorted(starts, ends)
        last = np.where(behind - first >= 3, behind - 1, 1)
        enough = behind - first >= 3
        return (ends - starts[last]) * enough, (starts[last] - starts[last - 1]) * enough

    def nearest(share: float, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of how many rows before `ends` the pairs are that come nearest to `share`; of two such, the even number."""
        asked = share * (ends - begins)
        place = np.searchsorted(starts, np.ceil(ends - asked).astype(starts.dtype))
        begin = starts[np.maximum(place - 1, 0)]
        fewer, more = ends - np.minimum(starts[place], ends), ends - begin
        nearer = (more - asked < asked - fewer) | ((more - asked == asked - fewer) & (more % 2 == 0))
        found: npt.NDArray[np.int64] = np.where(nearer & (begin > begins), more, fewer)
        return found

    test = nearest(settings.test_size, ends)
    return test, nearest(settings.validation_size, ends - test)
