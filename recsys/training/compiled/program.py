"""The compiled program: thousands of training steps in one call.

XLA compiles a loop over a chunk of batches in which tables, moments and weights are carried from step
to step as plain tensors, so that rows are updated in place. The variables that hold them between calls
are read before the loop and assigned after it; XLA then gives the results the variables' own memory. (A
variable touched inside the loop, or a table passed as an argument, would be copied whole.)

Whatever is only a number is an argument: learning rates, dropout rates, penalties, seeds, how many
steps. The program depends on the head's arithmetic and on shapes alone, and serves every model that has
the same, in any number of threads.
"""

import threading
from collections import OrderedDict
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys.backend import tensorflow as tf
from recsys.training.compiled.deferred_adam import Moments, update
from recsys.training.compiled.dropout import mask
from recsys.training.compiled.graph import Anatomy
from recsys.training.compiled.steps import ROWS_PER_CALL, VALIDATION_BATCH
from recsys.training.compiled.tables import State, apply_gradient, look_up, settled, width_of

Tensors: TypeAlias = "list[tf.Tensor]"

PROGRAMS_KEPT = 16


class Chunk(NamedTuple):
    """Batches of ratings with the step sizes of their steps.

    Attributes:
        ids: for each input, int32 of shape (steps, batch).
        ratings: float32 of shape (steps, batch).
        counts: ratings in each batch, int32 of shape (steps,); what follows them is padding.
        alphas: α of each step, float32 of shape (steps,).
        tails: H and H' before the first and after each step, float32 of shape (steps + 1, 2).
    """

    ids: list[tf.Tensor]
    ratings: tf.Tensor
    counts: tf.Tensor
    alphas: tf.Tensor
    tails: tf.Tensor


class Numbers(NamedTuple):
    """What a trial may change without another compilation; float32 but for the keys.

    Attributes:
        rates: dropout rate of each site.
        keys: key of each site's masks, uint32.
        offsets: what is added at each place.
        l1: for each input, L1 regularisation per rating of each column of its rows, shape (width,); also `l2`.
        dense_l1: L1 regularisation of each of the head's weights, shape (weights,); also `dense_l2`.
    """

    rates: tf.Tensor
    keys: tf.Tensor
    offsets: tf.Tensor
    l1: list[tf.Tensor]
    l2: list[tf.Tensor]
    dense_l1: tf.Tensor
    dense_l2: tf.Tensor


def numbers_of(anatomy: Anatomy, keys: npt.NDArray[np.uint32]) -> Numbers:
    """The numbers of a model, with the keys of its dropout sites."""
    head, inputs = anatomy.head, range(len(anatomy.heights))
    columns = [[x for x in anatomy.lookups if x.input == i for _ in range(x.width)] for i in inputs]
    return Numbers(
        rates=tf.constant(head.rates, tf.float32),
        keys=tf.constant(keys, tf.uint32),
        offsets=tf.constant(head.offsets, tf.float32),
        l1=[tf.constant([x.l1 for x in of_input]) for of_input in columns],
        l2=[tf.constant([x.l2 for x in of_input]) for of_input in columns],
        dense_l1=tf.constant([l1 for l1, _ in head.penalties], tf.float32),
        dense_l2=tf.constant([l2 for _, l2 in head.penalties], tf.float32),
    )


