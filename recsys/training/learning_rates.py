"""The learning rate of every step."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.errors import BadSettings

Schedule = keras.optimizers.schedules.LearningRateSchedule | Sequence[float]
Rates = Callable[[int, int], npt.NDArray[np.float32]]
"""From the number of a first step (from 1) and of steps to their learning rates."""


def learning_rates(schedule: Schedule | None, constant: float, steps: int) -> Rates:
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
    @tf.function
    def evaluate(first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        numbers = tf.range(first, first + count)
        return tf.map_fn(lambda i: tf.cast(schedule(i), tf.float32), numbers, fn_output_signature=tf.float32)

    return lambda first, count: evaluate(tf.constant(first - 1), tf.constant(count)).numpy()
