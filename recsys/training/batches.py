"""Ratings on their way to the compiled loop: gathered in the order of the epoch, a chunk at a time.

The arrays may be memory-mapped and longer than the device's memory; only one chunk is ever copied.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from recsys.training.fit import FitData

T = TypeVar("T", bound=np.generic)


class Batches(NamedTuple):
    """A chunk of batches in arrays of a fixed shape; where ratings end, padding follows.

    Attributes:
        user: int32 of shape (steps, batch).
        item: int32 of shape (steps, batch).
        rating: float32 of shape (steps, batch).
        counts: ratings in each batch, int32 of shape (steps,); 0 for a batch of padding.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]


def chunks(
    data: FitData,
    rows: npt.NDArray[np.integer],
    order: npt.NDArray[np.integer],
    steps: int,
    batch: int,
) -> Iterator[Batches]:
    """Cut `rows[order]` into batches, and these into chunks of `steps` batches.

    Args:
        data: ratings.
        rows: row numbers of ratings.
        order: positions in `rows`, in the order in which they are visited.
        steps: batches in a chunk.
        batch: ratings in a batch; the last batch of all may have fewer.
    """
    size = steps * batch
    for start in range(0, len(order), size):
        chosen = rows[order[start : start + size]]
        counts = np.clip(len(chosen) - np.arange(steps) * batch, 0, batch).astype(np.int32)

        yield Batches(
            _gathered(data.user, chosen, steps, batch),
            _gathered(data.item, chosen, steps, batch),
            _gathered(data.rating, chosen, steps, batch),
            counts,
        )


def _gathered(column: npt.NDArray[T], chosen: npt.NDArray[np.integer], steps: int, batch: int) -> npt.NDArray[T]:
    values = np.zeros(steps * batch, column.dtype)
    values[: len(chosen)] = column[chosen]
    return values.reshape(steps, batch)
