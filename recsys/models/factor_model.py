"""What every model with a vector for each user and item comes to when it predicts, as a stock Keras model.

prediction(u, i) = mean + b_u + c_i + p_u · q_i
"""

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.models.factors import Factors

TABLES = {
    "user": ("user_vectors", "user_embedding"),
    "item": ("item_vectors", "movie_embedding"),
    "user_bias": ("user_bias",),
    "item_bias": ("item_bias", "movie_bias"),
}
"""Layers that hold the tables of `Factors`, in this model and in those that are trained as Keras models."""


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


def factors_of(model: keras.Model) -> Factors | None:
    """Return the tables of a model that predicts as above, whatever built it; None of any other model."""
    joining = (keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Dot, keras.layers.Add)
    layers = {layer.name: layer for layer in model.layers if not isinstance(layer, joining)}
    tables = {
        field: np.asarray(layers.pop(name).embeddings)
        for field, names in TABLES.items()
        for name in names
        if name in layers
    }
    rating = layers.pop("rating", None)
    rows = {side: len(tables[name]) for name in tables for side in ("user", "item") if name.startswith(side)}
    if layers or len(rows) < 2:
        return None
    users, items = rows["user"], rows["item"]
    nothing = {"user": (users, 0), "item": (items, 0), "user_bias": (users, 1), "item_bias": (items, 1)}
    user, item, user_bias, item_bias = (
        tables.get(name, np.zeros(shape, np.float32)) for name, shape in nothing.items()
    )
    return Factors(user, item, user_bias[:, 0], item_bias[:, 0], float(rating.offset) if rating else 0.0)


def _lookup(name: str, table: npt.NDArray[np.floating], codes: keras.KerasTensor) -> keras.KerasTensor:
    layer = keras.layers.Embedding(*table.shape, embeddings_initializer="zeros", name=name)
    layer.build()
    layer.set_weights([table])
    return layer(codes)
