"""Keras's layers with Keras's default initialisers, each with an explicit seed of its own.

Keras draws a layer's seed from a global generator where none is given, so that two models built in
parallel threads would get different weights at each run.
"""

from recsys.backend import keras
from recsys.seeds import derive_seed


def embedding(name: str, rows: int, size: int, seed: int) -> keras.layers.Embedding:
    """Return an embedding table of shape (rows, size), uniform in ±0.05."""
    initial = keras.initializers.RandomUniform(seed=derive_seed(seed, name))
    return keras.layers.Embedding(rows, size, embeddings_initializer=initial, name=name)


def small_embedding(name: str, rows: int, size: int, sd: float, l2: float, seed: int) -> keras.layers.Embedding:
    """Return an embedding table of shape (rows, size), normal with this sd; each rating pays l2 |row|²."""
    initial = keras.initializers.RandomNormal(stddev=sd, seed=derive_seed(seed, name)) if sd else "zeros"
    penalty = keras.regularizers.L2(l2)
    return keras.layers.Embedding(rows, size, embeddings_initializer=initial, activity_regularizer=penalty, name=name)


def dense(name: str, units: int, activation: str, seed: int) -> keras.layers.Dense:
    """Return a dense layer with Glorot-uniform weights and zero biases."""
    initial = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
    return keras.layers.Dense(units, activation=activation, kernel_initializer=initial, name=name)
