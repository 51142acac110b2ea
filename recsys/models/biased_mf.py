"""Matrix factorisation as the literature has it: mean, biases and factors, regularised.

    prediction(u, i) = μ + b_u + b_i + p_u · q_i

(Koren, Bell and Volinsky 2009, 'Matrix Factorization Techniques for Recommender Systems', equation 4),
fitted to the squared error plus, for each rating,

    λ_b (b_u² + b_i²) + λ_f (|p_u|² + |q_i|²),

so that who rates more is regularised more (equation 5 there). With no factors it is the biases alone.

With implicit feedback it is SVD++, which `recsys.training.histories` fits: not built here.
"""

from recsys.arrays import require_finite
from recsys.backend import keras
from recsys.models.layers import small_embedding
from recsys.models.predictor import TrainingRatings
from recsys.models.settings import BiasedMFSettings


def build_biased_mf(
    users: int,
    items: int,
    settings: BiasedMFSettings,
    seed: int,
    mean: float,
    name: str = "mf_tuned",
) -> keras.Model:
    """Return the untrained model.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1).

    `mean` is the μ of the training ratings.
    """
    user = keras.Input(shape=(1,), dtype="int32", name="user_input")
    item = keras.Input(shape=(1,), dtype="int32", name="movie_input")
    sides = (("user", user, users, settings.user_bias), ("movie", item, items, settings.item_bias))
    parts = []
    for side, codes, rows, biased in sides:
        if biased or not settings.embedding_size:  # without factors there has to be something to learn
            bias = small_embedding(f"{side}_bias", rows, 1, 0.0, settings.l2_biases, seed)(codes)
            parts.append(keras.layers.Flatten(name=f"{side}_bias_flat")(bias))
    if settings.embedding_size:
        given = settings.embedding_size, settings.initial_sd, settings.l2_factors, seed
        factors = [small_embedding(f"{side}_embedding", rows, *given)(codes) for side, codes, rows, _ in sides]
        dot = keras.layers.Dot(axes=2, name="dot_product")(factors)
        parts.append(keras.layers.Flatten(name="dot_product_flat")(dot))
    deviation = keras.layers.Add(name="deviation")(parts) if len(parts) > 1 else parts[0]
    rating = keras.layers.Rescaling(1.0, offset=require_finite(mean, "The mean"), name="rating")(deviation)
    return keras.Model(inputs=[user, item], outputs=rating, name=name)


def build(users: int, items: int, settings: BiasedMFSettings, seed: int, ratings: TrainingRatings) -> keras.Model:
    """Return the untrained model; of `ratings` it reads the mean."""
    return build_biased_mf(users, items, settings, seed, ratings.mean)
