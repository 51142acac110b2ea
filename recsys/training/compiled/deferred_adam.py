r"""Adam for embedding tables at the cost of the rows in the batch, with Keras's own numbers.

Adam moves every row of a table at every step, and so does Keras (keras issue 19992); nobody looks at a row between two
batches that contain it, so the steps that a row has missed are deferred until it is needed, and then made at once. A
row last updated at step s, with moments m and v, after k steps without a gradient:

    w <- w - m / (sqrt(v) + ε S' / S) · S,     m <- β1^k m,     v <- β2^k v
    S = H(s) - ρ^k H(s+k),     H(s) = ρ (α_{s+1} + H(s+1)),     ρ = β1 / sqrt(β2)

S' is S with κ = β1 / β2 for ρ: the mean of the ε that grows while v decays. docs/engine.md has the derivation. Where a
batch holds a row more than once, v gets Σ g_i², not (Σ g_i)², as in Keras (`squares` below).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import log
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.errors import BadSettings

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Keras's defaults."""

RHO, KAPPA = BETA_1 / BETA_2**0.5, BETA_1 / BETA_2

FADED = 600
"""Steps after which momentum is nothing: 0.9^600 is 10⁻²⁸."""

TINY = 1e-30
"""Moments below this are nothing. Close to 10⁻³⁸ float32 becomes slow and, where TensorFlow flushes such
numbers to 0 in some threads and not in others, different."""

Floats = npt.NDArray[np.float32]

Schedule: TypeAlias = (
    "keras.optimizers.schedules.LearningRateSchedule | Sequence[float] | npt.NDArray[np.floating] | None"
)
"""How the learning rate changes; None where it does not."""

Rates = Callable[[int, int], Floats]
"""From the number of a first step (from 1) and of steps to their learning rates."""


class Moments(NamedTuple):
    """Weights with Adam's moments, float32 tensors of one shape."""

    w: tf.Tensor
    m: tf.Tensor
    v: tf.Tensor


def learning_rates(schedule: Schedule, constant: float, steps: int) -> Rates:
    """Return a function that knows the learning rate of every step of a training of at most `steps`.

    Args:
        schedule: a Keras schedule (which counts steps from 0), or one number a step.
        constant: the learning rate where there is no schedule.

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


def step_sizes(learning_rates: npt.ArrayLike, first_step: int) -> Floats:
    """α_t of consecutive steps, shape (steps,), of their λ_t, from step number `first_step` (from 1).

    They are rounded where Keras rounds: it takes the powers in float32.
    """
    rates = np.asarray(learning_rates, np.float32)
    t = np.arange(first_step, first_step + len(rates)).astype(np.float32)
    one = np.float32(1)
    alphas = rates * np.sqrt(one - np.float32(BETA_2) ** t) / (one - np.float32(BETA_1) ** t)
    return np.asarray(alphas, np.float32)


def tails(alphas: Floats) -> Floats:
    """H and H' before the first and after each step of an epoch, float32 of shape (steps + 1, 2), of its α_t.

    H[i] = ρ (α_{i+1} + H[i+1]), the last is 0.
    """

    def column(base: float) -> Floats:
        backwards = accumulate(alphas[::-1].tolist(), lambda tail, alpha: base * (alpha + tail), initial=0.0)
        return np.fromiter(backwards, np.float32, len(alphas) + 1)[::-1]

    return np.stack([column(RHO), column(KAPPA)], axis=1)


def catch_up(rows: Moments, missed: tf.Tensor, tail: tf.Tensor, tail_now: tf.Tensor) -> Moments:
    """Make the steps without gradient that each row has missed.

    Args:
        rows: rows as their last updates left them, shape (rows, width).
        missed: k, how many steps ago that was, int32 of shape (rows,).
        tail: H and H' at each row's last update, shape (rows, 2); `tail_now` are those now, shape (2,).
    """
    k = tf.cast(missed, tf.float32)[:, None]

    def power(base: float) -> tf.Tensor:
        return tf.where(k < FADED, tf.exp(tf.minimum(k, FADED) * log(base)), 0.0)

    travel = tail[:, :1] - power(RHO) * tail_now[0]
    travel_with_growth = tail[:, 1:] - power(KAPPA) * tail_now[1]
    growth = tf.maximum(tf.math.divide_no_nan(travel_with_growth, travel), 1.0)
    m = rows.m * power(BETA_1)
    v = rows.v * tf.exp(tf.maximum(k * log(BETA_2), log(TINY)))
    return without_traces(Moments(rows.w - rows.m / (tf.sqrt(rows.v) + EPSILON * growth) * travel, m, v))


def without_traces(rows: Moments) -> Moments:
    """The rows with 0 in the place of moments below `TINY`."""
    return Moments(rows.w, tf.where(tf.abs(rows.m) < TINY, 0.0, rows.m), tf.where(rows.v < TINY, 0.0, rows.v))


def update(now: Moments, gradient: tf.Tensor, squares: tf.Tensor, alpha: tf.Tensor) -> Moments:
    """One step of Adam, of size `alpha`; `gradient` and `squares` are summed over occurrences of a row (see above)."""
    m = now.m + (gradient - now.m) * (1 - BETA_1)
    v = now.v + (squares - now.v) * (1 - BETA_2)
    return Moments(now.w - m * alpha / (tf.sqrt(v) + EPSILON), m, v)
