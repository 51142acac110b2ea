"""Ablation: how much each addend of a network's sum contributes to its predictions."""

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.blocks import TEMPORARY, Scratch, in_blocks
from recsys.evaluation.inputs import Tested
from recsys.evaluation.metrics import mse
from recsys.evaluation.predictions import predict
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
    predictor: Predictor,
    test: Tested,
    answered: Floats,
    bounds: tuple[float, float] | None,
    scratch: Scratch = TEMPORARY,
) -> list[Contribution]:
    """Return what the addends of a model contribute; nothing where it is no sum, or all test rows are cold.

    Of the test rows the warm ones are read; cold rows keep what the model's row `answered`, shape (rows,).
    """
    if not isinstance(predictor, KerasPredictor) or test.cold.all():
        return []
    layers = {layer.name: layer for layer in predictor.model.layers}
    if "sum" not in layers:
        return []
    scale = layers[RESCALED].scale if RESCALED in layers else 1.0
    predictions = predict(predictor, test, None, scratch)
    found = []
    for name in (name for name in ADDENDS if name in layers):
        addend = KerasPredictor(keras.Model(predictor.model.inputs, layers[name].output))
        parts = predict(addend, test, None, scratch)
        mean, sd = _moments(parts, ~test.cold)
        without = scratch.column(
            np.float64,
            len(parts),
            (
                np.where(cold, answer, clipped(prediction - scale * (part.astype(np.float64) - mean), bounds))
                for answer, prediction, part, cold in in_blocks(answered, predictions, parts, test.cold)
            ),
        )
        mse_without = mse(test.rating, without, test.user)
        found.append(Contribution(name=ADDENDS[name], sd=scale * sd, mse_without=mse_without))
    return found


def _moments(values: Floats, chosen: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and standard deviation of the chosen values, in double precision."""
    rows = np.count_nonzero(chosen)
    mean = sum(float(np.sum(block[of], dtype=np.float64)) for block, of in in_blocks(values, chosen)) / rows
    squares = (float(np.sum((block[of].astype(np.float64) - mean) ** 2)) for block, of in in_blocks(values, chosen))
    return mean, float(np.sqrt(sum(squares) / rows))
