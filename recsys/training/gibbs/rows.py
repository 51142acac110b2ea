"""Drawing, or solving for, the rows of one side given the other: where the time of a sweep goes.

The sums of products in the innermost loops are written for vector registers. LLVM finds these by itself, but asks
before each loop whether its tables overlap and how many numbers are left over, which takes longer than the sums. A
product and its sum are rounded once where the processor can. Their order is fixed, for registers of any length.

They stand in the file of the loop that has them, as Numba compiles a cached loop anew when its own file changes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils as untyped
from numba.core import types
from numba.extending import intrinsic

from recsys.training.gibbs.kernels import Codes, Places, Table, compiled

cgutils: Any = untyped

LANE = 8
"""Numbers of a vector register of AVX2; rows of tables have a multiple of them."""

BLOCK = 64
"""Rows whose equations are solved side by side."""

TOGETHER = 4
"""Ratings, and rows of their sums, that are taken at once, as the sums are then read and written less often."""

THREADS, PARTS = 2, 6
"""Threads that solve for rows, and parts that they take one after the other, so that both end at the same time."""

CACHE_LINE = 16
"""Numbers of a cache line."""

FUSED = ("contract",)
NUMBER, PLACE, INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)


def _add_outer_products(context: Any, sums: Any, at: Any, table: Any, rows: Any, weights: Any, size: Any) -> Any:
    """Add Σ w x x' to the lower triangle of `sums[at]`, over TOGETHER rows x of `table` with their weights w.

    Args:
        context: Numba's.
        sums: float32 of shape (any, at least `size` rounded up to a multiple of TOGETHER, width).
        at: a place in `sums`.
        table: float32 of shape (others, width).
        rows: a tuple of TOGETHER places in `table`; `weights`: one of as many float32 numbers.
        size: rows of the triangle.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = _Arguments(context, builder, signature.args, values)
        xs = [given.address(2, row) for row in given.places(3)]
        weighted = list(zip(cgutils.unpack_tuple(builder, values[4]), xs, strict=True))
        first, width = given.address(0, given.place(1)), given.width(0)
        with cgutils.for_range_slice(builder, PLACE(0), given.place(5), PLACE(TOGETHER), PLACE) as (i, _):
            rows = [builder.add(i, PLACE(k)) for k in range(TOGETHER)]
            into = [builder.gep(first, [builder.mul(row, width)]) for row in rows]
            factors = [
                [_filled(builder, builder.fmul(w, builder.load(builder.gep(x, [row])))) for w, x in weighted]
                for row in rows
            ]
            end = builder.add(builder.or_(rows[-1], PLACE(LANE - 1)), PLACE(1))
            with cgutils.for_range_slice(builder, PLACE(0), end, PLACE(LANE), PLACE) as (j, _):
                columns = [_load(builder, x, j, LANE) for x in xs]
                for row, ys in zip(into, factors, strict=True):
                    total = _load(builder, row, j, LANE)
                    for x, y in zip(columns, ys, strict=True):
                        total = builder.fadd(total, builder.fmul(x, y, flags=FUSED), flags=FUSED)
                    _store(builder, total, row, j, LANE)
        return context.get_dummy_value()

    return types.void(sums, at, table, rows, weights, size), generate


