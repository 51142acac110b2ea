"""Matrix factorisation as the literature has it: mean, biases and factors, regularised.

    prediction(u, i) = μ + b_u + b_i + p_u · q_i

(Koren, Bell and Volinsky 2009, 'Matrix Factorization Techniques for Recommender Systems', equation 4),
fitted to the squared error plus, for each rating,

    λ_b (b_u² + b_i²) + λ_f (|p_u|² + |q_i|²),

so that who rates more is regularised more (equation 5 there). With no factors it is the biases alone.
"""

from recsys.backend import keras
from recsys.models.seeded import small_embedding
from recsys.settings import BiasedMFSettings


def build_biased_mf(
    users: int, items: int, settings: BiasedMFSettings, seed: int, mean: float, name: str = "mf_tuned"
) -> keras.Model:
    """Return the untrained model.

    Args:
        users: rows of the user tables.
        items: rows of the item tables.
        settings: `embedding_size`, which biases, penalties and `initial_sd` are read.
        seed: of the initial embeddings.
        mean: μ, of the training ratings.
        name: the model's name.

    Returns:
        A model from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of
        shape (batch, 1).
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input")
    parts = []
    for wanted, side, codes, rows in (
        (settings.user_bias, "user", user, users),
        (settings.item_bias, "movie", item, items),
    ):
        if wanted or not settings.embedding_size:  # without factors there has to be something to learn
            bias = small_embedding(f"{side}_bias", rows, 1, 0.0, settings.l2_biases, seed)(codes)
            parts.append(keras.layers.Flatten(name=f"{side}_bias_flat")(bias))
    if settings.embedding_size:
        sides = [
            small_embedding(
                f"{side}_embedding", rows, settings.embedding_size, settings.initial_sd, settings.l2_factors, seed
            )(codes)
            for side, codes, rows in (("user", user, users), ("movie", item, items))
        ]
        dot = keras.layers.Dot(axes=2, name="dot_product")(sides)
        parts.append(keras.layers.Flatten(name="dot_product_flat")(dot))
    deviation = keras.layers.Add(name="deviation")(parts) if len(parts) > 1 else parts[0]
    rating = keras.layers.Rescaling(1.0, offset=mean, name="rating")(deviation)
    return keras.Model(inputs=[user, item], outputs=rating, name=name)
