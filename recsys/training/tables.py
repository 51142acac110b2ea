"""Embedding tables inside the compiled loop: look up, and update, the rows of one batch.

All embeddings of one input lie side by side in one table, as they are always looked up with the same
ids; beside the weights lie their moments and the two numbers that deferred Adam needs. One gather and
one scatter a step move everything that a rating touches:

    row = [ w | m | v | s as bits | H(s) ]          s: step of the row's last update
"""

import numpy as np
import numpy.typing as npt

from recsys.backend import tensorflow as tf
from recsys.training.deferred_adam import Moments, catch_up, update


def new_table(weights: list[npt.NDArray[np.float32]], tail: float) -> npt.NDArray[np.float32]:
    """The table before the first step.

    Args:
        weights: embeddings of one input, shape (rows, width) each.
        tail: H before the first step.
    """
    rows, width = len(weights[0]), sum(part.shape[1] for part in weights)
    table = np.zeros((rows, 3 * width + 2), np.float32)
    table[:, :width] = np.concatenate(weights, axis=1)
    table[:, -1] = tail
    return table


def width_of(table: tf.Tensor) -> int:
    """Numbers in a row's weights."""
    return (int(table.shape[1]) - 2) // 3


def look_up(table: tf.Tensor, ids: tf.Tensor, step: tf.Tensor, tail: tf.Tensor) -> Moments:
    """The rows of `ids`, shape (batch, width), as they are after step number `step`, where H is `tail`."""
    return _caught_up(tf.gather(table, ids), step, tail)


def settled(table: tf.Tensor, step: tf.Tensor, next_tail: tf.Tensor) -> tf.Tensor:
    """The whole table after the last step of an epoch, where H is 0, ready for an epoch that begins with `next_tail`."""
    height = table.shape[0]
    return _packed(_caught_up(table, step, tf.constant(0.0)), tf.fill([height], step), tf.fill([height], next_tail))


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
        table: shape (rows, 3 * width + 2).
        ids: int32 of shape (batch,); an id out of range is padding, and dropped as XLA's scatter does.
        rows: the ids' rows before the step.
        gradient: of each occurrence, shape (batch, width).
        alpha: α of this step.
        step: number of this step.
        tail: H after this step.
        slots: scratch, int32 of shape (rows,); only what this batch writes is read.

    Returns:
        The table and the slots.
    """
    batch = ids.shape[0]
    position = tf.range(batch)
    slots = tf.tensor_scatter_nd_update(slots, ids[:, None], position)
    representative = tf.gather(slots, ids)
    total = tf.math.unsorted_segment_sum(gradient, representative, batch)
    squares = tf.math.unsorted_segment_sum(tf.square(gradient), representative, batch)
    fresh = _packed(update(rows, total, squares, alpha), tf.fill([batch], step), tf.fill([batch], tail))
    target = tf.where(representative == position, ids, table.shape[0])
    return tf.tensor_scatter_nd_update(table, target[:, None], fresh), slots


def _caught_up(rows: tf.Tensor, step: tf.Tensor, tail_now: tf.Tensor) -> Moments:
    width = width_of(rows)
    w, m, v, last, tail = tf.split(rows, [width, width, width, 1, 1], axis=1)
    return catch_up(Moments(w, m, v), step - tf.bitcast(last[:, 0], tf.int32), tail[:, 0], tail_now)


def _packed(rows: Moments, last: tf.Tensor, tail: tf.Tensor) -> tf.Tensor:
    return tf.concat([*rows, tf.bitcast(last, tf.float32)[:, None], tail[:, None]], axis=1)
