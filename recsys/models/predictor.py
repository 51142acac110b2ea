"""Predictions of a Keras model, a chunk of ratings at a time."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recsys.backend import keras

Codes = npt.NDArray[np.int32]
Predict = Callable[[Codes, Codes], npt.NDArray[np.floating]]
"""From user and item codes, shape (rows,) each, to predicted ratings, shape (rows,)."""

CHUNK = 65_536
"""Ratings predicted at once: some 100 MB of activations for layers of 128 units."""


def predictor(model: keras.Model) -> Predict:
    """Return a function that predicts ratings, float32, with `model`."""

    def predict(user: Codes, item: Codes) -> npt.NDArray[np.floating]:
        if not len(user):
            return np.empty(0, np.float32)
        chunks = [
            np.asarray(model([user[start : start + CHUNK, None], item[start : start + CHUNK, None]], training=False))
            for start in range(0, len(user), CHUNK)
        ]
        return np.concatenate(chunks)[:, 0]

    return predict