class Program:
    """Compiled functions for models of one architecture, and batches of so many ratings.

    Attributes:
        steps: batches in a chunk.
        validation_batch: ratings in one forward pass over validation rows.
        traces: how often the training loop was compiled.
    """

    def __init__(self, anatomy: Anatomy, batch: int) -> None:  # noqa: D107
        self.batch = batch
        self.steps = max(1, ROWS_PER_CALL // batch)
        self.traces = 0
        self._head = anatomy.head.model
        self._sites = anatomy.head.sites
        self._places = anatomy.head.places
        self._shapes = [[x.shape for x in anatomy.lookups if x.input == i] for i in range(len(anatomy.heights))]
        self.validation_batch = VALIDATION_BATCH
        self.train = tf.function(self._train, jit_compile=True, autograph=False)
        self.settle = tf.function(self._settle, jit_compile=True, autograph=False)
        self.squared_error = tf.function(self._squared_error, jit_compile=True, autograph=False)

    def _train(self, state: State, chunk: Chunk, first: tf.Tensor, steps: tf.Tensor, numbers: Numbers) -> tf.Tensor:
        """Take the first `steps` training steps of a chunk; `state` is updated.

        `first` (from 1) is the number of the first of them in the training; both are int32. Returned is the sum of the
        ratings' squared errors, each measured before its step, float64.
        """
        self.traces += 1

        def body(i: tf.Tensor, error: tf.Tensor, *carried: Any) -> tuple[Any, ...]:
            squared_error, *carried_on = self._step(chunk, i, first + i, numbers, *carried)
            return i + 1, error + squared_error, *carried_on

        tables = [table.read_value() for table in state.tables]
        dense = [Moments(*(part.read_value() for part in moments)) for moments in state.dense]
        kept = [variable.read_value() for variable in state.kept]
        slots = [tf.zeros(table.shape[0], tf.int32) for table in tables]
        start = (tf.constant(0), tf.constant(0.0, tf.float64), tables, dense, kept, slots)
        _, error, tables, dense, kept, _ = tf.while_loop(lambda i, *_: i < steps, body, start)
        for variable, value in zip(tf.nest.flatten(state), tf.nest.flatten((tables, dense, kept)), strict=True):
            variable.assign(value)
        return error

    def _step(
        self,
        chunk: Chunk,
        i: tf.Tensor,
        now: tf.Tensor,
        numbers: Numbers,
        tables: Tensors,
        dense: list[Moments],
        kept: Tensors,
        slots: Tensors,
    ) -> tuple[tf.Tensor, Tensors, list[Moments], Tensors, Tensors]:
        """Step number `now` of the training, the `i`-th of the chunk."""
        count = chunk.counts[i]
        real = tf.range(self.batch) < count
        share = tf.cast(real, tf.float32) / tf.cast(count, tf.float32)
        codes = [column[i] for column in chunk.ids]
        ids = [tf.where(real, code, table.shape[0]) for code, table in zip(codes, tables, strict=True)]
        rows = [look_up(table, id_, now - 1, chunk.tails[i]) for table, id_ in zip(tables, ids, strict=True)]
        looked_up = [row.w for row in rows]
        masks = [
            mask(numbers.keys[k], now, (self.batch, *shape), numbers.rates[k]) for k, shape in enumerate(self._sites)
        ]
        weights = looked_up, [moments.w for moments in dense]
        others = [*masks, *self._shifts(self.batch, numbers)]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            predicted, kept = self._predict(*weights, kept, others, real, training=True)
            squares = tf.square(predicted - chunk.ratings[i])
            loss = tf.reduce_sum(squares * share)
        row_gradients, gradients = tape.gradient(loss, weights, unconnected_gradients="zero")

        alpha, tail = chunk.alphas[i], chunk.tails[i + 1]
        updated = []
        for k, (w, gradient) in enumerate(zip(looked_up, row_gradients, strict=True)):
            # each rating pays for its own rows; Keras calls it activity regularisation
            gradient += (numbers.l1[k] * tf.sign(w) + 2 * numbers.l2[k] * w) * share[:, None]
            updated.append(apply_gradient(tables[k], ids[k], rows[k], gradient, alpha, now, tail, slots[k]))
        tables, slots = ([pair[j] for pair in updated] for j in range(2))
        for k, (old, gradient) in enumerate(zip(dense, gradients, strict=True)):
            gradient += numbers.dense_l1[k] * tf.sign(old.w) + 2 * numbers.dense_l2[k] * old.w
            dense[k] = update(old, gradient, tf.square(gradient), alpha)
        return tf.cast(tf.reduce_sum(tf.where(real, squares, 0.0)), tf.float64), tables, dense, kept, slots

    def _shifts(self, ratings: int, numbers: Numbers) -> Tensors:
        """What is added at each place, for so many ratings."""
        return [tf.fill((ratings, *place), numbers.offsets[k]) for k, place in enumerate(self._places)]

    def _predict(
        self, rows: Tensors, weights: Tensors, kept: Tensors, others: Tensors, real: tf.Tensor, *, training: bool
    ) -> tuple[tf.Tensor, Tensors]:
        """Ratings, shape (batch,), and what the head keeps after it has seen those that are `real`, no padding.

        `rows` are of each input's table, shape (batch, width).
        """
        pieces = [
            tf.reshape(piece, (-1, *shape))
            for row, shapes in zip(rows, self._shapes, strict=True)
            for piece, shape in zip(tf.split(row, [shape[-1] for shape in shapes], axis=1), shapes, strict=True)
        ]
        inputs = [*pieces, *others, real] if kept else [*pieces, *others]
        ratings, kept = self._head.stateless_call(weights, kept, inputs, training=training)
        return tf.reshape(ratings, [-1]), kept

    def _settle(self, state: State, step: tf.Tensor, next_tail: tf.Tensor) -> None:
        """Let all rows catch up with an epoch's last step; `next_tail` is H and H' before the next epoch's first."""
        for table in state.tables:
            table.assign(settled(table.read_value(), step, next_tail))

    def _squared_error(
        self, state: State, codes: Tensors, ratings: tf.Tensor, count: tf.Tensor, numbers: Numbers
    ) -> tf.Tensor:
        """The sum of the first `count` ratings' squared errors, float64, as in inference; tables are settled."""
        rows = [
            tf.gather(table.read_value(), id_)[:, : width_of(table)]
            for table, id_ in zip(state.tables, codes, strict=True)
        ]
        masks = [tf.ones((*ratings.shape, *shape)) for shape in self._sites]
        weights = [moments.w.read_value() for moments in state.dense]
        kept = [variable.read_value() for variable in state.kept]
        real = tf.range(ratings.shape[0]) < count
        others = [*masks, *self._shifts(ratings.shape[0], numbers)]
        predicted, _ = self._predict(rows, weights, kept, others, real, training=False)
        squares = tf.cast(tf.square(predicted - ratings), tf.float64)
        return tf.reduce_sum(tf.where(real, squares, tf.constant(0.0, tf.float64)))


_programs: OrderedDict[Any, Program] = OrderedDict()
_lock = threading.Lock()


def program_for(anatomy: Anatomy, batch: int) -> Program:
    """The program that trains `anatomy`; an old one if it has the same architecture and batch size."""
    key = (anatomy.head.signature, tuple((x.input, x.shape) for x in anatomy.lookups), batch)
    with _lock:
        program = _programs.pop(key, None) or Program(anatomy, batch)
        _programs[key] = program
        if len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
    return program
