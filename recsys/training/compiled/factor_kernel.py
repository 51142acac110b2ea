"""Steps of deferred Adam for matrix factorisation, compiled by Numba: without the GIL, in an order that is fixed.

The arithmetic is that of `deferred_adam`, where it is explained. An id that occurs once in a batch is updated as soon
as its rating has been predicted, for no other rating of the batch reads it; the gradients of one that occurs more often
are summed first. The inner functions take whole arrays, neither slices nor tuples: Numba counts who holds these, which
would take as long as all the arithmetic.
"""

from collections.abc import Callable
from math import log
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from recsys.training.compiled.deferred_adam import BETA_1, BETA_2, EPSILON, FADED, KAPPA, RHO, TINY, Floats
from recsys.training.gibbs.kernels import compiled

F = np.float32
ZERO, ONE, TWO = F(0), F(1), F(2)
NEW_1, NEW_2, NARROW = F(1 - BETA_1), F(1 - BETA_2), F(EPSILON)
LOG_BETA_2, LOG_TINY, NOTHING = F(log(BETA_2)), F(log(TINY)), F(TINY)
W, M, V = range(3)
"""Places of weights and moments in `Side.values`."""

LAST, SEEN, PLACE = range(3)
"""Places in `Side.notes`: step of the row's last update, last step with a rating of it, and its place in that batch."""

ID, TIMES = range(2)
"""Places in `Side.batch`: an id, and how often it occurs."""

SUM, SQUARES = range(2)
"""Places in `Side.sums`: over the gradients of an id's ratings, and over their squares."""

CACHE_LINE = 16
"""Numbers of a cache line."""

Ints = npt.NDArray[np.int32]


