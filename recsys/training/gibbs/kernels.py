"""The inner loops of the Gibbs sampler, compiled by Numba: they release the GIL, and their sums have a fixed order.

Tables of parameters are float32 of shape (rows, width); a row is (bias, factors, zeros). `width` is a multiple of
`rows.LANE`, so that the compiler works on whole vector registers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

FLUSHED = 128
"""Rows whose sum is exact enough in float32."""

Table = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(function: Loop) -> Loop:
    """Compile a loop; of floating-point freedoms it takes only those that leave NaN and infinity alone."""
    allowed = {"contract", "reassoc", "nsz"}
    return cast(Loop, numba.njit(nogil=True, cache=True, fastmath=allowed, error_model="numpy")(function))


@compiled
def squared_errors(start: Places, other: Codes, rating: Table, rows: Table, others: Table, found: Table) -> None:
    """Write the squared residual of each rating, in the order of the rows, into `found`, shape (ratings,)."""
    width = rows.shape[1]
    for row in range(len(start) - 1):
        for at in range(start[row], start[row + 1]):
            j = other[at]
            dot = np.float32(0.0)
            for i in range(1, width):
                dot += rows[row, i] * others[j, i]
            error = rating[at] - rows[row, 0] - others[j, 0] - dot
            found[at] = error * error


@compiled
def predict(user: Codes, item: Codes, users: Table, items: Table, found: Table) -> None:
    """Write b_u + c_i + p_u · q_i of each pair into `found`, shape (pairs,)."""
    width = users.shape[1]
    for at in range(len(user)):
        u, j = user[at], item[at]
        dot = np.float32(0.0)
        for i in range(1, width):
            dot += users[u, i] * items[j, i]
        found[at] = users[u, 0] + items[j, 0] + dot


@compiled
def weighted_sums(start: Places, other: Codes, weight: Table, value: Table, found: Table) -> None:
    """Write Σ weight[other] value over the ratings of each row into `found`, float32 of shape (rows,)."""
    for row in range(len(start) - 1):
        total = 0.0
        for at in range(start[row], start[row + 1]):
            total += weight[other[at]] * value[at]
        found[row] = total


@compiled
def gather_sums(start: Places, other: Codes, table: Table, found: Table) -> None:
    """Write the sum of the other side's rows of `table` over the ratings of each row into `found`, (rows, width)."""
    width = table.shape[1]
    for row in range(len(start) - 1):
        for i in range(width):
            found[row, i] = 0.0
        for at in range(start[row], start[row + 1]):
            j = other[at]
            for i in range(width):
                found[row, i] += table[j, i]


@compiled
def multiply(table: Table, matrix: Table, found: Table) -> None:
    """Write table matrix into `found`, (rows, width), for a matrix of shape (columns, width), in a fixed order."""
    columns, width = matrix.shape
    last = columns - columns % 4
    for row in range(len(table)):
        for j in range(width):
            found[row, j] = 0.0
        for i in range(0, last, 4):  # as what is found is then read and written less often
            w0, w1, w2, w3 = table[row, i], table[row, i + 1], table[row, i + 2], table[row, i + 3]
            for j in range(width):
                pair = w0 * matrix[i, j] + w1 * matrix[i + 1, j]
                found[row, j] += pair + (w2 * matrix[i + 2, j] + w3 * matrix[i + 3, j])
        for i in range(last, columns):
            value = table[row, i]
            for j in range(width):
                found[row, j] += value * matrix[i, j]


@compiled
def scatter(table: Table) -> npt.NDArray[np.float64]:
    """Return table' table, float64 of shape (width, width), from float32 sums over FLUSHED rows each."""
    width = table.shape[1]
    found = np.zeros((width, width), np.float64)
    part = np.zeros((width, width), np.float32)
    for row in range(len(table)):
        for i in range(width):
            value = table[row, i]
            for j in range(width):
                part[i, j] += value * table[row, j]
        if row % FLUSHED == FLUSHED - 1 or row == len(table) - 1:
            for i in range(width):
                for j in range(width):
                    found[i, j] += part[i, j]
                    part[i, j] = 0.0
    return found
