"""A deep network with whatever a careful engineer would let it learn.

    prediction(u, i) = μ + b_u + b_i + r_u · s_i + network([p_u, q_i])

Biases and dot product, with embeddings of their own, are optional; together they are NeuMF for ratings
(He et al. 2017, 'Neural Collaborative Filtering'; Rendle et al. 2020, 'Neural Collaborative Filtering vs.
Matrix Factorization Revisited', on why a network needs the dot product beside it). With all that is
optional left out it is the notebook's network, `recsys.models.mlp`.

Embeddings and biases pay for each rating that they occur in, as in `recsys.models.biased_mf`; the dense
layers' weights pay once a step. Batch normalisation stands before the activation (Ioffe and Szegedy 2015).
"""

from typing import Any

from recsys.arrays import require_finite
from recsys.backend import keras
from recsys.models.layers import dense, embedding, small_embedding
from recsys.models.predictor import TrainingRatings
from recsys.models.settings import TunedDNNSettings
from recsys.seeding import derive_seed

INITIAL_SD = 0.05
"""Standard deviation of the dot product's initial embeddings."""


def build_deep(
    users: int, items: int, settings: TunedDNNSettings, seed: int, mean: float, name: str = "dnn_tuned"
) -> keras.Model:
    """Return the untrained model; dropout, where it is not 0, follows every hidden layer but the last.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1);
    `seed` draws the initial weights and dropout, `mean` is μ, of the training ratings.
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input_dnn")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input_dnn")
    sides = (("user", user, users), ("movie", item, items))
    flat = [
        keras.layers.Flatten(name=f"{side}_flat_dnn")(
            embedding(f"{side}_embedding_dnn", rows, settings.embedding_size, seed, settings.l2_embeddings)(codes)
        )
        for side, codes, rows in sides
    ]
    parts = [_network(keras.layers.Concatenate(name="concatenated_dnn")(flat), settings, seed)]
    if settings.dot_factors:
        factors = [
            small_embedding(f"{side}_factors", rows, settings.dot_factors, INITIAL_SD, settings.l2_dot, seed)(codes)
            for side, codes, rows in sides
        ]
        dot = keras.layers.Dot(axes=2, name="dot_product")(factors)
        parts.append(keras.layers.Flatten(name="dot_product_flat")(dot))
    if settings.biases:
        for side, codes, rows in sides:
            bias = small_embedding(f"{side}_bias", rows, 1, 0.0, settings.l2_biases, seed)(codes)
            parts.append(keras.layers.Flatten(name=f"{side}_bias_flat")(bias))
    rating = keras.layers.Add(name="sum")(parts) if len(parts) > 1 else parts[0]
    if settings.biases:
        rating = keras.layers.Rescaling(1.0, offset=require_finite(mean, "The mean"), name="rating")(rating)
    return keras.Model(inputs=[user, item], outputs=rating, name=name)


def build(users: int, items: int, settings: TunedDNNSettings, seed: int, ratings: TrainingRatings) -> keras.Model:
    """Return the untrained model; of `ratings` it reads the mean."""
    return build_deep(users, items, settings, seed, ratings.mean)


def _network(hidden: Any, settings: TunedDNNSettings, seed: int) -> Any:
    """Dense layers from the concatenated embeddings, shape (batch, width), to one number, shape (batch, 1)."""
    hidden = _dropped(hidden, settings.input_dropout, "input_dropout", seed)
    normalised = settings.batch_normalisation
    for number, units in enumerate(settings.units, start=1):
        activation = "linear" if normalised else settings.activation
        layer = dense(f"dense{number}", units, activation, seed, l2=settings.l2_kernels, bias=not normalised)
        hidden = layer(hidden)
        if normalised:
            hidden = keras.layers.BatchNormalization(name=f"normalised{number}")(hidden)
            hidden = keras.layers.Activation(settings.activation, name=f"activation{number}")(hidden)
        if number <= max(1, len(settings.units) - 1):
            hidden = _dropped(hidden, settings.dropout, f"dropout{number}", seed)
    return dense("output_dnn", 1, "linear", seed, l2=settings.l2_kernels)(hidden)


def _dropped(values: Any, rate: float, name: str, seed: int) -> Any:
    return keras.layers.Dropout(rate, seed=derive_seed(seed, name), name=name)(values) if rate else values
