"""Ablation: how much each addend of a network's sum contributes to its predictions."""

import numpy as np

from recsys.backend import keras
from recsys.evaluation.inputs import Tested
from recsys.evaluation.metrics import mse
from recsys.evaluation.predictions import Floats, clipped
from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Contribution
from recsys.models.predictor import KerasPredictor, Predictor

ADDENDS = {
    "output_dnn": DENSE_LAYERS,
    "dot_product_flat": DOT_PRODUCT,
    "user_bias_flat": "user bias",
    "movie_bias_flat": "item bias",
}
"""Layers whose results `recsys.models.neumf` adds up, and what they are called."""


def addends(model: keras.Model) -> dict[str, Predictor]:
    """Return layer -> what computes its addend of the model's sum; empty for a model without a sum."""
    names = {layer.name for layer in model.layers}
    if "sum" not in names:
        return {}
    return {
        name: KerasPredictor(keras.Model(model.inputs, model.get_layer(name).output))
        for name in ADDENDS
        if name in names
    }


def contributions(
    predictor: Predictor, test: Tested, answered: Floats, bounds: tuple[float, float] | None
) -> list[Contribution]:
    """Return what the addends of a model contribute; nothing where it is no sum, or all test rows are cold.

    Args:
        predictor: the trained model.
        test: the test rows, of which the warm ones are read.
        answered: what the model's row answers, shape (rows,); cold rows keep it.
        bounds: to which predictions are clipped.
    """
    parts = addends(predictor.model) if isinstance(predictor, KerasPredictor) else {}
    warm = ~test.cold
    if not parts or not warm.any():
        return []
    user, item = test.user[warm], test.item[warm]
    prediction = predictor.predict(user, item).astype(np.float64)
    found = []
    for layer, addend in parts.items():
        part = addend.predict(user, item).astype(np.float64)
        without = answered.astype(np.float64)
        without[warm] = clipped(prediction - part + part.mean(), bounds)
        mse_without = mse(test.rating.astype(np.float64), without, test.user)
        found.append(Contribution(name=ADDENDS[layer], sd=float(part.std()), mse_without=mse_without))
    return found
