"""What a model's prediction is the sum of."""

from recsys.backend import keras
from recsys.models.predicting import Predict, predictor

LAYERS = ("output_dnn", "dot_product_flat", "user_bias_flat", "movie_bias_flat")
"""The layers whose results `recsys.models.deep` adds up."""


def addends(model: keras.Model) -> dict[str, Predict]:
    """Return layer -> a function that computes its addend of the model's sum; empty for a model without a sum."""
    names = {layer.name for layer in model.layers}
    if "sum" not in names:
        return {}
    return {
        name: predictor(keras.Model(model.inputs, model.get_layer(name).output)) for name in LAYERS if name in names
    }
