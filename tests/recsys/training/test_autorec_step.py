"""The compiled arithmetic of AutoRec is that of a dense autoencoder in Keras under automatic differentiation."""

import numpy as np
import numpy.typing as npt
import pytest

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.training.autorec import compressed
from recsys.training.autorec_step import (
    Rows,
    Weights,
    adam_step,
    add_gradients,
    add_kernel_gradients,
    decode,
    encode,
    kernel,
    sigmoid,
)

ROWS, COLUMNS, UNITS, PLACES = 7, 5, 4, 3
L2_KERNEL = 0.3

Floats = npt.NDArray[np.float32]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def made(random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.bool_], Rows, Weights]:
    """Residuals and what is known of them, shape (rows, columns), and compressed; one row is empty, one full."""
    known = random.random((ROWS, COLUMNS)) < 0.5
    known[2], known[3] = False, True
    residuals = np.where(known, random.normal(size=known.shape), 0).astype(np.float32)
    row, column = np.nonzero(known)
    rows = compressed(row, column, residuals[known], ROWS)
    shapes = [(COLUMNS, UNITS)] * 3 + [(UNITS,), (COLUMNS,)]
    return residuals, known, rows, Weights(*(random.normal(size=shape).astype(np.float32) for shape in shapes))


def dense_autoencoder() -> keras.Model:
    """Stock Keras, from residuals and what is known of them, shape (batch, 2 columns), to all predictions."""
    return keras.Sequential(
        [keras.Input((2 * COLUMNS,)), keras.layers.Dense(UNITS, "sigmoid"), keras.layers.Dense(COLUMNS)]
    )


@pytest.mark.parametrize("left_out", [0, 1])
@pytest.mark.parametrize("indicator", [0, 1])
def test_loss_and_gradients_are_those_of_a_dense_autoencoder(
    left_out: int, indicator: int, random: np.random.Generator
) -> None:
    residuals, known, rows, weights = made(random)
    row, column = np.nonzero(known)
    inputs = np.stack([residuals[row], indicator * known[row]], axis=1)
    inputs[np.arange(len(row)), :, column] *= 1 - left_out
    model = dense_autoencoder()
    model.set_weights(
        [np.concatenate([weights.input, weights.implicit]), weights.hidden_bias, weights.output.T, weights.output_bias]
    )
    with tf.GradientTape() as tape:
        predicted = tf.gather(model(inputs.reshape(len(row), -1)), column, axis=1, batch_dims=1)
        squared_error = tf.reduce_sum(tf.square(predicted - residuals[known]))
        half = squared_error / 2
    into, hidden_bias, output, output_bias = tape.gradient(half, model.trainable_variables)

    gradients = Weights(*map(np.zeros_like, weights))
    switches = np.float32(indicator), np.float32(left_out)
    found = add_gradients(np.arange(ROWS), rows, weights, *switches, gradients)
    assert found == pytest.approx(float(squared_error), rel=1e-5)
    expected = Weights(into[:COLUMNS], into[COLUMNS:], tf.transpose(output), hidden_bias, output_bias)
    for name, ours, theirs in zip(Weights._fields, gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("left_out", [0, 1])
@pytest.mark.parametrize("indicator", [0, 1])
def test_a_rating_is_left_out_together_with_those_of_the_same_pair(
    left_out: int, indicator: int, random: np.random.Generator
) -> None:
    *_, weights = made(random)
    row, column = random.integers(ROWS, size=60), random.integers(COLUMNS, size=60)
    residual = random.normal(size=60).astype(np.float32)
    rows = compressed(row, column, residual, ROWS)
    assert len({*zip(row, column, strict=True)}) < 60
    input, implicit, output, hidden_bias, output_bias = (tf.Variable(array) for array in weights)
    with tf.GradientTape() as tape:
        predicted = []
        for r, c in zip(row, column, strict=True):
            given = np.flatnonzero((row == r) & ((column != c) | (left_out == 0)))
            into = residual[given, None] * tf.gather(input, column[given])
            sums = tf.reduce_sum(into + indicator * tf.gather(implicit, column[given]), axis=0)
            predicted.append(tf.reduce_sum(tf.sigmoid(hidden_bias + sums) * output[c]) + output_bias[c])
        squared_error = tf.reduce_sum(tf.square(tf.stack(predicted) - residual))
        half = squared_error / 2
    expected = tape.gradient(half, [input, implicit, output, hidden_bias, output_bias])

    gradients = Weights(*map(np.zeros_like, weights))
    switches = np.float32(indicator), np.float32(left_out)
    found = add_gradients(np.arange(ROWS), rows, weights, *switches, gradients)
    assert found == pytest.approx(float(squared_error), rel=1e-4)
    for name, ours, theirs in zip(Weights._fields, gradients, expected, strict=True):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), rtol=1e-4, atol=1e-4, err_msg=name)


