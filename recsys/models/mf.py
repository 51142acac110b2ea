"""Matrix factorisation, as the notebook builds it.

    prediction(u, i) = p_u · q_i

with one embedding p_u a user and q_i an item (Koren, Bell and Volinsky 2009, 'Matrix Factorization
Techniques for Recommender Systems', equation 1), and neither mean nor biases nor regularisation.
"""

from recsys.backend import keras
from recsys.models.layers import embedding
from recsys.models.predictor import TrainingRatings
from recsys.models.settings import MFSettings


def build_mf(users: int, items: int, settings: MFSettings, seed: int) -> keras.Model:
    """Return the untrained model for so many users and items, with initial embeddings drawn by `seed`.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1).
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input")
    user_embedding = embedding("user_embedding", users, settings.embedding_size, seed)(user)
    item_embedding = embedding("movie_embedding", items, settings.embedding_size, seed)(item)
    dot = keras.layers.Dot(axes=2, name="dot_product")([user_embedding, item_embedding])
    return keras.Model(inputs=[user, item], outputs=keras.layers.Flatten(name="dot_product_flat")(dot), name="mf")


def build(users: int, items: int, settings: MFSettings, seed: int, ratings: TrainingRatings) -> keras.Model:
    """Return the untrained model; of `ratings` it reads nothing."""
    return build_mf(users, items, settings, seed)
