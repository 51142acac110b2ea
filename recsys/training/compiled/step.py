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
from recsys.training.compiled.tables import State, all_rows, apply_gradient, apply_to_all, look_up, settled, width_of

Tensors: TypeAlias = "list[tf.Tensor]"

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
    """What a trial may change without another compilation; float32 but for the keys.

    Attributes:
        rates: dropout rate of each site.
        keys: key of each site's masks, uint32.
        offsets: what is added at each place.
        l1: for each source of ids, L1 regularisation per rating of each column of its rows, shape (width,); also `l2`.
        dense_l1: L1 regularisation of each of the head's weights, shape (weights,); also `dense_l2`.
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


def numbers_of(anatomy: Anatomy, keys: npt.NDArray[np.uint32]) -> Numbers:
    """The numbers of a model, with the keys of its dropout sites."""
    head, sources = anatomy.head, range(len(anatomy.sources))
    columns = [[x for x in anatomy.lookups if x.source == i for _ in range(x.width)] for i in sources]
    return Numbers(
        rates=tf.constant(head.rates, tf.float32),
        keys=tf.constant(keys, tf.uint32),
        offsets=tf.constant(head.offsets, tf.float32),
        l1=[tf.constant([x.l1 for x in of_source]) for of_source in columns],
        l2=[tf.constant([x.l2 for x in of_source]) for of_source in columns],
        dense_l1=tf.constant([l1 for l1, _ in head.penalties], tf.float32),
        dense_l2=tf.constant([l2 for _, l2 in head.penalties], tf.float32),
    )


def constants_of(anatomy: Anatomy) -> Constants:
    """The numbers of a model's frozen tables."""
    return Constants(
        [tf.constant(x.through.table.astype(np.int32) if x.through else [], tf.int32) for x in anatomy.sources],
        [tf.constant(x.table) for x in anatomy.frozen],
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
        self._sources, lookups, self._frozen = _architecture(anatomy)
        self._shapes = [[shape for of, shape in lookups if of == source] for source in range(len(self._sources))]
        self.validation_batch = max(1, VALIDATION_IDS // max(x.ids for x in anatomy.sources))
        self.train = tf.function(self._train, jit_compile=True, autograph=False)
        self.settle = tf.function(self._settle, jit_compile=True, autograph=False)
        self.squared_error = tf.function(self._squared_error, jit_compile=True, autograph=False)

    def _train(
        self, state: State, chunk: Chunk, first: tf.Tensor, steps: tf.Tensor, numbers: Numbers, constants: Constants
    ) -> tf.Tensor:
        """Take the first `steps` training steps of a chunk; `state` is updated.

        `first` (from 1) is the number of the first of them in the training; both are int32. Returned is the sum of the
        ratings' squared errors, each measured before its step, float64.
        """
        self.traces += 1

        def body(i: tf.Tensor, error: tf.Tensor, *carried: Any) -> tuple[Any, ...]:
            squared_error, *carried_on = self._step(chunk, i, first + i, numbers, constants, *carried)
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
            mask(numbers.keys[k], now, (self.batch, *shape), numbers.rates[k]) for k, shape in enumerate(self._sites)
        ]
        weights = looked_up, [moments.w for moments in dense]
        others = self._others(codes, masks, numbers, constants)
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
                table = apply_to_all(ids[k], rows[k], gradient, alpha, now, tail)
                updated.append((table, slots[k]))
            else:
                updated.append(apply_gradient(tables[k], ids[k], rows[k], gradient, alpha, now, tail, slots[k]))
        tables, slots = ([pair[j] for pair in updated] for j in range(2))
        for k, (old, gradient) in enumerate(zip(dense, gradients, strict=True)):
            gradient += numbers.dense_l1[k] * tf.sign(old.w) + 2 * numbers.dense_l2[k] * old.w
            dense[k] = update(old, gradient, tf.square(gradient), alpha)
        return tf.cast(tf.reduce_sum(tf.where(real, squares, 0.0)), tf.float64), tables, dense, kept, slots

    def _ids(self, codes: Tensors, constants: Constants) -> Tensors:
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
        ids: int = self._sources[source][1]
        return ids > 1 and self.batch * ids > int(table.shape[0])

    def _others(self, codes: Tensors, masks: Tensors, numbers: Numbers, constants: Constants) -> Tensors:
        """What the head reads beside rows: rows of frozen tables, masks, and what is added at each place."""
        frozen = [
            tf.reshape(tf.gather(table, codes[position]), (-1, *shape))
            for (position, shape), table in zip(self._frozen, constants.rows, strict=True)
        ]
        shifts = [tf.fill((codes[0].shape[0], *place), numbers.offsets[k]) for k, place in enumerate(self._places)]
        return [*frozen, *masks, *shifts]

    def _predict(
        self, rows: Tensors, weights: Tensors, kept: Tensors, others: Tensors, real: tf.Tensor, *, training: bool
    ) -> tuple[tf.Tensor, Tensors]:
        """Ratings, shape (batch,), and what the head keeps after it has seen those that are `real`, no padding.

        `rows` are of the tables of each source, shape (batch * ids of a rating, width).
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
        self, state: State, codes: Tensors, ratings: tf.Tensor, count: tf.Tensor, numbers: Numbers, constants: Constants
    ) -> tf.Tensor:
        """The sum of the first `count` ratings' squared errors, float64, as in inference; tables are settled."""
        rows = [
            tf.gather(table.read_value(), id_)[:, : width_of(table)]
            for table, id_ in zip(state.tables, self._ids(codes, constants), strict=True)
        ]
        masks = [tf.ones((*ratings.shape, *shape)) for shape in self._sites]
        weights = [moments.w.read_value() for moments in state.dense]
        kept = [variable.read_value() for variable in state.kept]
        real = tf.range(ratings.shape[0]) < count
        others = self._others(codes, masks, numbers, constants)
        predicted, _ = self._predict(rows, weights, kept, others, real, training=False)
        squares = tf.cast(tf.square(predicted - ratings), tf.float64)
        return tf.reduce_sum(tf.where(real, squares, tf.constant(0.0, tf.float64)))


def _architecture(anatomy: Anatomy) -> Any:
    """What the program depends on beside the head: input, ids and kind of sources; source and shape of tables."""
    sources = tuple((x.input, x.ids, x.through is not None) for x in anatomy.sources)
    lookups = tuple((x.source, x.shape) for x in anatomy.lookups)
    return sources, lookups, tuple((x.input, x.shape) for x in anatomy.frozen)


_programs: OrderedDict[Any, Program] = OrderedDict()
_lock = threading.Lock()


def program_for(anatomy: Anatomy, batch: int) -> Program:
    """The program that trains `anatomy`; an old one if it has the same architecture and batch size."""
    key = (anatomy.head.signature, _architecture(anatomy), batch)
    with _lock:
        program = _programs.pop(key, None) or Program(anatomy, batch)
        _programs[key] = program
        if len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
    return program
