"""What goes into a training, its batches, and what comes out of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.arrays import ENCODE, Columns, as_codes, as_column, as_ratings, as_row_numbers, require_one_length, taken
from recsys.errors import BadIds, BadSettings

GRID = 2.0**16
"""Steps of standardised ratings to 1."""


@dataclass(frozen=True)
class FitData:
    """Ratings as codes, and which of them to fit and to validate on.

    Lists, Series, arrays of shape (ratings, 1) and numbers of other types are converted. Rows that are neither fitted
    nor validated on may have a code below 0 or a rating that is NaN.

    Attributes:
        user: code of the user of each rating, from 0, shape (ratings,); like the next two it may be memory-mapped.
        item: code of the item of each rating, from 0, shape (ratings,).
        rating: in rating units, shape (ratings,).
        train: row numbers to fit on, shape (rows,), or a mask of booleans, shape (ratings,).
        validation: row numbers that early stopping reads, or a mask; there may be none where it is off.

    Raises:
        BadIds: a code is no whole number from 0.
        BadRatings: a rating is no finite number, there is no such row, or columns differ in length.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    train: npt.NDArray[np.integer]
    validation: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        """Check and convert what was given."""
        user, item = (as_column(getattr(self, side), f"{side} code", BadIds, ENCODE) for side in ("user", "item"))
        rating = as_column(self.rating, "rating")
        length = require_one_length(user_code=user, item_code=item, rating=rating)
        used = [as_row_numbers(self.train, length, "training"), as_row_numbers(self.validation, length, "validation")]
        checked = {
            "user": as_codes(user, "user", used=used),
            "item": as_codes(item, "item", used=used),
            "rating": as_ratings(rating, used=used),
            "train": used[0],
            "validation": used[1],
        }
        for name, values in checked.items():
            object.__setattr__(self, name, values)

    def require_codes(self, users: int | None, items: int | None) -> None:
        """Check that codes are those of so many users and items, where these numbers are known.

        Raises:
            BadIds: one is not.
        """
        used = [self.train, self.validation]
        as_codes(self.user, "user", users, used=used)
        as_codes(self.item, "item", items, used=used)

    def columns(self, rows: npt.NDArray[np.integer]) -> Columns:
        """Return the ratings of some rows, in memory."""
        return taken(self.user, rows), taken(self.item, rows), taken(self.rating, rows)

    @property
    def mean(self) -> float:
        """Mean of the training ratings, in rating units."""
        return float(taken(self.rating, self.train).mean(dtype=np.float64))

    @property
    def with_validation(self) -> Self:
        """The same ratings, all of them to fit on and none to validate on."""
        rows = np.concatenate([self.train, self.validation])
        return replace(self, train=rows, validation=rows[:0])

    def of_some_users(self, ratings: int, seed: int) -> tuple[Self, int]:
        """Return the training and validation ratings of some users, and how many users these are.

        The users are drawn at random until they have at least so many training `ratings`. They are coded anew from 0,
        in the order of their codes; items keep their codes.
        """
        counts = np.bincount(taken(self.user, self.train))
        order = np.random.default_rng(seed).permutation(len(counts))
        drawn = np.sort(order[: 1 + np.searchsorted(np.cumsum(counts[order]), ratings)])
        code = np.full(1 + int(self.user.max()), -1, np.int32)
        code[drawn] = np.arange(len(drawn))
        train, validation = (rows[code[self.user[rows]] >= 0] for rows in (self.train, self.validation))
        rows = np.concatenate([train, validation])
        numbers = np.arange(len(rows))
        some = replace(
            self,
            user=code[self.user[rows]],
            item=taken(self.item, rows),
            rating=taken(self.rating, rows),
            train=numbers[: len(train)],
            validation=numbers[len(train) :],
        )
        return some, len(drawn)

    def standardised(self) -> tuple[Self, float, float]:
        """Return the same with standardised ratings, and the standard deviation and mean of the training ratings.

        Standardised ratings are rounded to multiples of 2**-16, so that another scale or origin of the ratings, whose
        mean and standard deviation are rounded otherwise, gives the same bits. Where all ratings are equal, they are
        divided by 1.
        """
        ratings = taken(self.rating, self.train).astype(np.float64)
        mean = float(ratings.mean())
        sd = float(ratings.std()) or 1.0
        standard = np.rint((self.rating.astype(np.float64) - mean) / sd * GRID) / GRID
        return replace(self, rating=standard.astype(np.float32)), sd, mean

    def require_rows(self, model: str, patience: int) -> None:
        """Check that there is something to train on, and to validate on where early stopping asks for it.

        Raises:
            BadSettings: there is not.
        """
        if not len(self.train):
            raise BadSettings(f"{model}: there are no training ratings.")
        if patience and not len(self.validation):
            raise BadSettings(f"{model}: early stopping needs validation ratings, and there are none.")

    @classmethod
    def load(cls, arrays: Mapping[str, Path]) -> Self:
        """Map the .npy files of an encoded and split data set into memory; `arrays` is field name -> path."""
        return cls(**{field.name: np.load(arrays[field.name], mmap_mode="r") for field in fields(cls)})


@dataclass(frozen=True)
class Fit:
    """The course of a training.

    Attributes:
        loss: mean squared error over the training rows while training, one entry an epoch.
        val_loss: mean squared error over the validation rows after each epoch; empty without such rows.
        best_epoch: epoch (1-based) of the lowest validation loss; None without such rows.
        scored_epoch: epoch (1-based) whose weights the model now holds.
        stopped_early: whether early stopping ended the training before its last epoch.
        device: what it trained on, such as "CPU".
    """

    loss: list[float]
    val_loss: list[float]
    best_epoch: int | None
    scored_epoch: int
    stopped_early: bool
    seconds: float
    engine: str
    device: str

    def rescaled(self, scale: float) -> Self:
        """Return the same with losses of predictions that are `scale` times as large."""
        loss, val_loss = ([loss * scale**2 for loss in losses] for losses in (self.loss, self.val_loss))
        return replace(self, loss=loss, val_loss=val_loss)


class Batches(NamedTuple):
    """A chunk of batches in arrays of a fixed shape, (steps, batch); where ratings end, padding follows.

    `counts` is the ratings in each batch, int32 of shape (steps,); 0 for a batch of padding.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]


def chunks(
    data: FitData, rows: npt.NDArray[np.integer], order: npt.NDArray[np.integer], steps: int, batch: int
) -> Iterator[Batches]:
    """Gather `rows[order]` in batches, and these in chunks of `steps` batches; the last batch may have fewer ratings.

    The ratings may be memory-mapped and longer than the device's memory; only one chunk is ever copied.
    """
    size = steps * batch
    for start in range(0, len(order), size):
        chosen = rows[order[start : start + size]]
        columns: list[npt.NDArray[Any]] = [
            np.pad(column[chosen], (0, size - len(chosen))).reshape(steps, batch)
            for column in (data.user, data.item, data.rating)
        ]
        user, item, rating = columns
        counts = np.clip(len(chosen) - np.arange(steps) * batch, 0, batch).astype(np.int32)
        yield Batches(user, item, rating, counts)
