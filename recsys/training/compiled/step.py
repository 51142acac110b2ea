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
from typing import Any, NamedTuple

import numpy as np

from recsys.backend import tensorflow as tf
from recsys.training.compiled.deferred_adam import Moments, update
from recsys.training.compiled.dropout import mask
from recsys.training.compiled.graph import Anatomy
from recsys.training.compiled.tables import (
    State,
    all_rows,
    apply_gradient,
    apply_gradient_to_all,
    look_up,
    settled,
    width_of,
)

ROWS_PER_CALL = 1 << 17
"""Training ratings in one call: 0.1 to 1 s of work, after which progress is told and stop signals are heard."""

VALIDATION_IDS = 8192
"""Ids that one forward pass over validation rows looks up in a table."""

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
    """What a trial may change without another compilation.

    Attributes:
        rates: dropout rate of each site, float32.
        keys: key of each site's masks, uint32.
        offsets: what is added at each place, float32.
        l1: for each source of ids, what a rating pays for |w| in each column of its row, float32 of shape (width,).
        l2: the same for w².
        dense_l1: what the loss pays for |w| of each of the head's weights, float32 of shape (weights,).
        dense_l2: the same for w².
    """

    rates: tf.Tensor
    keys: tf.Tensor
    offsets: tf.Tensor
    l1: list[tf.Tensor]
    l2: list[tf.Tensor]
    dense_l1: tf.Tensor
    dense_l2: tf.Tensor


class Constants(NamedTuple):
    """Frozen tables, which no step changes.

    Attributes:
        ids: of each source its ids, int32 of shape (codes, ids of a rating); empty where codes are the ids.
        rows: of each frozen table that the head reads, float32 of shape (codes, width).
    """

    ids: list[tf.Tensor]
    rows: list[tf.Tensor]


def constants_of(anatomy: Anatomy) -> Constants:
    """The numbers of a model's frozen tables."""
    return Constants(
        [tf.constant(x.through.table.astype(np.int32) if x.through else [], tf.int32) for x in anatomy.sources],
        [tf.constant(x.table) for x in anatomy.frozen],
    )


