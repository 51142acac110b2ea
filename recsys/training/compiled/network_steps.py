"""Training steps of any model that `graph` takes apart, as one XLA program (`program`)."""

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.backend import tensorflow as tf
from recsys.training.compiled.deferred_adam import Floats
from recsys.training.compiled.dropout import site_keys
from recsys.training.compiled.graph import Anatomy
from recsys.training.compiled.program import Chunk, numbers_of, program_for
from recsys.training.compiled.steps import Weights
from recsys.training.compiled.tables import new_state, weights_of
from recsys.training.fit import Batches


class NetworkSteps:
    """Steps of a network above embedding tables, as `recsys.training.compiled.steps.Steps` describes them."""

    def __init__(self, anatomy: Anatomy, weights: Weights, tail: Floats, batch: int, seed: int) -> None:
        """Begin with the `weights` of the model; `tail` is H and H' before the first step, `seed` that of dropout."""
        self._anatomy, self._program = anatomy, program_for(anatomy, batch)
        self._numbers = numbers_of(anatomy, site_keys(seed, anatomy.head.rates))
        self._state = new_state(anatomy, weights, tail)
        self.device = self._state.tables[0].device.split(":")[-2]
        weakref.finalize(self, _empty, tf.nest.flatten(self._state)).atexit = False

    def train(self, batches: Batches, alphas: Floats, tails: Floats, first: int) -> float:
        """Take a step for each of `alphas`; return the sum of the squared errors."""
        size = len(batches.counts)
        chunk = Chunk(
            ids=[tf.constant(batches.user), tf.constant(batches.item)],
            ratings=tf.constant(batches.rating),
            counts=tf.constant(batches.counts),
            alphas=tf.constant(_padded(alphas, size)),
            tails=tf.constant(_padded(tails, size + 1)),
        )
        start, count = tf.constant(first), tf.constant(len(alphas))
        return float(self._program.train(self._state, chunk, start, count, self._numbers))

    def settle(self, step: int, next_tail: Floats) -> None:
        """Let all rows catch up with an epoch's last step."""
        self._program.settle(self._state, tf.constant(step), tf.constant(next_tail))

    def squared_error(self, batches: Batches) -> float:
        """Return the sum of the squared errors of one batch."""
        user, item, ratings, count = (tf.constant(part[0]) for part in batches)
        return float(self._program.squared_error(self._state, [user, item], ratings, count, self._numbers))

    def weights(self) -> Weights:
        """Return what the model's variables would hold now."""
        return weights_of(self._anatomy, self._state)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights and moments by name."""
        return {f"state-{i}": variable.numpy() for i, variable in enumerate(tf.nest.flatten(self._state))}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        for i, variable in enumerate(tf.nest.flatten(self._state)):
            variable.assign(arrays[f"state-{i}"])


def _empty(variables: list[tf.Variable]) -> None:
    """Let go of their memory: the program, which is kept for other trainings, keeps the variables of its first one."""
    for variable in variables:
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=tf.zeros(0, variable.dtype))


def _padded(values: Floats, size: int) -> Floats:
    return np.concatenate([values, np.zeros((size - len(values), *values.shape[1:]), np.float32)])
