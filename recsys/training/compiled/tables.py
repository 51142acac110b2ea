"""Embedding tables inside the compiled loop: look up, and update, the rows of one batch.

All embeddings of one source of ids lie side by side in one table, as they are always looked up with the same
ids; beside the weights lie their moments and the three numbers that deferred Adam needs. One gather and
one scatter a step move everything that a rating touches:

    row = [ w | m | v | s as bits | H(s) | H'(s) ]          s: step of the row's last update

A `tail` is H and H', shape (2,).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.backend import tensorflow as tf
from recsys.memory import require_memory
from recsys.training.compiled.deferred_adam import Moments, catch_up, update
from recsys.training.compiled.graph import Anatomy
from recsys.training.compiled.steps import Weights

COPIES = 2
"""Of a table while its variable is made: the weights, in NumPy's memory and in TensorFlow's, and the variable."""


class State(NamedTuple):
    """Weights and moments: a table for each source of ids, the head's weights, and its moving means and variances."""

    tables: list[tf.Variable]
    dense: list[Moments]
    kept: list[tf.Variable]


def new_state(anatomy: Anatomy, weights: Weights, tail: npt.NDArray[np.float32]) -> State:
    """The state before the first step; `tail` is H and H' there."""
    first, last = len(anatomy.lookups), len(weights) - len(anatomy.head.kept)
    embeddings, dense, kept = weights[:first], weights[first:last], weights[last:]
    of_input: list[Weights] = [[] for _ in anatomy.heights]
    for part, lookup in zip(embeddings, anatomy.lookups, strict=True):
        of_input[lookup.input].append(part)
    tables = [_trained_table(parts, tail) for parts in of_input]
    moments = [Moments(*(tf.Variable(part) for part in (w, 0 * w, 0 * w))) for w in dense]
    return State(tables, moments, [tf.Variable(value) for value in kept])


def _trained_table(weights: Weights, tail: npt.NDArray[np.float32]) -> tf.Variable:
    """Check the memory before TensorFlow does, which may end the process without a word."""
    rows, width = len(weights[0]), sum(part.shape[1] for part in weights)
    needed = COPIES * rows * (3 * width + 3) * weights[0].itemsize
    require_memory(f"Training a table of {rows:,} rows of {width:,} numbers and their moments", needed)
    return new_table(weights, tail)


def weights_of(anatomy: Anatomy, state: State) -> Weights:
    """What the model's variables would hold now; the tables are settled."""
    weights: Weights = []
    for position, table in enumerate(state.tables):
        widths = [x.width for x in anatomy.lookups if x.input == position]
        columns = table[: anatomy.heights[position], : width_of(table)].numpy()
        weights += [np.ascontiguousarray(part) for part in np.split(columns, np.cumsum(widths)[:-1], axis=1)]
    return weights + [variable.numpy() for variable in (*(moments.w for moments in state.dense), *state.kept)]


BLOCK = 512
"""Rows that are settled at once: few enough to stay in the processor's cache."""


def new_table(weights: list[npt.NDArray[np.float32]], tail: npt.NDArray[np.float32]) -> tf.Variable:
    """The table before the first step, of at least two rows: XLA loses updates of a table of one.

    `weights` are the embeddings of one source of ids, shape (rows, width) each.
    """
    rows, width = len(weights[0]), sum(part.shape[1] for part in weights)
    # TensorFlow puts it together, as a table of NumPy's would be copied twice
    table = tf.concat([*weights, tf.zeros((rows, 2 * width + 1)), tf.repeat(tail[None], rows, axis=0)], axis=1)
    return tf.Variable(tf.pad(table, [[0, 1], [0, 0]]) if rows == 1 else table)


def width_of(table: tf.Tensor) -> int:
    """Numbers in a row's weights."""
    return (int(table.shape[1]) - 3) // 3


def look_up(table: tf.Tensor, ids: tf.Tensor, step: tf.Tensor, tail: tf.Tensor) -> Moments:
    """The rows of `ids`, shape (batch, width), as they are after step number `step`, which has this `tail`."""
    width = width_of(table)
    w, m, v, last, its_tail = tf.split(tf.gather(table, ids), [width, width, width, 1, 2], axis=1)
    missed = step - tf.bitcast(last[:, 0], tf.int32)
    return catch_up(Moments(w, m, v), missed, its_tail, tail)


def settled(table: tf.Tensor, step: tf.Tensor, next_tail: tf.Tensor) -> tf.Tensor:
    """The whole table after an epoch's last step, whose tail is 0; `next_tail` is where the next epoch begins.

    It is rewritten in place, a block of rows at a time, as a table may fill half of the memory.
    """

    def block(start: tf.Tensor, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ids = start + tf.range(BLOCK)  # those beyond the last row are dropped
        fresh = _packed(look_up(table, ids, step, tf.zeros(2)), step, next_tail)
        return start + BLOCK, tf.tensor_scatter_nd_update(table, ids[:, None], fresh)

    _, table = tf.while_loop(lambda start, _: start < table.shape[0], block, (tf.constant(0), table))
    return table


def apply_gradient(
    table: tf.Tensor,
    ids: tf.Tensor,
    rows: Moments,
    gradient: tf.Tensor,
    alpha: tf.Tensor,
    step: tf.Tensor,
    tail: tf.Tensor,
    slots: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Update the rows of one batch.

    An id that occurs more than once needs one sum and one update. Sorting would find its occurrences;
    cheaper is to let each write its position into the id's slot, whoever comes last, and to read the
    slot again: all occurrences then agree on one representative. Sums go to the representative, and it
    alone is written back.

    Args:
        table: shape (rows, 3 * width + 3).
        ids: int32 of shape (batch,); an id out of range is padding, and dropped as XLA's scatter does.
        rows: the ids' rows before the step.
        gradient: of each occurrence, shape (batch, width).
        alpha: α of this step, of number `step`, with `tail` after it.
        slots: scratch, int32 of shape (rows,), returned beside the table; only what this batch writes is read.
    """
    batch = ids.shape[0]
    position = tf.range(batch)
    slots = tf.tensor_scatter_nd_update(slots, ids[:, None], position)
    representative = tf.gather(slots, ids)
    total = tf.math.unsorted_segment_sum(gradient, representative, batch)
    squares = tf.math.unsorted_segment_sum(tf.square(gradient), representative, batch)
    fresh = _packed(update(rows, total, squares, alpha), step, tail)
    target = tf.where(representative == position, ids, table.shape[0])
    return tf.tensor_scatter_nd_update(table, target[:, None], fresh), slots


def _packed(rows: Moments, step: tf.Tensor, tail: tf.Tensor) -> tf.Tensor:
    """Rows of a table that were updated at `step`, which has this `tail`."""
    count = rows.w.shape[0]
    bits = tf.bitcast(tf.fill([count, 1], step), tf.float32)
    return tf.concat([*rows, bits, tf.broadcast_to(tail, [count, 2])], axis=1)
