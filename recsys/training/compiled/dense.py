"""Dense layers whose sums have the same bits in any number of threads.

Eigen, which multiplies matrices for XLA, cuts long sums by the number of threads and adds up the parts: the gradients
of weights over a batch of 256 ratings can have other last bits in two threads than in one. It leaves sums of up to
LONGEST numbers whole, so longer ones are cut here, always at the same places.
"""

from typing import Any

from recsys.backend import keras
from recsys.backend import tensorflow as tf

LONGEST = 128


class Dense(keras.layers.Dense):  # type: ignore[misc] # Keras has no types
    """Keras's Dense layer: activation(inputs · kernel + bias), float32 of shape (batch, …, units)."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return what Keras's layer does, up to rounding."""
        rows = tf.reshape(inputs, (-1, inputs.shape[-1]))
        outputs = tf.reshape(product(rows, tf.convert_to_tensor(self.kernel)), (-1, *inputs.shape[1:-1], self.units))
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


@tf.custom_gradient  # type: ignore[untyped-decorator] # nor has TensorFlow
def product(a: tf.Tensor, b: tf.Tensor) -> Any:
    """The product of two matrices, and the function from its gradient to theirs."""

    def gradients(of_product: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _multiplied(of_product, b, transpose_b=True), _multiplied(a, of_product, transpose_a=True)

    return _multiplied(a, b), gradients


def _multiplied(a: tf.Tensor, b: tf.Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> tf.Tensor:
    summed = a.shape[0 if transpose_a else 1]
    if summed is None or summed <= LONGEST:  # None while the model is built
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    parts = _cut(a, 0 if transpose_a else 1), _cut(b, 1 if transpose_b else 0)
    return tf.reduce_sum(tf.matmul(*parts, transpose_a=transpose_a, transpose_b=transpose_b), axis=0)


def _cut(matrix: tf.Tensor, axis: int) -> tf.Tensor:
    """The matrix in parts of equal length along an axis, with zeros behind the last, shape (parts, …, …)."""
    summed, kept = matrix.shape[axis], matrix.shape[1 - axis]
    parts = -(-summed // LONGEST)
    length = -(-summed // parts)
    if behind := parts * length - summed:
        matrix = tf.pad(matrix, [(0, behind), (0, 0)] if axis == 0 else [(0, 0), (0, behind)])
    if axis == 0:
        return tf.reshape(matrix, (parts, length, kept))
    return tf.transpose(tf.reshape(matrix, (kept, parts, length)), (1, 0, 2))
