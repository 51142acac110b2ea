"""Splitting the ratings into training, validation and test rows."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, train_test_split

from recsys.arrays import as_codes, as_column
from recsys.data.draw import folds_of, hold_out
from recsys.data.latest import Parts, Ties, latest_of_all, latest_of_each
from recsys.data.pairs import Pairs, Rows, pairs_of, row_type
from recsys.data.values import NO_TIME
from recsys.errors import BadRatings, BadSettings
from recsys.memory import require_memory
from recsys.settings import Protocol, SplitSettings
from recsys.text import count, quoted

BYTES_PER_RATING = {"random": 16, "kfold": 25, "time": 13, "user-last": 17, "leave-one-out": 17}
"""Peak memory of each split, measured on 20 million ratings."""

BYTES_PER_RATING_IN_PAIRS = 41
"""The same of any split, where pairs of user and item repeat."""

SECONDS = "give whole seconds since 1970, int64"


def split(
    rows: int,
    settings: SplitSettings,
    protocol: Protocol,
    folder: Path,
    *,
    user: npt.NDArray[np.integer] | None = None,
    item: npt.NDArray[np.integer] | None = None,
    time: npt.NDArray[np.int64] | None = None,
    unreadable: str | None = None,
) -> dict[str, Any]:
    """Write row numbers to train.npy, validation.npy and test.npy; only in `notebook` is a row in two of them.

    `random`: the test rows are those of `train_test_split(ratings, test_size=…, random_state=…)` under both protocols.
        In `fair`, validation rows are then split off the training rows with the same seed; in `notebook`, the test
        rows are the validation rows. The rows are in the order in which scikit-learn draws them.
    `kfold`: the test rows are those of fold number `fold` of `KFold(folds, shuffle=True, random_state=…)`, and
        validation rows are split off the others as in `random`.
    `user-last`: the last `test_size` of each user's rows are test rows, and the last `validation_size` of the user's
        others validation rows, both rounded to whole rows; the first row of a user is always a training row.
    `leave-one-out`: each user's last row is a test row and the one before it a validation row; a user with fewer than
        3 rows has training rows only.
    `time`: the latest `test_size` of all rows are test rows and the latest `validation_size` of the others validation
        rows, both rounded up as scikit-learn does.

    The last three leave the rows in ascending order; of two rows with the same time, the one with the larger row number
    is the later one.

    Under protocol `fair`, rows of the same `user` and `item` are all in the same part, where both are given. Where no
    pair has two rows, that changes nothing. Else all parts are in ascending order, and so large as whole pairs allow:

    `random`: pairs are drawn by `recsys.data.draw.hold_out`, and `kfold` deals them by `recsys.data.draw.folds_of`.
    `user-last`, `leave-one-out`, `time`: a pair has the place of its last row and is held out with it, so that no
        training row is later than the cut, and earlier rows of held-out pairs are held out, too. `user-last` and `time`
        cut where the parts have most nearly the rows asked for; `leave-one-out` holds out a user's last pair and the
        one before it, of 3 pairs or more.

    Protocol `notebook` takes `random` only and splits row by row. `user` and `item` are codes of shape (rows,); `user`
    is also read by `user-last` and `leave-one-out`; `time`, seconds since 1970 or NO_TIME, by those two and `time`.
    `unreadable` is the text of a time that could not be read, for the message.

    Returns:
        protocol, train_rows, validation_rows, test_rows, and of a split by time its `ties` (`recsys.data.latest.Ties`).

    Raises:
        BadSettings: one of the parts would be empty, there is no such fold, or `notebook` is not split at random.
        BadIds: codes of users or items are none.
        BadRatings: the split needs times, and all or some are missing, or no whole seconds; a column has
            not `rows` values.
        NotEnoughMemory: there is not enough memory for the row numbers.
    """
    if user is not None:
        user = _one_for_each_rating(as_codes(user, "user"), rows, "user code")
    if item is not None:
        item = _one_for_each_rating(as_codes(item, "item"), rows, "item code")
    codes = (user, item) if user is not None and item is not None and protocol == "fair" else None
    needed = BYTES_PER_RATING_IN_PAIRS if codes else BYTES_PER_RATING[settings.split_by]
    require_memory(f"Splitting {rows:,} ratings", rows * needed)
    if protocol == "notebook" and settings.split_by != "random":
        raise BadSettings(f"Protocol notebook splits at random, not by {settings.split_by}: choose protocol fair.")
    times = _required(time, rows, settings, unreadable) if settings.by_time else None
    pairs = pairs_of(*codes) if codes else None
    parts, ties = _parts(rows, settings, protocol, user, times, pairs)
    if not all(map(len, parts)):
        raise _too_few(rows, settings, pairs)
    named = dict(zip(("train", "validation", "test"), parts, strict=True))
    for name, part in named.items():
        np.save(folder / f"{name}.npy", part)
    counts = {f"{name}_rows": len(part) for name, part in named.items()}
    return {"protocol": protocol, **counts, **({"ties": ties} if ties else {})}


def _one_for_each_rating(column: npt.NDArray[Any], rows: int, what: str) -> npt.NDArray[Any]:
    if len(column) != rows:
        raise BadRatings(f"There are {count(len(column), what)} for {count(rows, 'rating')}: give one for each.")
    return column


def _parts(
    rows: int,
    settings: SplitSettings,
    protocol: Protocol,
    user: npt.NDArray[np.integer] | None,
    times: npt.NDArray[np.int64] | None,
    pairs: Pairs | None,
) -> tuple[Parts, Ties]:
    """The rows of the parts, and the ties of a split by time; `pairs` stay together, if there are any."""
    if times is not None:
        if settings.split_by == "time":
            return latest_of_all(times, settings, pairs)
        if user is None:
            raise TypeError(f"split_by {settings.split_by} needs the users")
        return latest_of_each(user, times, settings, pairs)
    if settings.split_by == "kfold" and settings.fold >= settings.folds:
        raise BadSettings(f"{settings.missing_fold}.")
    try:
        if pairs is None:
            return _random_rows(rows, settings, protocol), {}
        return _random_pairs(pairs, settings), {}
    except ValueError as error:
        raise _too_few(rows, settings, pairs) from error


def _random_rows(rows: int, settings: SplitSettings, protocol: Protocol) -> Parts:
    train, test = _fold(rows, settings) if settings.split_by == "kfold" else _random_test(rows, settings)
    if protocol == "notebook":
        return train, test, test
    rest, validation = train_test_split(train, test_size=settings.validation_size, random_state=settings.split_seed)
    return rest, validation, test


def _random_test(rows: int, settings: SplitSettings) -> tuple[Rows, Rows]:
    every = np.arange(rows, dtype=row_type(rows))
    train, test = train_test_split(every, test_size=settings.test_size, random_state=settings.split_seed)
    return train, test


def _fold(rows: int, settings: SplitSettings) -> tuple[Rows, Rows]:
    folds = KFold(settings.folds, shuffle=True, random_state=settings.split_seed)
    train, test = next(islice(folds.split(np.empty(rows, bool)), settings.fold, None))
    return train.astype(row_type(rows)), test.astype(row_type(rows))


def _random_pairs(pairs: Pairs, settings: SplitSettings) -> Parts:
    seed = settings.split_seed
    if settings.split_by == "kfold":
        in_test = folds_of(pairs, settings.folds, seed) == settings.fold
        train, test = (np.flatnonzero(fold).astype(pairs.starts.dtype) for fold in (~in_test, in_test))
    else:
        every = np.arange(len(pairs.starts), dtype=pairs.starts.dtype)
        train, test = hold_out(pairs, every, settings.test_size, seed)
    rest, validation = hold_out(pairs, train, settings.validation_size, seed)
    return pairs.rows_of(rest), pairs.rows_of(validation), pairs.rows_of(test)


def _required(
    time: npt.NDArray[np.int64] | None, rows: int, settings: SplitSettings, unreadable: str | None
) -> npt.NDArray[np.int64]:
    instead = "or choose --split-by random or kfold"
    if time is None:
        raise BadRatings(
            f"The ratings have no times, which --split-by {settings.split_by} needs: name their column with "
            f"--timestamp-column, {instead}."
        )
    time = _one_for_each_rating(as_column(time, "time", advice=SECONDS), rows, "time")
    if time.dtype.kind != "i":
        raise BadRatings(f"The times are of type {time.dtype}: {SECONDS}.")
    if unknown := int(np.count_nonzero(time == NO_TIME)):
        such, how = "", ""
        if unreadable is not None:
            such = f", such as {quoted(unreadable)}"
            how = "say how they are written with --time-format (day-first, month-first, or a form such as %d.%m.%Y), "
        raise BadRatings(
            f"{unknown:,} of {len(time):,} ratings have no time that can be read{such}, and --split-by "
            f"{settings.split_by} needs all: {how}correct or remove them, {instead}."
        )
    return time


def _too_few(rows: int, settings: SplitSettings, pairs: Pairs | None) -> BadSettings:
    rest = f"{settings.validation_size:g} of the rest for validation"
    if settings.split_by == "leave-one-out":
        ratings = "3 ratings" if pairs is None else "ratings of 3 items"
        return BadSettings(
            f"No user has the {ratings} that --split-by leave-one-out needs: use more ratings, or split otherwise."
        )
    what = f"{rows:,} ratings"
    if pairs is not None:
        what += f" of {count(len(pairs.starts), 'pair')} of user and item, which are not divided,"
    if settings.split_by == "kfold":
        return BadSettings(
            f"{what} are too few for {settings.folds} folds and {rest}: use more ratings or fewer folds."
        )
    where = " of each user's" if settings.split_by == "user-last" else ""
    return BadSettings(
        f"{what} are too few to hold out {settings.test_size:g}{where} for testing and "
        f"{rest}: use more ratings or other shares."
    )


def keep_all(training: Rows, validation: Rows, test: Rows, folder: Path) -> dict[str, Any]:
    """Write train.npy with the rows of all three, and an empty validation.npy; return how many rows there are."""
    rows = np.concatenate([training, validation, test])
    np.save(folder / "train.npy", rows)
    np.save(folder / "validation.npy", rows[:0])
    return {"protocol": "fair", "train_rows": len(rows), "validation_rows": 0, "test_rows": 0}
