import numpy as np
import numpy.typing as npt
import pytest

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.training.compiled.deferred_adam import (
    BETA_1,
    BETA_2,
    EPSILON,
    KAPPA,
    RHO,
    Moments,
    catch_up,
    step_sizes,
    tails,
    update,
)
from recsys.training.compiled.tables import apply_gradient, look_up, new_table

STEPS = 300
Gradients = dict[int, float]
OFTEN: Gradients = {1: 0.3, 2: -0.2, 3: 0.1, 50: 0.4, 300: 0.2}
ONCE: Gradients = {17: -0.5}
NEVER: Gradients = {}


def falling_rates() -> npt.NDArray[np.float32]:
    return np.geomspace(1e-2, 1e-3, STEPS).astype(np.float32)


def dense_adam(gradients: Gradients, alphas: npt.NDArray[np.float32], lazy: bool = False) -> float:
    w, m, v = 0.5, 0.0, 0.0
    for step, alpha in enumerate(alphas.astype(float), start=1):
        if lazy and step not in gradients:
            continue
        g = gradients.get(step, 0.0)
        m += (1 - BETA_1) * (g - m)
        v += (1 - BETA_2) * (g * g - v)
        w -= alpha * m / (np.sqrt(v) + EPSILON)
    return w


def deferred_adam(gradients: Gradients, alphas: npt.NDArray[np.float32]) -> float:
    h = tails(alphas)
    row, last = Moments(*(tf.constant([[x]]) for x in (0.5, 0.0, 0.0))), 0
    for step, g in gradients.items():
        row = catch_up(row, tf.constant([step - 1 - last]), tf.constant(h[last : last + 1]), h[step - 1])
        row, last = update(row, tf.constant([[g]]), tf.constant([[g * g]]), alphas[step - 1]), step
    row = catch_up(row, tf.constant([STEPS - last]), tf.constant(h[last : last + 1]), h[STEPS])
    return float(row.w[0, 0])


@pytest.mark.parametrize(("size", "precision"), [(1.0, 1e-6), (1e-4, 1e-6), (1e-5, 5e-6), (1e-6, 5e-5)])
@pytest.mark.parametrize("gradients", [OFTEN, ONCE, NEVER])
def test_a_row_ends_where_dense_adam_takes_it(gradients: Gradients, size: float, precision: float) -> None:
    """Also where gradients are so small that ε counts: sqrt(v) is 3 ε and 0.3 ε in the last two cases."""
    alphas = step_sizes(falling_rates(), 1)
    small = {step: size * g for step, g in gradients.items()}
    there = dense_adam(small, alphas)
    assert abs(deferred_adam(small, alphas) - there) <= precision * abs(there - 0.5)


def test_leaving_rows_still_would_be_another_optimiser() -> None:
    alphas = step_sizes(falling_rates(), 1)
    moved, moved_lazily = (abs(dense_adam(ONCE, alphas, lazy) - 0.5) for lazy in (False, True))
    assert moved > 5 * moved_lazily


def test_a_difference_of_tails_is_the_sum_over_missed_steps() -> None:
    alphas = step_sizes(falling_rates(), 1)
    h, h_with_growth = tails(alphas).astype(float).T
    for s, k in ((0, 1), (10, 40), (299, 1), (0, 300), (5, 0)):
        direct = sum(float(alphas[s + j - 1]) * RHO**j for j in range(1, k + 1))
        assert h[s] - RHO**k * h[s + k] == pytest.approx(direct, rel=1e-5, abs=1e-12)
        grown = sum(float(alphas[s + j - 1]) * KAPPA**j for j in range(1, k + 1))
        assert h_with_growth[s] - KAPPA**k * h_with_growth[s + k] == pytest.approx(grown, rel=1e-5, abs=1e-12)


def test_a_row_that_missed_nothing_is_not_changed() -> None:
    row = Moments(tf.constant([[0.5]]), tf.constant([[0.25]]), tf.constant([[0.125]]))
    same = catch_up(row, tf.constant([0]), tf.constant([[0.01, 0.02]]), tf.constant([0.01, 0.02]))
    assert [float(part[0, 0]) for part in same] == [0.5, 0.25, 0.125]


def test_momentum_fades_to_zero_and_not_to_slow_numbers() -> None:
    row = Moments(tf.constant([[0.5]]), tf.constant([[0.25]]), tf.constant([[0.125]]))
    for _ in range(3):
        row = catch_up(row, tf.constant([900_000]), tf.constant([[0.01, 0.02]]), tf.constant([0.01, 0.02]))
    assert float(row.m[0, 0]) == 0.0
    assert float(row.v[0, 0]) == 0.0
    assert np.isfinite(float(row.w[0, 0]))


def test_step_sizes_are_those_of_keras() -> None:
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.Adam(1e-3)
    positions = []
    for _ in range(5):
        optimizer.apply([tf.constant(1.0)], [weight])
        positions.append(-float(weight))
    # a constant gradient of 1 makes m = 1 - β1^t and v = 1 - β2^t
    t = np.arange(1, 6)
    ours = step_sizes(np.full(5, 1e-3), 1) * (1 - BETA_1**t) / (np.sqrt(1 - BETA_2**t) + EPSILON)
    assert np.diff([0.0, *positions]) == pytest.approx(ours, rel=1e-5)
    assert step_sizes([1e-3], 5)[0] == step_sizes(np.full(5, 1e-3), 1)[4]


def test_repeated_ids_add_up_squares_of_slices_as_in_keras() -> None:
    """Keras squares the unsummed slices: v gets 1² + 3² = 10, where (1 + 3)² = 16 was to be expected."""
    table = keras.Variable(np.zeros((2, 1), np.float32))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.apply([tf.IndexedSlices(tf.constant([[1.0], [3.0]]), tf.constant([0, 0]), (2, 1))], [table])
    m, v = (np.asarray(variable)[0, 0] for variable in optimizer.variables[2:4])
    assert (m, v) == pytest.approx((0.1 * 4, 0.001 * 10), rel=1e-4)

    alphas = step_sizes([1e-3], 1)
    h = tails(alphas)

    def step(rows: tf.Tensor) -> tf.Tensor:
        ids, gradient = tf.constant([0, 0, 2]), tf.constant([[1.0], [3.0], [99.0]])  # 2 is padding
        now = look_up(rows, ids, tf.constant(0), h[0])
        return apply_gradient(rows, ids, now, gradient, alphas[0], tf.constant(1), h[1], tf.zeros(2, tf.int32))[0]

    ours = tf.function(step, jit_compile=True)(new_table([np.zeros((2, 1), np.float32)], h[0]).read_value()).numpy()
    assert ours[0, :3] == pytest.approx([float(np.asarray(table)[0, 0]), m, v], rel=1e-4)
    assert list(ours[1, :3]) == [0.0, 0.0, 0.0]
