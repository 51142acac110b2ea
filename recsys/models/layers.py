"""Keras's layers with Keras's default initialisers, each with an explicit seed of its own.

Keras draws a layer's seed from a global generator where none is given, so that two models built in
parallel threads would get different weights at each run.
"""

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.memory import require_memory
from recsys.seeding import derive_seed

BYTES_PER_WEIGHT = 4

COPIES = 5
"""Of a table while it is trained: the model's own, two moments, those that are at work and the best so far."""


def embedding(name: str, rows: int, size: int, seed: int, l2: float = 0.0) -> keras.layers.Embedding:
    """Return an embedding table of shape (rows, size), uniform in ±0.05; each rating pays l2 |row|².

    Raises:
        NotEnoughMemory: there is no room to train it.
    """
    _require_room(name, rows, size)
    initial = keras.initializers.RandomUniform(seed=derive_seed(seed, name))
    return keras.layers.Embedding(
        rows, size, embeddings_initializer=initial, activity_regularizer=_penalty(l2), name=name
    )


def small_embedding(name: str, rows: int, size: int, sd: float, l2: float, seed: int) -> keras.layers.Embedding:
    """Return an embedding table of shape (rows, size), normal with this sd; each rating pays l2 |row|².

    Raises:
        NotEnoughMemory: there is no room to train it.
    """
    _require_room(name, rows, size)
    initial = keras.initializers.RandomNormal(stddev=sd, seed=derive_seed(seed, name)) if sd else "zeros"
    penalty = keras.regularizers.L2(l2)
    return keras.layers.Embedding(rows, size, embeddings_initializer=initial, activity_regularizer=penalty, name=name)


def frozen_embedding(name: str, table: npt.NDArray[np.generic]) -> keras.layers.Embedding:
    """Return an embedding that looks rows of `table`, shape (rows, size), up as float32, and is not trained."""
    layer = keras.layers.Embedding(*table.shape, embeddings_initializer="zeros", trainable=False, name=name)
    layer.build()
    layer.set_weights([table])
    return layer


def dense(
    name: str, units: int, activation: str, seed: int, *, l2: float = 0.0, bias: bool = True
) -> keras.layers.Dense:
    """Return a dense layer with Glorot-uniform weights and zero biases; the loss pays l2 |weights|²."""
    initial = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
    return keras.layers.Dense(
        units, activation, bias, kernel_initializer=initial, kernel_regularizer=_penalty(l2), name=name
    )


def _require_room(name: str, rows: int, size: int) -> None:
    """Check this before TensorFlow does, which may end the process without a word."""
    needed = rows * size * BYTES_PER_WEIGHT * COPIES
    require_memory(f"Training {name}, a table of {rows:,} rows of {size:,} numbers,", needed)


def _penalty(l2: float) -> keras.regularizers.L2 | None:
    return keras.regularizers.L2(l2) if l2 else None
