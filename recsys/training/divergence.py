"""Trainings that leave the numbers of single precision: where that shows, and the sentence that says so."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.errors import BadSettings, TrainingDiverged


def require_float32(model: keras.Model) -> None:
    """Check that a model computes in single precision, as the comparison's numbers are meant.

    Raises:
        BadSettings: one of its layers does not, as where Keras was set to another precision.
    """
    for layer in model.layers:
        policy = layer.dtype_policy.name
        if policy != "float32" and not isinstance(layer, keras.layers.InputLayer):
            raise BadSettings(
                f"{model.name}: layer {layer.name} ({type(layer).__name__}) computes in {policy}, not in float32; set "
                "Keras to float32 (keras.config.set_floatx, keras.config.set_dtype_policy, or its keras.json)."
            )


def require_finite_loss(model: str, loss: float, epoch: int, learning_rate: float) -> None:
    """Check a loss.

    Raises:
        TrainingDiverged: it is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise _diverged(model, f"the loss became {loss}", epoch, learning_rate)


def require_finite_weights(
    model: str, weights: Iterable[npt.NDArray[np.floating]], epoch: int, learning_rate: float
) -> None:
    """Check what a training ends with: its last step is measured by no loss.

    Raises:
        TrainingDiverged: a weight is NaN or infinite.
    """
    if not all(np.isfinite(array).all() for array in weights):
        raise _diverged(model, "weights became NaN or infinite", epoch, learning_rate)


def _diverged(model: str, what: str, epoch: int, learning_rate: float) -> TrainingDiverged:
    return TrainingDiverged(
        f"{model}: {what} in epoch {epoch} at learning rate {learning_rate:g}; "
        "try a smaller learning rate or a larger batch."
    )
