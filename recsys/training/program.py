"""The compiled program: many training steps in one call.

XLA compiles a loop over a chunk of batches in which tables, moments and weights are carried from step
to step as plain tensors, so that rows are updated in place. The variables that hold them between calls
are read before the loop and assigned after it; XLA then gives the result the variable's own memory. (A
variable touched inside the loop, or a table passed as an argument, would be copied whole.)

Everything that is only a number is an argument: learning rates, dropout rates, penalties, seeds, how
many steps. The program depends on the head's arithmetic and on shapes alone, and is kept for the next
model that has the same.
"""

from typing import Any, NamedTuple

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.training.anatomy import Anatomy
from recsys.training.deferred_adam import Moments, catch_up, update
from recsys.training.dropout import mask

ROWS_PER_CALL = 1 << 17
"""Training rows in one call: 0.2 to 1 s of work."""


class State(NamedTuple):
    """Everything that training changes, as variables."""

    tables: list[tf.Variable]
    dense: list[Moments]


class Chunk(NamedTuple):
    """Batches of ratings; padding is not read.

    Attributes:
        ids: for each input, int32 of shape (steps, batch).
        ratings: float32 of shape (steps, batch).
        counts: ratings in each batch, int32 of shape (steps,).
        alphas: step size of each step, float32 of shape (steps,).
        tails: H before the first and after each step, float32 of shape (steps + 1,).
    """

    ids: list[tf.Tensor]
    ratings: tf.Tensor
    counts: tf.Tensor
    alphas: tf.Tensor
    tails: tf.Tensor


class Numbers(NamedTuple):
    """What a trial may change without another compilation.

    Attributes:
        rates: dropout rate of each site, float32.
        keys: key of each site's masks, uint32.
        l1: weight of |row| that each rating pays for its rows, for each lookup, float32.
        l2: the same for row².
    """

    rates: tf.Tensor
    keys: tf.Tensor
    l1: tf.Tensor
    l2: tf.Tensor


