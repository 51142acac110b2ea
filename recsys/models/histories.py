"""Who rated what, as both sides' histories: the implicit feedback of SVD++ and of the two towers.

The history of a user is the set of the items that the user has rated in training, that of an item the set of its
raters. Each side's ratings lie side by side, row after row, as in a compressed sparse matrix; loops over them are
compiled by Numba, without the interpreter's lock, and add numbers up in one order whatever the number of cores.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Batches = npt.NDArray[np.uint8]

NO_BATCH = 255
"""The batch of no rating."""

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a loop when it is first called, and keep the result beside its module.

    Sums may be reordered when the code is compiled, as the processor's vectors need, and never when it runs.
    """
    return cast(Function, numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})(function))


class Side(NamedTuple):
    """The training ratings of one side, users or items, in the order of its rows.

    Attributes:
        start: int64, shape (rows + 1,): where each row's ratings begin, and where the last one's end.
        other: int32, shape (ratings,): the code of the other side.
        rating: float32, shape (ratings,).
        bias: float32, shape (rows,): what the side adds to the ratings that a history expects, see `deviation`.
        other_bias: the same of the other side; a rating's deviation is the rating less both.
    """

    start: npt.NDArray[np.int64]
    other: npt.NDArray[np.int32]
    rating: Floats
    bias: Floats
    other_bias: Floats

    @property
    def rows(self) -> int:
        """Number of users, or of items."""
        return len(self.bias)

    @property
    def scale(self) -> Floats:
        """The number of ratings of each row to the power of -1/2, 0 without any; shape (rows,)."""
        counts = np.diff(self.start)
        return np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0).astype(np.float32)


def sides_of(
    user: npt.NDArray[np.int32], item: npt.NDArray[np.int32], rating: Floats, bias: tuple[Floats, Floats]
) -> tuple[Side, Side]:
    """Return the users' side and the items' side of training ratings, shape (ratings,) each.

    `bias` are those of the users and of the items.
    """
    of_users = _grouped(user, item, rating, len(bias[0]))
    of_items = _grouped(item, user, rating, len(bias[1]))
    return Side(*of_users, *bias), Side(*of_items, *bias[::-1])


@kernel
def _grouped(
    row: npt.NDArray[np.int32], other: npt.NDArray[np.int32], rating: Floats, rows: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    """A counting sort by row that keeps the order within a row."""
    start = np.zeros(rows + 1, np.int64)
    for r in row:
        start[r + 1] += 1
    for r in range(rows):
        start[r + 1] += start[r]
    place = start[:-1].copy()
    others, ratings = np.empty_like(other), np.empty_like(rating)
    for n in range(len(row)):
        at = place[row[n]]
        place[row[n]] += 1
        others[at], ratings[at] = other[n], rating[n]
    return start, others, ratings


@kernel
def deal(side: Side, of_row: npt.NDArray[np.uint64], of_other: npt.NDArray[np.uint64], batches: int) -> Batches:
    """Return the batch of each rating, by a hash of random numbers of its row and of its code of the other side.

    Both sides find the same batch, without a table from one's order to the other's, and an item that a user has rated
    twice is in one batch, so that neither rating sees the other in a history.
    """
    dealt = np.empty(len(side.other), np.uint8)
    for row in range(len(side.bias)):
        for at in range(side.start[row], side.start[row + 1]):
            mixed = of_row[row] + of_other[side.other[at]]
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            dealt[at] = (mixed >> np.uint64(40)) % np.uint64(batches)
    return dealt


@kernel
def rows_of_batch(side: Side, dealt: Batches, batch: int) -> npt.NDArray[np.int64]:
    """Return the rows that have a rating in this batch, in ascending order."""
    found = np.empty(len(side.bias), np.int64)
    count = 0
    for row in range(len(side.bias)):
        for at in range(side.start[row], side.start[row + 1]):
            if dealt[at] == batch:
                found[count] = row
                count += 1
                break
    return found[:count]


@kernel
def history_sums(
    side: Side, scale: Floats, rows: npt.NDArray[np.int64], tables: Floats, dealt: Batches, batch: int
) -> Floats:
    """Return the sum of each row's history, without the ratings of this batch; shape (len(rows), size).

        s_u = n_u^-1/2 Σ_{j ∈ N(u)} (Y_j + e_uj R_j),

    where e is the rating's deviation and n_u counts the whole history, whatever is left out.

    Args:
        side: whose histories they are.
        tables: float32 of shape (rows of the other side, parts, size): Y, or Y and R, or neither.
        dealt: the batch of each of the side's ratings.
    """
    sums = np.zeros((len(rows), tables.shape[2]), np.float32)
    for n in range(len(rows)):
        row = rows[n]
        total = sums[n]
        for at in range(side.start[row], side.start[row + 1]):
            if dealt[at] != batch:
                other = side.other[at]
                weight = np.float32(1)
                for part in range(tables.shape[1]):
                    for c in range(len(total)):
                        total[c] += weight * tables[other, part, c]
                    weight = side.rating[at] - side.bias[row] - side.other_bias[other]
        for c in range(len(total)):
            total[c] *= scale[row]
    return sums


@kernel
def history_gradient(side: Side, row: int, gradients: Floats, dealt: Batches, batch: int, found: Floats) -> None:
    """Write the gradient of a row's tables into `found`, shape (parts, size), from those of the others' histories.

    `gradients` are those of the other side's sums, times their scale; shape (rows of the other side, size).
    """
    found[:] = np.float32(0)
    for at in range(side.start[row], side.start[row + 1]):
        if dealt[at] != batch:
            other = side.other[at]
            weight = np.float32(1)
            for part in range(found.shape[0]):
                for c in range(found.shape[1]):
                    found[part, c] += weight * gradients[other, c]
                weight = side.rating[at] - side.bias[row] - side.other_bias[other]
