"""Matrix factorisation as the literature has it: mean, biases and factors, regularised.

    prediction(u, i) = μ + b_u + b_i + p_u · q_i

(Koren, Bell and Volinsky 2009, 'Matrix Factorization Techniques for Recommender Systems', equation 4),
fitted to the squared error plus, for each rating,

    λ_b (b_u² + b_i²) + λ_f (|p_u|² + |q_i|²),

so that who rates more is regularised more (equation 5 there). With no factors it is the biases alone.

With implicit feedback it is SVD++ (Koren 2008, 'Factorization Meets the Neighborhood', equation 15): p_u becomes

    p_u + |N(u)|^-1/2 Σ_{j ∈ N(u)} y_j,

where N(u) are items that the user has rated, and each rating also pays λ_f Σ_{j ∈ N(u)} |y_j|². With this
penalty, items that nobody else has rated move a user at the price of p_u, and items shared with others more
cheaply.
"""

from recsys.backend import keras
from recsys.errors import BadSettings
from recsys.models.implicit_feedback import ImplicitFeedback, rated_items
from recsys.models.layers import frozen_embedding, small_embedding
from recsys.models.predictor import TrainingRatings
from recsys.models.settings import BiasedMFSettings
from recsys.seeding import derive_seed

MOST_ITEMS = 2**24
"""Up to here every item code is a float32, as which Keras keeps an embedding's numbers."""


def build_biased_mf(
    users: int,
    items: int,
    settings: BiasedMFSettings,
    seed: int,
    mean: float,
    name: str = "mf_tuned",
    feedback: ImplicitFeedback | None = None,
) -> keras.Model:
    """Return the untrained model.

    It leads from [user code, item code], int32 of shape (batch, 1) each, to ratings, float32 of shape (batch, 1).

    `mean` is the μ of the training ratings; `feedback` are the N(u), where `settings.implicit_items` is not 0, and
    becomes a part of the model.

    Raises:
        BadSettings: there are too many items for implicit feedback.
        ValueError: there is feedback without `settings.implicit_items`, or none with it.
    """
    if (feedback is not None) != bool(settings.implicit_items):
        raise ValueError(f"{name}: feedback belongs to implicit_items above 0, which are {settings.implicit_items}")
    if settings.implicit_items and items >= MOST_ITEMS:
        raise BadSettings(
            f"Implicit feedback can be read of at most {MOST_ITEMS - 1:,} items, and there are {items:,}."
        )
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
        if feedback is not None:
            implicit = _sum_of_implicit_items(user, items, settings, seed, feedback)
            factors[0] = keras.layers.Add(name="user_and_history")([factors[0], implicit])
        dot = keras.layers.Dot(axes=2, name="dot_product")(factors)
        parts.append(keras.layers.Flatten(name="dot_product_flat")(dot))
    deviation = keras.layers.Add(name="deviation")(parts) if len(parts) > 1 else parts[0]
    rating = keras.layers.Rescaling(1.0, offset=mean, name="rating")(deviation)
    return keras.Model(inputs=[user, item], outputs=rating, name=name)


def build(users: int, items: int, settings: BiasedMFSettings, seed: int, ratings: TrainingRatings) -> keras.Model:
    """Return the untrained model; of `ratings` it reads the mean and, for SVD++, who rated what."""
    feedback = None
    if settings.implicit_items:
        rated = ratings.user[ratings.train], ratings.item[ratings.train]
        feedback = rated_items(*rated, users, items, settings.implicit_items, derive_seed(seed, "history"))
    return build_biased_mf(users, items, settings, seed, ratings.mean, feedback=feedback)


def _sum_of_implicit_items(
    user: keras.KerasTensor, items: int, settings: BiasedMFSettings, seed: int, feedback: ImplicitFeedback
) -> keras.KerasTensor:
    """|N(u)|^-1/2 Σ y_j of each user code, shape (batch, 1, factors).

    Places without an item read a row of y of their own, with weight 0, so that no item pays for them.
    """
    length, size = feedback.items.shape[1], settings.embedding_size
    rated = frozen_embedding("user_history", feedback.items)(user)
    weight = frozen_embedding("user_history_weight", feedback.weights)(user)
    y = small_embedding("history_embedding", items + 1, size, settings.initial_sd, settings.l2_factors, seed)(rated)
    flat = keras.layers.Reshape((length, size), name="history_rows")(y)
    return keras.layers.Dot(axes=(2, 1), name="history_sum")([weight, flat])
