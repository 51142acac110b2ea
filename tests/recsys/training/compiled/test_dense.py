"""Dense layers whose long sums are cut: Keras's layer, but for rounding."""

from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.training.compiled.dense import LONGEST, Dense


def outputs_and_gradients(layer: keras.layers.Layer, inputs: Any, kernel: Any) -> list[Any]:
    layer.build(inputs.shape)
    layer.kernel.assign(kernel)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(tf.sin(outputs))
    return [outputs, *tape.gradient(loss, [inputs, *layer.trainable_variables])]


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (LONGEST, LONGEST),
        (LONGEST + 1, 3),
        (3, LONGEST + 1),
        (2 * LONGEST, 2 * LONGEST),
        (5 * LONGEST - 7, 3 * LONGEST + 5),
        (LONGEST, 2, LONGEST + 1),
    ],
)
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_it_computes_what_keras_computes(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    inputs = tf.constant(random.normal(size=shape).astype(np.float32))
    kernel = random.normal(size=(shape[-1], 7)).astype(np.float32) / shape[-1]
    found, expected = (
        outputs_and_gradients(layer(7, **options), inputs, kernel) for layer in (Dense, keras.layers.Dense)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_layer_of_a_model_takes_any_number_of_rows() -> None:
    rows = keras.Input((4, 2 * LONGEST))
    assert Dense(7)(rows).shape == (None, 4, 7)
