"""The deep network, as the notebook builds it: a multi-layer perceptron on both embeddings.

prediction(u, i) = w · h_L + b,    h_l = relu(W_l h_{l-1} + b_l),    h_0 = [p_u, q_i]
"""

from recsys.backend import keras
from recsys.models.layers import dense, embedding
from recsys.models.predictor import TrainingRatings
from recsys.models.settings import DNNSettings
from recsys.seeding import derive_seed


def build_dnn(users: int, items: int, settings: DNNSettings, seed: int, name: str = "dnn") -> keras.Model:
    """Return the untrained model; dropout, where it is not 0, follows every hidden layer but the last.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1);
    `seed` draws the initial weights and dropout.
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input_dnn")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input_dnn")
    user_embedding = embedding("user_embedding_dnn", users, settings.embedding_size, seed)(user)
    item_embedding = embedding("movie_embedding_dnn", items, settings.embedding_size, seed)(item)
    user_flat = keras.layers.Flatten(name="user_flat_dnn")(user_embedding)
    item_flat = keras.layers.Flatten(name="movie_flat_dnn")(item_embedding)
    hidden = keras.layers.Concatenate(name="concatenated_dnn")([user_flat, item_flat])
    for number, units in enumerate(settings.units, start=1):
        hidden = dense(f"dense{number}", units, "relu", seed)(hidden)
        if settings.dropout and number <= max(1, len(settings.units) - 1):
            dropout = f"dropout{number}"
            hidden = keras.layers.Dropout(settings.dropout, seed=derive_seed(seed, dropout), name=dropout)(hidden)
    output = dense("output_dnn", 1, "linear", seed)(hidden)
    return keras.Model(inputs=[user, item], outputs=output, name=name)


def build(users: int, items: int, settings: DNNSettings, seed: int, ratings: TrainingRatings) -> keras.Model:
    """Return the untrained model; of `ratings` it reads nothing."""
    return build_dnn(users, items, settings, seed)