def _prefetch(typing_context: Any, table: Any, row: Any, part: Any, column: Any) -> Any:
    """Have the processor fetch `table[row, part, column]`, to be written soon, into its cache while it goes on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, *kinds = signature.args
        array = context.make_array(kind)(context, builder, arguments[0])
        indices = [context.cast(builder, *one, types.intp) for one in zip(arguments[1:], kinds, strict=True)]
        place: Any = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
            context, builder, kind, array, indices, wraparound=False
        )
        number, address = ir.IntType(32), ir.IntType(8).as_pointer()
        form = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address], form)
        write, most_local, data = number(1), number(3), number(1)
        builder.call(function, [builder.bitcast(place, address), write, most_local, data])
        return context.get_dummy_value()

    return types.void(table, row, part, column), generate


prefetch: Callable[..., None] = intrinsic(_prefetch)


def powers() -> Floats:
    """ρ^k, κ^k and β1^k for k from 0 to FADED, of which the last are 0; shape (FADED + 1, 3)."""
    found = np.array([RHO, KAPPA, BETA_1]) ** np.arange(FADED + 1)[:, None]
    found[FADED] = 0
    return found.astype(np.float32)


class Side(NamedTuple):
    """The users or the items under way, and what a step notes about the ids of its batch.

    Attributes:
        values: weights and both moments, float32 of shape (rows, 3, width); the columns are the factors and, where
            there is one, the bias.
        tails: H and H' at each row's last update, float32 of shape (rows, 2).
        notes: int32 of shape (rows, 3), see LAST.
        batch: of each distinct id of a batch, int32 of shape (batch, 2), see ID.
        sums: the same for their gradients, float32 of shape (batch, 2, width), see SUM.
        penalties: L1 and L2 regularisation of the factors, and of the bias, float32 of shape (4,).
        factors: those of a rating before its step, float32 of shape (size,).
    """

    values: Floats
    tails: Floats
    notes: Ints
    batch: Ints
    sums: Floats
    penalties: Floats
    factors: Floats


@compiled
def take_steps(
    users: Side,
    items: Side,
    user_ids: Ints,
    item_ids: Ints,
    rating: Floats,
    counts: Ints,
    alphas: Floats,
    tails: Floats,
    first: int,
    offset: np.float32,
    powers: Floats,
) -> float:
    """Take a step for each of `alphas`; return the sum of the squared errors, each measured before its step.

    Args:
        users: changed in place, like `items`.
        user_ids: int32 of shape (steps, batch), like `item_ids`, and like `rating`, which is float32.
        counts: ratings in each batch; what follows them is padding.
        alphas: α of each step; `tails`, H and H' before the first and after each, shape (steps + 1, 2).
        first: the number of the first step in the training, from 1.
        offset: μ.
        powers: those of the function `powers`.
    """
    p, p_tails, p_notes, p_batch, p_sums, p_penalties, p_factors = users
    q, q_tails, q_notes, q_batch, q_sums, q_penalties, q_factors = items
    total, size = 0.0, len(p_factors)
    for i in range(len(alphas)):
        count, now, alpha = counts[i], first + i, alphas[i]
        share = ONE / F(count)
        users_here = _count(p_notes, p_batch, p_sums, user_ids, i, count, now)
        items_here = _count(q_notes, q_batch, q_sums, item_ids, i, count, now)
        for r in range(count):
            if i + 1 < len(alphas):  # the next batch's rows are on their way while this one's learn
                _prefetch_row(p, user_ids[i + 1, r])
                _prefetch_row(q, item_ids[i + 1, r])
            user, item = user_ids[i, r], item_ids[i, r]
            _catch_up(p, p_tails, p_notes, user, now - 1, tails[i, 0], tails[i, 1], powers)
            _catch_up(q, q_tails, q_notes, item, now - 1, tails[i, 0], tails[i, 1], powers)
            dot = ZERO
            for k in range(size):
                p_factors[k], q_factors[k] = p[user, W, k], q[item, W, k]
                dot += p[user, W, k] * q[item, W, k]
            error = offset + dot + _bias(p, user, size) + _bias(q, item, size) - rating[i, r]
            total += np.float64(error * error)
            slope = TWO * error * share
            _learn(p, p_tails, p_notes, p_batch, p_sums, p_penalties, user, slope, q_factors, share, alpha, tails, i)
            _learn(q, q_tails, q_notes, q_batch, q_sums, q_penalties, item, slope, p_factors, share, alpha, tails, i)
        _update_repeated(p, p_batch, p_sums, users_here, alpha)
        _update_repeated(q, q_batch, q_sums, items_here, alpha)
    return total


@compiled
def settle(side: Side, step: int, tail: np.float32, grown_tail: np.float32, powers: Floats) -> None:
    """Let all rows catch up with an epoch's last step; `tail` is H, `grown_tail` H' where the next epoch begins."""
    values, tails, notes = side.values, side.tails, side.notes
    for row in range(len(notes)):
        _catch_up(values, tails, notes, row, step, ZERO, ZERO, powers)
        tails[row, 0], tails[row, 1] = tail, grown_tail


@compiled
def squared_errors(
    users: Side, items: Side, user_ids: Ints, item_ids: Ints, rating: Floats, count: int, offset: np.float32
) -> float:
    """Return the sum of the squared errors of the first `count` ratings of one batch; the rows have caught up."""
    p, q, size, total = users.values, items.values, len(users.factors), 0.0
    for r in range(count):
        user, item = user_ids[0, r], item_ids[0, r]
        dot = ZERO
        for k in range(size):
            dot += p[user, W, k] * q[item, W, k]
        error = offset + dot + _bias(p, user, size) + _bias(q, item, size) - rating[0, r]
        total += np.float64(error * error)
    return total


@compiled
def _bias(values: Floats, row: int, size: int) -> np.float32:
    return values[row, W, size] if values.shape[2] > size else ZERO


@compiled
def _prefetch_row(values: Floats, row: int) -> None:
    for part in range(3):
        for column in range(0, values.shape[2], CACHE_LINE):
            prefetch(values, row, part, column)


@compiled
def _count(notes: Ints, batch: Ints, sums: Floats, ids: Ints, i: int, count: int, now: int) -> int:
    """Find the distinct ids of batch `i`, and how often each occurs; return how many they are."""
    distinct = 0
    for r in range(count):
        id_ = ids[i, r]
        if notes[id_, SEEN] == now:
            batch[notes[id_, PLACE], TIMES] += 1
        else:
            notes[id_, SEEN], notes[id_, PLACE] = now, distinct
            batch[distinct, ID], batch[distinct, TIMES] = id_, 1
            distinct += 1
    for n in range(distinct):
        if batch[n, TIMES] > 1:
            for j in range(sums.shape[2]):
                sums[n, SUM, j] = sums[n, SQUARES, j] = ZERO
    return distinct


@compiled
def _catch_up(
    values: Floats,
    tails: Floats,
    notes: Ints,
    row: int,
    step: int,
    tail: np.float32,
    grown_tail: np.float32,
    powers: Floats,
) -> None:
    """Make the steps that the row has missed, up to number `step`, after which H and H' are these."""
    missed = step - notes[row, LAST]
    if missed <= 0:
        return
    k = min(missed, FADED)
    travel = tails[row, 0] - powers[k, 0] * tail
    grown = tails[row, 1] - powers[k, 1] * grown_tail
    epsilon = NARROW * (max(grown / travel, ONE) if travel != ZERO else ONE)
    fading, decay = powers[k, 2], np.exp(max(F(missed) * LOG_BETA_2, LOG_TINY))
    for j in range(values.shape[2]):
        m, v = values[row, M, j], values[row, V, j]
        values[row, W, j] -= m / (np.sqrt(v) + epsilon) * travel
        faded, decayed = m * fading, v * decay
        values[row, M, j] = faded if abs(faded) >= NOTHING else ZERO
        values[row, V, j] = decayed if decayed >= NOTHING else ZERO
    notes[row, LAST], tails[row, 0], tails[row, 1] = step, tail, grown_tail


