"""What every model with a vector for each user and item comes to when it predicts, as a stock Keras model.

prediction(u, i) = mean + b_u + c_i + p_u · q_i
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.backend import keras


class Factors(NamedTuple):
    """Vectors and biases of all users and items.

    Attributes:
        user: shape (users, size); without columns the biases alone are left.
        item: shape (items, size).
        user_bias: shape (users,).
        item_bias: shape (items,).
        mean: what a prediction without biases and vectors is.
    """

    user: npt.NDArray[np.floating]
    item: npt.NDArray[np.floating]
    user_bias: npt.NDArray[np.floating]
    item_bias: npt.NDArray[np.floating]
    mean: float


def factor_model(factors: Factors, name: str) -> keras.Model:
    """Return the model, which holds nothing but these tables, in float32.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1).
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input")
    addends = [
        keras.layers.Flatten(name="user_bias_flat")(_lookup("user_bias", factors.user_bias[:, None], user)),
        keras.layers.Flatten(name="item_bias_flat")(_lookup("item_bias", factors.item_bias[:, None], item)),
    ]
    if factors.user.shape[1]:
        vectors = [_lookup("user_vectors", factors.user, user), _lookup("item_vectors", factors.item, item)]
        addends.append(
            keras.layers.Flatten(name="dot_product_flat")(keras.layers.Dot(axes=2, name="dot_product")(vectors))
        )
    deviation = keras.layers.Add(name="deviation")(addends)
    rating = keras.layers.Rescaling(1.0, offset=factors.mean, name="rating")(deviation)
    return keras.Model(inputs=[user, item], outputs=rating, name=name)


def _lookup(name: str, table: npt.NDArray[np.floating], codes: keras.KerasTensor) -> keras.KerasTensor:
    layer = keras.layers.Embedding(*table.shape, embeddings_initializer="zeros", name=name)
    layer.build()
    layer.set_weights([table])
    return layer(codes)
