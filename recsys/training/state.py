"""Everything that a training changes, as variables on the device."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.backend import tensorflow as tf
from recsys.training.anatomy import Anatomy
from recsys.training.deferred_adam import Moments
from recsys.training.tables import new_table, width_of

Weights = list[npt.NDArray[np.float32]]
"""Values of a model's variables, in the order of `Anatomy.variables`."""


class State(NamedTuple):
    """Weights and moments.

    Attributes:
        tables: for each source of ids its embeddings, side by side, laid out as `tables` says.
        dense: the other weights with their moments.
        kept: what the head keeps without training it, moving means and variances of batches.
    """

    tables: list[tf.Variable]
    dense: list[Moments]
    kept: list[tf.Variable]


def new_state(anatomy: Anatomy, weights: Weights, tail: npt.NDArray[np.float32]) -> State:
    """The state before the first step; `tail` is H and H' there."""
    first, last = len(anatomy.lookups), len(weights) - len(anatomy.head.kept)
    embeddings, dense, kept = weights[:first], weights[first:last], weights[last:]
    tables = []
    for position in range(len(anatomy.sources)):
        parts = [part for part, x in zip(embeddings, anatomy.lookups, strict=True) if x.source == position]
        tables.append(tf.Variable(new_table(parts, tail)))
    moments = [Moments(*(tf.Variable(part) for part in (w, 0 * w, 0 * w))) for w in dense]
    return State(tables, moments, [tf.Variable(value) for value in kept])


def weights_of(anatomy: Anatomy, state: State) -> Weights:
    """What the model's variables would hold now; the tables are settled."""
    weights: Weights = []
    for position, table in enumerate(state.tables):
        widths = [x.width for x in anatomy.lookups if x.source == position]
        columns = table[: anatomy.sources[position].height, : width_of(table)].numpy()
        weights += [np.ascontiguousarray(part) for part in np.split(columns, np.cumsum(widths)[:-1], axis=1)]
    return weights + [variable.numpy() for variable in (*(moments.w for moments in state.dense), *state.kept)]