def test_what_is_predicted_is_what_the_dense_autoencoder_predicts_of_whole_rows(random: np.random.Generator) -> None:
    residuals, known, rows, weights = made(random)
    model = dense_autoencoder()
    model.set_weights(
        [np.concatenate([weights.input, weights.implicit]), weights.hidden_bias, weights.output.T, weights.output_bias]
    )
    row, column = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
    found = decode(encode(rows, weights, np.float32(1)), weights, row, column)
    expected = model(np.concatenate([residuals, known], axis=1))
    np.testing.assert_allclose(found.reshape(ROWS, COLUMNS), expected, rtol=1e-5, atol=1e-5)


def test_gradients_of_the_kernel_are_those_of_automatic_differentiation(random: np.random.Generator) -> None:
    table, pull = random.normal(size=(2, COLUMNS, UNITS)).astype(np.float32)
    u, v = (random.normal(0, 0.4, size=(count, PLACES)).astype(np.float32) for count in (COLUMNS, UNITS))
    variables = [tf.Variable(array) for array in (table, u, v)]
    with tf.GradientTape() as tape:
        distances = tf.reduce_sum(tf.square(variables[1][:, None] - variables[2][None]), axis=2)
        kernels = tf.nn.relu(1 - distances)
        loss = tf.reduce_sum(pull * variables[0] * kernels) + L2_KERNEL / 2 * tf.reduce_sum(tf.square(kernels))
    expected = tape.gradient(loss, variables)

    ours = kernel(u, v)
    assert 0 < np.count_nonzero(ours) < ours.size, "some are to be cut off"
    np.testing.assert_allclose(ours, kernels, rtol=1e-5, atol=1e-6)
    of_table, of_u, of_v = pull.copy(), np.zeros_like(u), np.zeros_like(v)
    add_kernel_gradients(table, u, v, ours, np.float32(L2_KERNEL), of_table, of_u, of_v)
    for found, theirs in zip((of_table, of_u, of_v), expected, strict=True):
        np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5)


def test_steps_are_those_of_adam_in_keras(random: np.random.Generator) -> None:
    weights = random.normal(size=6).astype(np.float32)
    variable, optimizer, l2 = keras.Variable(weights), keras.optimizers.Adam(0.01), 0.2
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, 6):
        gradient = random.normal(size=6).astype(np.float32)
        optimizer.apply([tf.constant(gradient) + l2 * variable.value], [variable])
        adam_step(
            weights, gradient, m, v, np.float32(0.01 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)), np.float32(l2)
        )
        assert not gradient.any()
    np.testing.assert_allclose(weights, variable, rtol=1e-5, atol=1e-6)


def test_the_sigmoid_is_the_logistic_function_and_keeps_to_0_and_1() -> None:
    x = np.linspace(-30, 30, 601).astype(np.float32)
    found = np.array([sigmoid(value) for value in x])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x.astype(float))), atol=1e-6)
    assert ((found >= 0) & (found <= 1)).all()