class Program:
    """Compiled functions for one architecture and batch size, used by any number of threads."""

    def __init__(self, anatomy: Anatomy, batch: int) -> None:
        self.batch = batch
        self.steps = max(1, ROWS_PER_CALL // batch)
        self.traces = 0
        self._head = anatomy.head.model
        self._sites = anatomy.head.sites
        self._lookups = [[x for x in anatomy.lookups if x.input == i] for i in range(len(anatomy.heights))]
        self._widths = [[x.width for x in group] for group in self._lookups]
        self._shapes = [[x.shape for x in group] for group in self._lookups]
        del self._lookups
        self.train = tf.function(self._train, jit_compile=True)
        self.settle = tf.function(self._settle, jit_compile=True)
        self.squared_error = tf.function(self._squared_error, jit_compile=True)

    def _train(
        self, state: State, chunk: Chunk, first_step: tf.Tensor, steps: tf.Tensor, numbers: Numbers
    ) -> tf.Tensor:
        """Take `steps` training steps.

        Args:
            state: updated in place.
            chunk: the batches.
            first_step: number of the first step.
            steps: how many of the chunk's batches to take.
            numbers: rates, keys and penalties.

        Returns:
            The sum of squared errors over all ratings, each measured before its step; float64.
        """
        self.traces += 1

        def step(i: tf.Tensor, error: tf.Tensor, slots: Any, tables: Any, dense: Any) -> Any:
            squared, slots, tables, dense = self._step(i, first_step + i, chunk, numbers, slots, tables, dense)
            return i + 1, error + squared, slots, tables, dense

        tables = [table.read_value() for table in state.tables]
        dense = [tuple(part.read_value() for part in weight) for weight in state.dense]
        slots = [tf.zeros(table.shape[0], tf.int32) for table in state.tables]
        start = (tf.constant(0), tf.constant(0.0, tf.float64), slots, tables, dense)
        _, error, _, tables, dense = tf.while_loop(lambda i, *_: i < steps, step, start)
        for variable, value in zip(state.tables, tables, strict=True):
            variable.assign(value)
        for variables, values in zip(state.dense, dense, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return error

    def _step(self, i, now, chunk, numbers, slots, tables, dense):
        position = tf.range(self.batch)
        count = chunk.counts[i]
        real = position < count
        share = tf.cast(real, tf.float32) / tf.cast(count, tf.float32)
        ids, rows = [], []
        for k, table in enumerate(tables):
            # padding gets a row number out of range, which XLA's scatter drops
            id_ = tf.where(real, chunk.ids[k][i], table.shape[0])
            stale, last, tail = unpack(tf.gather(table, id_))
            rows.append(catch_up(stale, now - 1 - last, tail, chunk.tails[i]))
            ids.append(id_)
        masks = [
            mask(numbers.keys[site], now, (self.batch, *shape), numbers.rates[site])
            for site, shape in enumerate(self._sites)
        ]
        weights = [w for w, _, _ in dense]
        with tf.GradientTape() as tape:
            tape.watch([row.w for row in rows])
            tape.watch(weights)
            predicted, extra = self._predict([row.w for row in rows], weights, masks)
            squares = tf.square(predicted - chunk.ratings[i])
            loss = tf.reduce_sum(squares * share) + extra
        row_gradients, gradients = tape.gradient(loss, ([row.w for row in rows], weights))
        alpha = chunk.alphas[i]
        new_slots, new_tables = [], []
        lookup = 0
        for k, table in enumerate(tables):
            g = row_gradients[k]
            l1 = tf.concat([tf.fill([w], numbers.l1[lookup + j]) for j, w in enumerate(self._widths[k])], 0)
            l2 = tf.concat([tf.fill([w], numbers.l2[lookup + j]) for j, w in enumerate(self._widths[k])], 0)
            lookup += len(self._widths[k])
            w = rows[k].w
            g += (2 * l2 * w + l1 * tf.sign(w)) * share[:, None]
            # occurrences of one id agree on a representative: whoever was written last
            slot = tf.tensor_scatter_nd_update(slots[k], ids[k][:, None], position)
            representative = tf.gather(slot, ids[k])
            total = tf.math.unsorted_segment_sum(g, representative, self.batch)
            total_squares = tf.math.unsorted_segment_sum(tf.square(g), representative, self.batch)
            fresh = pack(
                update(rows[k], total, total_squares, alpha),
                tf.fill([self.batch], now),
                tf.fill([self.batch], chunk.tails[i + 1]),
            )
            target = tf.where(representative == position, ids[k], table.shape[0])[:, None]
            new_slots.append(slot)
            new_tables.append(tf.tensor_scatter_nd_update(table, target, fresh))
        new_dense = [tuple(update(Moments(*d), g, g * g, alpha)) for d, g in zip(dense, gradients)]
        error = tf.cast(tf.reduce_sum(tf.where(real, squares, 0.0)), tf.float64)
        return error, new_slots, new_tables, new_dense

    def _predict(self, rows, weights, masks):
        pieces = []
        for row, widths, shapes in zip(rows, self._widths, self._shapes):
            for piece, shape in zip(tf.split(row, widths, axis=1), shapes):
                pieces.append(tf.reshape(piece, (-1, *shape)))
        out, _, losses = self._head.stateless_call(weights, [], [*pieces, *masks], training=True, return_losses=True)
        return tf.reshape(out, [-1]), (tf.add_n(losses) if losses else 0.0)

    def _settle(self, table: tf.Variable, now: tf.Tensor, next_tail) -> None:
        """Let all rows catch up with the end of the epoch, where H is 0."""
        rows, last, tail = unpack(table.read_value())
        rows = catch_up(rows, now - last, tail, tf.constant(0.0))
        table.assign(pack(rows, tf.fill(last.shape, now), tf.fill(last.shape, next_tail)))

    def _squared_error(self, state: State, ids: list[tf.Tensor], ratings: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        rows = []
        for table, id_ in zip(state.tables, ids):
            r = tf.gather(table.read_value(), id_)
            rows.append(r[:, : (r.shape[1] - 2) // 3])
        n = ratings.shape[0]
        out, _ = self._predict(rows, [d.w.read_value() for d in state.dense], [tf.ones((n, *s)) for s in self._sites])
        sq = tf.where(tf.range(n) < count, tf.square(out - ratings), 0.0)
        return tf.reduce_sum(tf.cast(sq, tf.float64))


def pack(rows: Moments, last: tf.Tensor, tail: tf.Tensor) -> tf.Tensor:
    """One row per row: w, m, v, the step of its last update (as bits), and H at that step."""
    return tf.concat([*rows, tf.bitcast(last, tf.float32)[:, None], tail[:, None]], 1)


def unpack(table: tf.Tensor) -> tuple[Moments, tf.Tensor, tf.Tensor]:
    width = (table.shape[1] - 2) // 3
    w, m, v, last, tail = tf.split(table, [width, width, width, 1, 1], axis=1)
    return Moments(w, m, v), tf.bitcast(last[:, 0], tf.int32), tail[:, 0]
