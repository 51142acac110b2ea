"""How much each addend of a network's sum contributes to its predictions."""

import numpy as np

from recsys.backend import keras
from recsys.evaluation.inputs import Tested
from recsys.evaluation.metrics import mse
from recsys.evaluation.predictions import Floats, clipped
from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Contribution
from recsys.models.predictor import Predict, predictor

LAYERS = ("output_dnn", "dot_product_flat", "user_bias_flat", "movie_bias_flat")
"""The layers whose results `recsys.models.neumf` adds up."""


def addends(model: keras.Model) -> dict[str, Predict]:
    """Return layer -> a function that computes its addend of the model's sum; empty for a model without a sum."""
    names = {layer.name for layer in model.layers}
    if "sum" not in names:
        return {}
    return {
        name: predictor(keras.Model(model.inputs, model.get_layer(name).output)) for name in LAYERS if name in names
    }


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
        mse_without = mse(test.rating.astype(np.float64), without, test.user)
        found.append(Contribution(name=NAMES[layer], sd=float(part.std()), mse_without=mse_without))
    return found
