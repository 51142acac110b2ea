"""Ablation: how much each addend of a network's sum contributes to its predictions."""

import numpy as np

from recsys.backend import keras
from recsys.evaluation.inputs import Tested
from recsys.evaluation.metrics import mse
from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Contribution
from recsys.models.keras_predictor import RESCALED, KerasPredictor
from recsys.models.predictor import Floats, Predictor, clipped

ADDENDS = {
    "output_dnn": DENSE_LAYERS,
    "dot_product_flat": DOT_PRODUCT,
    "user_bias_flat": "user bias",
    "movie_bias_flat": "item bias",
}
"""Layers whose results `recsys.models.neumf` adds up, and what they are called."""


def contributions(
    predictor: Predictor, test: Tested, answered: Floats, bounds: tuple[float, float] | None
) -> list[Contribution]:
    """Return what the addends of a model contribute; nothing where it is no sum, or all test rows are cold.

    Of the test rows the warm ones are read; cold rows keep what the model's row `answered`, shape (rows,).
    """
    warm = ~test.cold
    if not isinstance(predictor, KerasPredictor) or not warm.any():
        return []
    layers = {layer.name: layer for layer in predictor.model.layers}
    if "sum" not in layers:
        return []
    scale = layers[RESCALED].scale if RESCALED in layers else 1.0
    user, item = test.user[warm], test.item[warm]
    prediction = predictor.predict(user, item).astype(np.float64)
    found = []
    for name in (name for name in ADDENDS if name in layers):
        addend = KerasPredictor(keras.Model(predictor.model.inputs, layers[name].output))
        part = scale * addend.predict(user, item).astype(np.float64)
        without = answered.astype(np.float64)
        without[warm] = clipped(prediction - part + part.mean(), bounds)
        mse_without = mse(test.rating.astype(np.float64), without, test.user)
        found.append(Contribution(name=ADDENDS[name], sd=float(part.std()), mse_without=mse_without))
    return found
