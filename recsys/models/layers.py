"""Keras's layers with Keras's default initialisers, each with an explicit seed of its own.

Keras draws a layer's seed from a global generator where none is given, so that two models built in
parallel threads would get different weights at each run.
"""

from typing import Any

from recsys.arrays import require_whole_number
from recsys.backend import keras
from recsys.memory import require_memory
from recsys.seeding import derive_seed

BYTES_PER_WEIGHT = 4

COPIES = 5
"""Of a table while it is trained: the model's own, two moments, those that are at work and the best so far."""


def embedding(name: str, rows: int, size: int, seed: int, l2: float = 0.0) -> keras.layers.Embedding:
    """Return an embedding table of shape (rows, size), uniform in ±0.05, with L2 regularisation per rating.

    Raises:
        BadSettings: `rows` is no whole number of 1 or more.
        NotEnoughMemory: there is no room to train it.
    """
    initial = keras.initializers.RandomUniform(seed=derive_seed(seed, name))
    return _table(name, rows, size, initial, _penalty(l2))


def small_embedding(name: str, rows: int, size: int, sd: float, l2: float, seed: int) -> keras.layers.Embedding:
    """Return an `embedding` that is initially normal with this standard deviation."""
    initial = keras.initializers.RandomNormal(stddev=sd, seed=derive_seed(seed, name)) if sd else "zeros"
    return _table(name, rows, size, initial, keras.regularizers.L2(l2))


def dense(
    name: str, units: int, activation: str, seed: int, *, l2: float = 0.0, bias: bool = True
) -> keras.layers.Dense:
    """Return a dense layer with Glorot-uniform weights, under L2 regularisation, and zero biases."""
    initial = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
    penalty = _penalty(l2)
    return keras.layers.Dense(
        units, activation, bias, kernel_initializer=initial, kernel_regularizer=penalty, name=name
    )


def table_rows(model: keras.Model) -> tuple[int | None, int | None]:
    """Return how many rows the tables have that user and item codes are looked up in, None where that is not known."""
    found: list[int | None] = [None, None]
    tables = [layer for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    for table in tables:
        for place, codes in enumerate(getattr(model, "inputs", None) or ()):
            if place < len(found) and table.input is codes:
                found[place] = min(table.input_dim, found[place] or table.input_dim)
    return found[0], found[1]


def _table(name: str, rows: int, size: int, initial: Any, penalty: Any) -> keras.layers.Embedding:
    """Check the memory before TensorFlow does, which may end the process without a word."""
    rows = require_whole_number(rows, f"The number of rows of {name}")
    needed = rows * size * BYTES_PER_WEIGHT * COPIES
    require_memory(f"Training {name}, a table of {rows:,} rows of {size:,} numbers,", needed)
    return keras.layers.Embedding(rows, size, embeddings_initializer=initial, activity_regularizer=penalty, name=name)


def _penalty(l2: float) -> keras.regularizers.L2 | None:
    return keras.regularizers.L2(l2) if l2 else None
