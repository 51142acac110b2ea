"""The inner loops of the Gibbs sampler, compiled by Numba: they release the GIL, and their sums have a fixed order.

Tables of parameters are float32 of shape (rows, width); a row is (bias, factors, zeros). `width` is a multiple of
LANE, so that the compiler works on whole vector registers.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

LANE = 8
"""Numbers of a vector register of AVX2."""

BLOCK = 64
"""Rows whose equations are solved side by side, one in each place of the innermost loops. The loops have it as an
argument, as the compiler would unroll one of known length and then find no vectors in it."""

THREADS, PARTS = 2, 8
"""Threads that solve for rows, and parts that they take one after the other, so that both end at the same time."""

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
def draw_rows(
    first: int,
    last: int,
    block: int,
    start: Places,
    other: Codes,
    rating: Table,
    row_precision: Table,
    other_precision: Table,
    design: Table,
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
        design: x of the other side's rows, shape (others, width).
        offset: biases of the other side, shape (others,).
        pull: Λ times the prior means, shape (rows, width).
        prior: the lower triangle of Λ, row after row, shape (size (size + 1) / 2,).
        noise: standard normal numbers, shape (rows, size).
        drawn: written to, shape (rows, width).
    """
    triangle, size, width = len(prior), noise.shape[1], design.shape[1]
    sums = np.zeros((block, size + size % 2, width), np.float32)  # of w x x', of which the lower triangle is whole
    pulls = np.zeros((block, width), np.float32)
    a = np.zeros((triangle, block), np.float32)
    v = np.zeros((size, block), np.float32)
    nothing, one = np.float32(0.0), np.float32(1.0)
    for begin in range(first, last, block):
        count = min(block, last - begin)
        for s in range(count):
            row = begin + s
            own = row_precision[row]
            sums[s] = nothing
            pulls[s] = pull[row]
            end = start[row + 1]
            # by fours, and two rows of the sums at once, as these are then read and written less often
            for at in range(start[row], end, 4):
                at1, at2, at3 = min(at + 1, end - 1), min(at + 2, end - 1), min(at + 3, end - 1)
                j0, j1, j2, j3 = other[at], other[at1], other[at2], other[at3]
                w0 = own * other_precision[j0]
                w1 = own * other_precision[j1] if at + 1 < end else nothing
                w2 = own * other_precision[j2] if at + 2 < end else nothing
                w3 = own * other_precision[j3] if at + 3 < end else nothing
                for i in range(0, size, 2):
                    y0, y1, y2, y3 = w0 * design[j0, i], w1 * design[j1, i], w2 * design[j2, i], w3 * design[j3, i]
                    z0, z1 = w0 * design[j0, i + 1], w1 * design[j1, i + 1]
                    z2, z3 = w2 * design[j2, i + 1], w3 * design[j3, i + 1]
                    for j in range((i + 1) // LANE * LANE + LANE):
                        x0, x1, x2, x3 = design[j0, j], design[j1, j], design[j2, j], design[j3, j]
                        sums[s, i, j] += (y0 * x0 + y1 * x1) + (y2 * x2 + y3 * x3)
                        sums[s, i + 1, j] += (z0 * x0 + z1 * x1) + (z2 * x2 + z3 * x3)
                w0 *= rating[at] - offset[j0]
                w1 *= rating[at1] - offset[j1]
                w2 *= rating[at2] - offset[j2]
                w3 *= rating[at3] - offset[j3]
                for j in range(width):
                    pair = w0 * design[j0, j] + w1 * design[j1, j]
                    pulls[s, j] += pair + (w2 * design[j2, j] + w3 * design[j3, j])
        for i in range(size):
            base = i * (i + 1) // 2
            for j in range(i + 1):
                for s in range(block):
                    a[base + j, s] = prior[base + j] + sums[s, i, j]
            for s in range(block):
                v[i, s] = pulls[s, i]
        for i in range(size):
            base = i * (i + 1) // 2
            for j in range(i + 1):
                column = j * (j + 1) // 2
                whole = j - j % 4
                for k in range(0, whole, 4):
                    p, q = base + k, column + k
                    for s in range(block):
                        pair = a[p, s] * a[q, s] + a[p + 1, s] * a[q + 1, s]
                        a[base + j, s] -= pair + (a[p + 2, s] * a[q + 2, s] + a[p + 3, s] * a[q + 3, s])
                for k in range(whole, j):
                    for s in range(block):
                        a[base + j, s] -= a[base + k, s] * a[column + k, s]
                for s in range(block):  # in the place of each pivot is its inverse
                    a[base + j, s] = a[base + j, s] * a[column + j, s] if j < i else one / np.sqrt(a[base + j, s])
            for k in range(i):
                for s in range(block):
                    v[i, s] -= a[base + k, s] * v[k, s]
            for s in range(block):
                v[i, s] *= a[base + i, s]
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


def draw_all_rows(start: Places, *others: Any) -> None:
    """Draw every row as `draw_rows` does, in THREADS threads, whose number changes no bit; arguments are its own."""
    rows, size = len(start) - 1, others[-2].shape[1]
    work = start + np.arange(rows + 1) * size / 3  # to solve for a row takes as long as so many ratings do
    ends = np.searchsorted(work, np.arange(1, PARTS) * work[-1] / PARTS)
    edges = [0, *ends.tolist(), rows]
    draw_rows(0, 0, BLOCK, start, *others)  # compiles it, which each of the threads would do for itself
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda first, last: draw_rows(first, last, BLOCK, start, *others), edges, edges[1:]))


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
