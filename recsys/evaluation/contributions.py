"""How much each addend of a network's sum contributes to its predictions."""

import numpy as np

from recsys.backend import keras
from recsys.evaluation.answers import Floats, clipped
from recsys.evaluation.comparison import DENSE_LAYERS, DOT_PRODUCT, Contribution
from recsys.evaluation.metrics import score
from recsys.evaluation.ratings import Tested
from recsys.models.addends import addends
from recsys.models.predicting import predictor

NAMES = {
    "output_dnn": DENSE_LAYERS,
    "dot_product_flat": DOT_PRODUCT,
    "user_bias_flat": "user bias",
    "movie_bias_flat": "item bias",
}
"""Layer -> what its result is."""


def contributions(
    model: keras.Model, test: Tested, answered: Floats, bounds: tuple[float, float] | None
) -> list[Contribution]:
    """Return what the addends of `model` contribute; nothing where it is no sum, or all test rows are cold.

    Args:
        model: trained.
        test: the test rows, of which the warm ones are read.
        answered: what the model's row answers, shape (rows,); cold rows keep it.
        bounds: to which predictions are clipped.
    """
    parts = addends(model)
    warm = ~test.cold
    if not parts or not warm.any():
        return []
    user, item = test.user[warm], test.item[warm]
    prediction = predictor(model)(user, item).astype(np.float64)
    found = []
    for layer, compute in parts.items():
        part = compute(user, item).astype(np.float64)
        without = answered.astype(np.float64)
        without[warm] = clipped(prediction - part + part.mean(), bounds)
        found.append(Contribution(name=NAMES[layer], sd=float(part.std()), mse_without=score(test.rating, without).mse))
    return found
