"""The inner loops of the Gibbs sampler, compiled by Numba: they release the GIL, and their sums have a fixed order.

Tables of parameters are float32 of shape (rows, width); a row is (bias, factors, zeros). `width` is a multiple of
LANE, so that the compiler works on whole vector registers.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

LANE = 8
"""Numbers of a vector register of AVX2."""

BLOCK = 32
"""Rows whose equations are solved side by side, one in each place of the innermost loops."""

Table = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

# of floating-point freedoms only those that leave NaN and infinity alone
compiled: Any = numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


@compiled
def draw_rows(
    first: int,
    last: int,
    start: Places,
    other: Codes,
    rating: Table,
    row_precision: Table,
    other_precision: Table,
    design: Table,
    offset: Table,
    pull: Table,
    prior_precision: Table,
    noise: Table,
    drawn: Table,
) -> None:
    """Draw rows `first` to `last` of one side from their normal posteriors, given the other side.

    With A = Λ + Σ w x x' and v = pull + Σ w (r - offset) x, where x is the other side's row of `design`, the draw is
    N(A⁻¹ v, A⁻¹), by Cholesky's A = L L' and a row z of `noise`: L'θ = L⁻¹ v + z.

    Args:
        start: where each row's ratings begin, shape (rows + 1,).
        other: the other side's code of each rating; `rating` less the mean; both in the order of the rows.
        row_precision: of the noise of this side's ratings, shape (rows,), the overall precision included.
        other_precision: of the noise of the other side's ratings, shape (others,).
        design: x, shape (others, width), with a 1 in column 0.
        offset: biases of the other side, shape (others,).
        pull: Λ times the prior means, shape (rows, width).
        prior_precision: Λ, shape (size, size).
        noise: standard normal numbers, shape (rows, size).
        drawn: written to, shape (rows, width).
    """
    size, width = prior_precision.shape[0], design.shape[1]
    gram = np.empty((size, width), np.float32)
    right = np.empty(width, np.float32)
    x = np.zeros((4, width), np.float32)
    wx = np.zeros((4, size), np.float32)
    a = np.zeros((size, size, BLOCK), np.float32)
    v = np.zeros((size, BLOCK), np.float32)
    inverse = np.empty(BLOCK, np.float32)
    for block in range(first, last, BLOCK):
        count = min(BLOCK, last - block)
        for s in range(BLOCK):
            row = block + min(s, count - 1)
            for i in range(size):
                for j in range(width):
                    gram[i, j] = 0.0
                for j in range(i + 1):
                    gram[i, j] = prior_precision[i, j]
            right[:] = pull[row]
            for at in range(start[row], start[row + 1], 4):
                here = min(4, start[row + 1] - at)
                for n in range(4):
                    if n < here:
                        j = other[at + n]
                        w = row_precision[row] * other_precision[j]
                        wr = w * (rating[at + n] - offset[j])
                        for i in range(width):
                            x[n, i] = design[j, i]
                            right[i] += wr * design[j, i]
                        for i in range(size):
                            wx[n, i] = w * design[j, i]
                    else:
                        for i in range(size):
                            wx[n, i] = 0.0
                for i in range(size):
                    w0, w1, w2, w3 = wx[0, i], wx[1, i], wx[2, i], wx[3, i]
                    for j in range((i // LANE + 1) * LANE):
                        gram[i, j] += w0 * x[0, j] + w1 * x[1, j] + w2 * x[2, j] + w3 * x[3, j]
            for i in range(size):
                for j in range(i + 1):
                    a[i, j, s] = gram[i, j]
                v[i, s] = right[i]
        for k in range(size):
            for s in range(BLOCK):
                inverse[s] = np.float32(1.0) / np.sqrt(a[k, k, s])
                a[k, k, s] = inverse[s]
            for i in range(k + 1, size):
                for s in range(BLOCK):
                    a[i, k, s] *= inverse[s]
            for i in range(k + 1, size):
                for j in range(k + 1, i + 1):
                    for s in range(BLOCK):
                        a[i, j, s] -= a[i, k, s] * a[j, k, s]
            for s in range(BLOCK):
                v[k, s] *= inverse[s]
            for i in range(k + 1, size):
                for s in range(BLOCK):
                    v[i, s] -= a[i, k, s] * v[k, s]
        for s in range(count):
            for i in range(size):
                v[i, s] += noise[block + s, i]
        for k in range(size - 1, -1, -1):
            for i in range(k + 1, size):
                for s in range(BLOCK):
                    v[k, s] -= a[i, k, s] * v[i, s]
            for s in range(BLOCK):
                v[k, s] *= a[k, k, s]
        for s in range(count):
            for i in range(size):
                drawn[block + s, i] = v[i, s]


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
def scatter(table: Table, other: Table) -> npt.NDArray[np.float64]:
    """Return table' other, float64 of shape (width, width), summed row after row."""
    width, columns = table.shape[1], other.shape[1]
    found = np.zeros((width, columns), np.float64)
    for row in range(len(table)):
        for i in range(width):
            value = np.float64(table[row, i])
            for j in range(columns):
                found[i, j] += value * other[row, j]
    return found
