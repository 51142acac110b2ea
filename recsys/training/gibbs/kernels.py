"""The inner loops of the Gibbs sampler, compiled by Numba: they release the GIL, and their sums have a fixed order.

Tables of parameters are float32 of shape (rows, width); a row is (bias, factors, zeros). `width` is a multiple of
LANE, so that the compiler works on whole vector registers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

LANE = 8
"""Numbers of a vector register of AVX2."""

BLOCK = 32
"""Rows whose equations are solved side by side, one in each place of the innermost loops. The loops have it as an
argument, as the compiler would unroll one of known length and then find no vectors in it."""

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
def outer_products(theta: Table, size: int, products: Table) -> None:
    """Write the lower triangle of x x', row after row, then x, for x = (1, factors) of each row of `theta`.

    `products` has the shape (rows, size (size + 1) / 2 + size). With these at hand, a row's equations are sums of long
    rows of numbers, which is several times as fast as short loops over the factors of each rating.
    """
    for row in range(len(theta)):
        at = 0
        for i in range(size):
            left = theta[row, i] if i else np.float32(1.0)
            products[row, at] = left
            for j in range(1, i + 1):
                products[row, at + j] = left * theta[row, j]
            at += i + 1
        for i in range(size):
            products[row, at + i] = theta[row, i] if i else np.float32(1.0)


@compiled
def draw_rows(
    first: int,
    last: int,
    block: int,
    start: Places,
    other: Codes,
    rating: Table,
    row_precision: Table,
    other_precision: Table,
    products: Table,
    offset: Table,
    pull: Table,
    prior: Table,
    noise: Table,
    drawn: Table,
) -> None:
    """Draw rows `first` to `last` of one side from their normal posteriors, given the other side.

    With A = Λ + Σ w x x' and v = pull + Σ w (r - offset) x, where x = (1, factors) of the other side's row, the draw is
    N(A⁻¹ v, A⁻¹), by Cholesky's A = L L' and a row z of `noise`: L'θ = L⁻¹ v + z.

    Args:
        first: the first row; `last` is the one after the last; `block`: BLOCK.
        start: where each row's ratings begin, shape (rows + 1,).
        other: the other side's code of each rating; `rating` less the mean; both in the order of the rows.
        row_precision: of the noise of this side's ratings, shape (rows,), the overall precision included.
        other_precision: of the noise of the other side's ratings, shape (others,).
        products: `outer_products` of the other side.
        offset: biases of the other side, shape (others,).
        pull: Λ times the prior means, shape (rows, width).
        prior: the lower triangle of Λ, row after row, shape (size (size + 1) / 2,).
        noise: standard normal numbers, shape (rows, size).
        drawn: written to, shape (rows, width).
    """
    triangle, size = len(prior), noise.shape[1]
    sums = np.zeros((block, products.shape[1]), np.float32)
    a = np.zeros((triangle, block), np.float32)
    v = np.zeros((size, block), np.float32)
    inverse = np.empty(block, np.float32)
    nothing = np.float32(0.0)
    for begin in range(first, last, block):
        count = min(block, last - begin)
        for s in range(count):
            row = begin + s
            for i in range(triangle):
                sums[s, i] = prior[i]
            for i in range(size):
                sums[s, triangle + i] = pull[row, i]
            end = start[row + 1]
            for at in range(start[row], end, 4):  # by fours, as the sums are then read and written less often
                at1, at2, at3 = min(at + 1, end - 1), min(at + 2, end - 1), min(at + 3, end - 1)
                j0, j1, j2, j3 = other[at], other[at1], other[at2], other[at3]
                own = row_precision[row]
                w0 = own * other_precision[j0]
                w1 = own * other_precision[j1] if at + 1 < end else nothing
                w2 = own * other_precision[j2] if at + 2 < end else nothing
                w3 = own * other_precision[j3] if at + 3 < end else nothing
                for i in range(triangle):
                    pair = w0 * products[j0, i] + w1 * products[j1, i]
                    sums[s, i] += pair + (w2 * products[j2, i] + w3 * products[j3, i])
                w0 *= rating[at] - offset[j0]
                w1 *= rating[at1] - offset[j1]
                w2 *= rating[at2] - offset[j2]
                w3 *= rating[at3] - offset[j3]
                for i in range(triangle, triangle + size):
                    pair = w0 * products[j0, i] + w1 * products[j1, i]
                    sums[s, i] += pair + (w2 * products[j2, i] + w3 * products[j3, i])
        for i in range(triangle):
            for s in range(block):
                a[i, s] = sums[s, i]
        for i in range(size):
            for s in range(block):
                v[i, s] = sums[s, triangle + i]
        for k in range(size):
            pivot = k * (k + 1) // 2 + k
            for s in range(block):
                inverse[s] = np.float32(1.0) / np.sqrt(a[pivot, s])
            for s in range(block):
                a[pivot, s] = inverse[s]
                v[k, s] *= inverse[s]
            for i in range(k + 1, size):
                base = i * (i + 1) // 2
                for s in range(block):
                    a[base + k, s] *= inverse[s]
                for s in range(block):
                    v[i, s] -= a[base + k, s] * v[k, s]
                for j in range(k + 1, i + 1):
                    column = j * (j + 1) // 2 + k
                    for s in range(block):
                        a[base + j, s] -= a[base + k, s] * a[column, s]
        for s in range(count):
            for i in range(size):
                v[i, s] += noise[begin + s, i]
        for k in range(size - 1, -1, -1):
            for i in range(k + 1, size):
                place = i * (i + 1) // 2 + k
                for s in range(block):
                    v[k, s] -= a[place, s] * v[i, s]
            for s in range(block):
                v[k, s] *= a[k * (k + 1) // 2 + k, s]
        for s in range(count):
            for i in range(size):
                drawn[begin + s, i] = v[i, s]


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
    for row in range(len(table)):
        for j in range(width):
            found[row, j] = 0.0
        for i in range(columns):
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