@compiled
def _learn(
    values: Floats,
    own_tails: Floats,
    notes: Ints,
    batch: Ints,
    sums: Floats,
    penalties: Floats,
    row: int,
    slope: np.float32,
    others: Floats,
    share: np.float32,
    alpha: np.float32,
    tails: Floats,
    i: int,
) -> None:
    """Update the row of a rating's id, or where the batch has it more than once, sum the gradient up."""
    size, place = len(others), notes[row, PLACE]
    l1, l2, bias_l1, bias_l2 = penalties[0], penalties[1], penalties[2], penalties[3]
    once = batch[place, TIMES] == 1
    for k in range(size):
        w = values[row, W, k]
        g = slope * others[k] + (l1 * np.sign(w) + TWO * l2 * w) * share
        if once:
            _adam(values, row, k, g, g * g, alpha)
        else:
            sums[place, SUM, k] += g
            sums[place, SQUARES, k] += g * g
    if values.shape[2] > size:
        w = values[row, W, size]
        g = slope + (bias_l1 * np.sign(w) + TWO * bias_l2 * w) * share
        if once:
            _adam(values, row, size, g, g * g, alpha)
        else:
            sums[place, SUM, size] += g
            sums[place, SQUARES, size] += g * g
    notes[row, LAST], own_tails[row, 0], own_tails[row, 1] = notes[row, SEEN], tails[i + 1, 0], tails[i + 1, 1]


@compiled
def _update_repeated(values: Floats, batch: Ints, sums: Floats, distinct: int, alpha: np.float32) -> None:
    """Update the rows that the batch, of so many `distinct` ids, has more than once."""
    for n in range(distinct):
        if batch[n, TIMES] > 1:
            for j in range(values.shape[2]):
                _adam(values, batch[n, ID], j, sums[n, SUM, j], sums[n, SQUARES, j], alpha)


@compiled
def _adam(values: Floats, row: int, j: int, gradient: np.float32, squares: np.float32, alpha: np.float32) -> None:
    m = values[row, M, j] + (gradient - values[row, M, j]) * NEW_1
    v = values[row, V, j] + (squares - values[row, V, j]) * NEW_2
    values[row, M, j], values[row, V, j] = m, v
    values[row, W, j] -= m * alpha / (np.sqrt(v) + NARROW)