def _subtract_products(
    context: Any, into: Any, at: Any, left: Any, first: Any, right: Any, start: Any, count: Any
) -> Any:
    """Subtract Σ left[first + k] right[start + k], k < `count`, from `into[at]`; tables are float32, (any, BLOCK)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = _Arguments(context, builder, signature.args, values)
        target, xs, ys = (given.address(table, given.place(table + 1)) for table in (0, 2, 4))
        total = cgutils.alloca_once_value(builder, _load(builder, target, PLACE(0), BLOCK))
        end = builder.mul(given.place(6), PLACE(BLOCK))
        with cgutils.for_range_slice(builder, PLACE(0), end, PLACE(BLOCK), PLACE) as (k, _):
            product = builder.fmul(_load(builder, xs, k, BLOCK), _load(builder, ys, k, BLOCK), flags=FUSED)
            builder.store(builder.fsub(builder.load(total), product, flags=FUSED), total)
        _store(builder, builder.load(total), target, PLACE(0), BLOCK)
        return context.get_dummy_value()

    return types.void(into, at, left, first, right, start, count), generate


add_outer_products: Callable[..., None] = intrinsic(_add_outer_products)
subtract_products: Callable[..., None] = intrinsic(_subtract_products)


class _Arguments:
    """The arguments of a call, as values of LLVM."""

    def __init__(self, context: Any, builder: Any, kinds: Sequence[Any], values: Sequence[Any]) -> None:
        self.context, self.builder, self.kinds, self.values = context, builder, kinds, values

    def place(self, at: int) -> Any:
        return self.context.cast(self.builder, self.values[at], self.kinds[at], types.intp)

    def places(self, at: int) -> list[Any]:
        kind, parts = self.kinds[at].dtype, cgutils.unpack_tuple(self.builder, self.values[at])
        return [self.context.cast(self.builder, part, kind, types.intp) for part in parts]

    def width(self, at: int) -> Any:
        """Columns of an array."""
        return cgutils.unpack_tuple(self.builder, self._array(at).shape)[-1]

    def address(self, at: int, row: Any) -> Any:
        """Where `row` of an array begins."""
        kind = self.kinds[at]
        indices = [row, *[PLACE(0)] * (kind.ndim - 1)]
        return cgutils.get_item_pointer(self.context, self.builder, kind, self._array(at), indices, wraparound=False)

    def _array(self, at: int) -> Any:
        return self.context.make_array(self.kinds[at])(self.context, self.builder, self.values[at])


def _load(builder: Any, table: Any, at: Any, length: int) -> Any:
    return builder.load(_vector(builder, table, at, length), align=4)


def _store(builder: Any, value: Any, table: Any, at: Any, length: int) -> None:
    builder.store(value, _vector(builder, table, at, length), align=4)


def _vector(builder: Any, table: Any, at: Any, length: int) -> Any:
    return builder.bitcast(builder.gep(table, [at]), ir.VectorType(NUMBER, length).as_pointer())


def _filled(builder: Any, value: Any) -> Any:
    """Return a register with `value` in all places."""
    kind = ir.VectorType(NUMBER, LANE)
    first = builder.insert_element(kind(ir.Undefined), value, INDEX(0))
    return builder.shuffle_vector(first, kind(ir.Undefined), ir.VectorType(INDEX, LANE)([0] * LANE))


@compiled
def _aligned(rows: int, width: int) -> Table:
    """Return zeros of which every row begins with a cache line, if a row is as long as some of them."""
    room = np.zeros(rows * width + CACHE_LINE, np.float32)
    skipped = -room.ctypes.data % (4 * CACHE_LINE) // 4
    return room[skipped : skipped + rows * width].reshape((rows, width))


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
        first: the first row; `last` is the one after the last.
        block: BLOCK, which the compiler must not know: it would unroll the loops and then find no vectors in them.
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
    sums = np.zeros((block, -(-size // TOGETHER) * TOGETHER, width), np.float32)  # of w x x', whole below the diagonal
    pulls = np.zeros((block, width), np.float32)
    a, v = _aligned(triangle, block), _aligned(size, block)
    nothing, one = np.float32(0.0), np.float32(1.0)
    for begin in range(first, last, block):
        count = min(block, last - begin)
        for s in range(count):
            row = begin + s
            own = row_precision[row]
            sums[s] = nothing
            pulls[s] = pull[row]
            end = start[row + 1]
            for at in range(start[row], end, TOGETHER):
                at1, at2, at3 = min(at + 1, end - 1), min(at + 2, end - 1), min(at + 3, end - 1)
                j0, j1, j2, j3 = other[at], other[at1], other[at2], other[at3]
                w0 = own * other_precision[j0]
                w1 = own * other_precision[j1] if at + 1 < end else nothing
                w2 = own * other_precision[j2] if at + 2 < end else nothing
                w3 = own * other_precision[j3] if at + 3 < end else nothing
                add_outer_products(sums, s, design, (j0, j1, j2, j3), (w0, w1, w2, w3), size)
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
                subtract_products(a, base + j, a, base, a, column, j)
                for s in range(block):  # in the place of each pivot is its inverse
                    a[base + j, s] = a[base + j, s] * a[column + j, s] if j < i else one / np.sqrt(a[base + j, s])
            subtract_products(v, i, a, base, v, 0, i)
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
    work = start + np.arange(rows + 1) * size / 2  # to solve for a row takes as long as so many ratings do
    ends = np.searchsorted(work, np.arange(1, PARTS) * work[-1] / PARTS)
    parts = pairwise([0, *ends.tolist(), rows])
    draw_rows(0, 0, BLOCK, start, *others)  # compiles it, which each of the threads would do for itself

    def draw_parts() -> None:
        for first, last in parts:
            draw_rows(first, last, BLOCK, start, *others)

    with ThreadPoolExecutor(THREADS) as threads:
        elsewhere = [threads.submit(draw_parts) for _ in range(THREADS - 1)]
        draw_parts()
        for each in elsewhere:
            each.result()