class Program:
    """Compiled functions for one head and batch size.

    Args:
        anatomy: a model with this head.
        batch: ratings in a batch.

    Attributes:
        batch: ratings in a batch.
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
        self._shapes = [[x.shape for x in anatomy.lookups if x.source == i] for i in range(len(anatomy.sources))]
        self._sources = [(x.input, x.ids, x.through is not None) for x in anatomy.sources]
        self._frozen = [(x.input, x.shape) for x in anatomy.frozen]
        self.validation_batch = max(1, VALIDATION_IDS // max(x.ids for x in anatomy.sources))
        self.train = tf.function(self._train, jit_compile=True, autograph=False)
        self.settle = tf.function(self._settle, jit_compile=True, autograph=False)
        self.squared_error = tf.function(self._squared_error, jit_compile=True, autograph=False)

    def _train(
        self,
        state: State,
        chunk: Chunk,
        first_step: tf.Tensor,
        steps: tf.Tensor,
        numbers: Numbers,
        constants: Constants,
    ) -> tf.Tensor:
        """Take the first `steps` training steps of a chunk; `state` is updated.

        Args:
            state: weights and moments.
            chunk: batches.
            first_step: number of the first step in the training, from 1; int32.
            steps: int32.
            numbers: rates, keys and penalties.
            constants: frozen tables.

        Returns:
            The sum of the ratings' squared errors, each measured before its step, float64.
        """
        self.traces += 1

        def body(i: tf.Tensor, error: tf.Tensor, *carried: Any) -> tuple[Any, ...]:
            squared_error, *carried_on = self._step(chunk, i, first_step + i, numbers, constants, *carried)
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
        constants: Constants,
        tables: list[tf.Tensor],
        dense: list[Moments],
        kept: list[tf.Tensor],
        slots: list[tf.Tensor],
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[Moments], list[tf.Tensor], list[tf.Tensor]]:
        """Step number `now` of the training, the `i`-th of the chunk."""
        count = chunk.counts[i]
        real = tf.range(self.batch) < count
        share = tf.cast(real, tf.float32) / tf.cast(count, tf.float32)
        codes = [column[i] for column in chunk.ids]
        ids = [
            tf.where(self._per_id(real, k), id_, table.shape[0])
            for k, (id_, table) in enumerate(zip(self._ids(codes, constants), tables, strict=True))
        ]
        all_step = [self._all_step(table, k) for k, table in enumerate(tables)]
        rows = [
            all_rows(table) if every else look_up(table, id_, now - 1, chunk.tails[i])
            for table, id_, every in zip(tables, ids, all_step, strict=True)
        ]
        looked_up = [
            tf.gather(row.w, id_) if every else row.w for row, id_, every in zip(rows, ids, all_step, strict=True)
        ]
        masks = [
            mask(numbers.keys[site], now, (self.batch, *shape), numbers.rates[site])
            for site, shape in enumerate(self._sites)
        ]
        weights = looked_up, [moments.w for moments in dense]
        others = [*self._frozen_rows(codes, constants), *masks, *self._shifts(numbers, self.batch)]
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
            shares = self._per_id(share, k)[:, None]
            gradient += (numbers.l1[k] * tf.sign(w) + 2 * numbers.l2[k] * w) * shares
            if all_step[k]:
                table = apply_gradient_to_all(tables[k], ids[k], rows[k], gradient, alpha, now, tail)
                updated.append((table, slots[k]))
            else:
                updated.append(apply_gradient(tables[k], ids[k], rows[k], gradient, alpha, now, tail, slots[k]))
        tables, slots = ([pair[j] for pair in updated] for j in range(2))
        for k, (old, gradient) in enumerate(zip(dense, gradients, strict=True)):
            gradient += numbers.dense_l1[k] * tf.sign(old.w) + 2 * numbers.dense_l2[k] * old.w
            dense[k] = update(old, gradient, tf.square(gradient), alpha)
        return tf.cast(tf.reduce_sum(tf.where(real, squares, 0.0)), tf.float64), tables, dense, kept, slots

    def _ids(self, codes: list[tf.Tensor], constants: Constants) -> list[tf.Tensor]:
        """The ids of each source, shape (batch * ids of a rating,), of codes of shape (batch,) of each input."""
        return [
            tf.reshape(tf.gather(table, codes[position]), [-1]) if through else codes[position]
            for (position, _, through), table in zip(self._sources, constants.ids, strict=True)
        ]

    def _per_id(self, values: tf.Tensor, source: int) -> tf.Tensor:
        """One value for each id of a source, of one for each rating."""
        ids = self._sources[source][1]
        return tf.repeat(values, ids) if ids > 1 else values

    def _all_step(self, table: tf.Tensor, source: int) -> bool:
        """Whether all rows take each step, as a batch holds more ids than there are rows."""
        ids = self._sources[source][1]
        return ids > 1 and self.batch * ids > int(table.shape[0])

    def _frozen_rows(self, codes: list[tf.Tensor], constants: Constants) -> list[tf.Tensor]:
        """The rows of frozen tables that the head reads."""
        return [
            tf.reshape(tf.gather(table, codes[position]), (-1, *shape))
            for (position, shape), table in zip(self._frozen, constants.rows, strict=True)
        ]

    def _shifts(self, numbers: Numbers, rows: int) -> list[tf.Tensor]:
        """What is added at each place, for so many ratings."""
        return [tf.fill((rows, *place), numbers.offsets[k]) for k, place in enumerate(self._places)]

    def _predict(
        self,
        rows: list[tf.Tensor],
        weights: list[tf.Tensor],
        kept: list[tf.Tensor],
        others: list[tf.Tensor],
        real: tf.Tensor,
        *,
        training: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Ratings, shape (batch,), and what the head keeps after it has seen those that are `real`.

        Args:
            rows: of the tables of each source, shape (batch * ids of a rating, width).
            weights: of the head.
            kept: what it keeps beside them.
            others: rows of frozen tables, masks, and what is added at each place.
            real: which rows are no padding, bool of shape (batch,).
            training: whether statistics are those of the batch.
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
        """Let all rows catch up with the end of an epoch, and prepare them for the next.

        Args:
            state: weights and moments.
            step: number of the epoch's last step.
            next_tail: H and H' before the next epoch's first step.
        """
        for table in state.tables:
            table.assign(settled(table.read_value(), step, next_tail))

    def _squared_error(
        self,
        state: State,
        codes: list[tf.Tensor],
        ratings: tf.Tensor,
        count: tf.Tensor,
        numbers: Numbers,
        constants: Constants,
    ) -> tf.Tensor:
        """The sum of the first `count` ratings' squared errors, float64, as in inference; tables are settled."""
        rows = [
            tf.gather(table.read_value(), id_)[:, : width_of(table)]
            for table, id_ in zip(state.tables, self._ids(codes, constants), strict=True)
        ]
        rating_count = ratings.shape[0]
        masks = [tf.ones((rating_count, *shape)) for shape in self._sites]
        weights = [moments.w.read_value() for moments in state.dense]
        kept = [variable.read_value() for variable in state.kept]
        real = tf.range(rating_count) < count
        others = [*self._frozen_rows(codes, constants), *masks, *self._shifts(numbers, rating_count)]
        predicted, _ = self._predict(rows, weights, kept, others, real, training=False)
        squares = tf.cast(tf.square(predicted - ratings), tf.float64)
        return tf.reduce_sum(tf.where(real, squares, tf.constant(0.0, tf.float64)))


_programs: OrderedDict[Any, Program] = OrderedDict()
_lock = threading.Lock()


def program_for(anatomy: Anatomy, batch: int) -> Program:
    """The program that trains `anatomy`; an old one if it has the same architecture and batch size."""
    sources = tuple((x.input, x.ids, x.through is not None) for x in anatomy.sources)
    lookups = tuple((x.source, x.shape) for x in anatomy.lookups)
    frozen = tuple((x.input, x.shape) for x in anatomy.frozen)
    key = (anatomy.head.signature, sources, lookups, frozen, batch)
    with _lock:
        program = _programs.pop(key, None) or Program(anatomy, batch)
        _programs[key] = program
        if len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
    return program
