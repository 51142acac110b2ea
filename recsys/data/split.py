"""Splitting the ratings into training, validation and test rows."""

from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, train_test_split

from recsys.data.values import NO_TIME
from recsys.errors import BadRatings, BadSettings
from recsys.memory import require_memory
from recsys.settings import Protocol, SplitSettings

BYTES_PER_RATING = 16
"""Peak memory of splitting, measured on 20 million ratings."""

Rows = npt.NDArray[np.integer]
Parts = tuple[Rows, Rows, Rows]
"""Row numbers of training, validation and test."""


def split(
    rows: int,
    settings: SplitSettings,
    protocol: Protocol,
    folder: Path,
    *,
    user: npt.NDArray[np.integer] | None = None,
    time: npt.NDArray[np.int64] | None = None,
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

    Protocol `notebook` takes `random` only. `user`, codes of shape (rows,), is read by `user-last` and `leave-one-out`;
    `time`, seconds since 1970 or NO_TIME, by those two and `time`. Returns train_rows, validation_rows, test_rows.

    Raises:
        BadSettings: one of the parts would be empty, there is no such fold, or `notebook` is not split at random.
        BadRatings: the split needs times, and all or some are missing.
        NotEnoughMemory: there is not enough memory for the row numbers.
    """
    require_memory(f"Splitting {rows:,} ratings", rows * BYTES_PER_RATING)
    if protocol == "notebook" and settings.split_by != "random":
        raise BadSettings(f"Protocol notebook splits at random, not by {settings.split_by}: choose protocol fair.")
    if settings.split_by == "random":
        parts = _random(rows, settings, protocol)
    elif settings.split_by == "kfold":
        parts = _kfold(rows, settings)
    elif settings.split_by == "time":
        parts = _by_time(_required(time, settings), settings)
    else:
        times = _required(time, settings)
        if user is None:
            raise TypeError(f"split_by {settings.split_by} needs the users")
        parts = _by_user(user, times, settings)
    if not all(map(len, parts)):
        raise _too_few(rows, settings)
    named = dict(zip(("train", "validation", "test"), parts, strict=True))
    for name, part in named.items():
        np.save(folder / f"{name}.npy", part)
    return {"protocol": protocol, **{f"{name}_rows": len(part) for name, part in named.items()}}


def _random(rows: int, settings: SplitSettings, protocol: Protocol) -> Parts:
    try:
        train, test = train_test_split(
            np.arange(rows, dtype=_type(rows)), test_size=settings.test_size, random_state=settings.split_seed
        )
        if protocol == "notebook":
            return train, test, test
        return *_without_validation(train, settings), test
    except ValueError as error:
        raise _too_few(rows, settings) from error


def _kfold(rows: int, settings: SplitSettings) -> Parts:
    if settings.fold >= settings.folds:
        raise BadSettings(f"{settings.missing_fold}.")
    folds = KFold(settings.folds, shuffle=True, random_state=settings.split_seed)
    try:
        train, test = next(islice(folds.split(np.empty(rows, bool)), settings.fold, None))
        return *_without_validation(train.astype(_type(rows)), settings), test.astype(_type(rows))
    except ValueError as error:
        raise _too_few(rows, settings) from error


def _without_validation(train: Rows, settings: SplitSettings) -> tuple[Rows, Rows]:
    rest, validation = train_test_split(train, test_size=settings.validation_size, random_state=settings.split_seed)
    return rest, validation


def _by_time(time: npt.NDArray[np.int64], settings: SplitSettings) -> Parts:
    rows = len(time)
    order = np.argsort(time, kind="stable").astype(_type(rows))
    before_test = rows - ceil(settings.test_size * rows)
    before_validation = before_test - ceil(settings.validation_size * before_test)
    train, validation, test = (np.sort(part) for part in np.split(order, [before_validation, before_test]))
    return train, validation, test


def _by_user(user: npt.NDArray[np.integer], time: npt.NDArray[np.int64], settings: SplitSettings) -> Parts:
    rows = len(user)
    counts = np.bincount(user)
    if settings.split_by == "leave-one-out":
        test = validation = (counts >= 3).astype(np.int64)
    else:
        test = _share(settings.test_size, counts)
        validation = _share(settings.validation_size, counts - test)
    order = np.lexsort((time, user)).astype(_type(rows))
    place, ends = np.arange(rows, dtype=order.dtype), np.cumsum(counts).astype(order.dtype)
    in_test = place >= np.repeat(ends - test, counts)
    held_out = place >= np.repeat(ends - test - validation, counts)
    return np.sort(order[~held_out]), np.sort(order[held_out & ~in_test]), np.sort(order[in_test])


def _share(share: float, counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """`share` of each count in whole rows, leaving at least one row for training."""
    # rounding up, as scikit-learn does once for all rows, would hold out far more than asked of users with few ratings
    held_out: npt.NDArray[np.int64] = np.minimum(np.rint(share * counts), np.maximum(counts - 1, 0)).astype(np.int64)
    return held_out


def _required(time: npt.NDArray[np.int64] | None, settings: SplitSettings) -> npt.NDArray[np.int64]:
    instead = "or choose --split-by random or kfold"
    if time is None:
        raise BadRatings(
            f"The ratings have no times, which --split-by {settings.split_by} needs: name their column with "
            f"--timestamp-column, {instead}."
        )
    if unknown := int(np.count_nonzero(time == NO_TIME)):
        raise BadRatings(
            f"{unknown:,} of {len(time):,} ratings have no time that can be read, and --split-by {settings.split_by} "
            f"needs all: correct or remove them, {instead}."
        )
    return time


def _type(rows: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if rows < 2**31 else np.int64


def _too_few(rows: int, settings: SplitSettings) -> BadSettings:
    rest = f"{settings.validation_size:g} of the rest for validation"
    if settings.split_by == "leave-one-out":
        return BadSettings(
            "No user has the 3 ratings that --split-by leave-one-out needs: use more ratings, or split otherwise."
        )
    if settings.split_by == "kfold":
        return BadSettings(
            f"{rows:,} ratings are too few for {settings.folds} folds and {rest}: use more ratings or fewer folds."
        )
    where = " of each user's" if settings.split_by == "user-last" else ""
    return BadSettings(
        f"{rows:,} ratings are too few to hold out {settings.test_size:g}{where} for testing and "
        f"{rest}: use more ratings or other shares."
    )


def keep_all(training: Rows, validation: Rows, test: Rows, folder: Path) -> dict[str, Any]:
    """Write train.npy with the rows of all three, and an empty validation.npy; return how many rows there are."""
    rows = np.concatenate([training, validation, test])
    np.save(folder / "train.npy", rows)
    np.save(folder / "validation.npy", rows[:0])
    return {"protocol": "fair", "train_rows": len(rows), "validation_rows": 0, "test_rows": 0}
