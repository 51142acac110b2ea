"""The learning rate of every step."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.errors import BadSettings

Schedule: TypeAlias = (
    "keras.optimizers.schedules.LearningRateSchedule | Sequence[float] | npt.NDArray[np.floating] | None"
)
"""How the learning rate changes; None where it does not."""

Rates = Callable[[int, int], npt.NDArray[np.float32]]
"""From the number of a first step (from 1) and of steps to their learning rates."""


def learning_rates(schedule: Schedule, constant: float, steps: int) -> Rates:
    """Return a function that knows the learning rate of every step.

    Args:
        schedule: a Keras schedule (which counts steps from 0), or one number a step.
        constant: the learning rate where there is no schedule.
        steps: steps of the whole training, at most.

    Raises:
        BadSettings: fewer numbers than steps.
    """
    if schedule is None:
        return lambda first, count: np.full(count, constant, np.float32)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return _evaluated(schedule)
    rates = np.asarray(schedule, np.float32)
    if len(rates) < steps:
        raise BadSettings(f"The schedule has {len(rates)} learning rates for {steps} steps.")
    return lambda first, count: rates[first - 1 : first - 1 + count]


def _evaluated(schedule: keras.optimizers.schedules.LearningRateSchedule) -> Rates:
    def rate(step: tf.Tensor) -> tf.Tensor:
        return tf.cast(schedule(step), tf.float32)

    def rates(first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(rate, tf.range(first, first + count), fn_output_signature=tf.float32)

    graph = tf.function(rates)
    return lambda first, count: np.asarray(graph(tf.constant(first - 1), tf.constant(count)))
