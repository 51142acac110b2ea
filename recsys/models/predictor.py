"""What predicts ratings, and what a model may read of the ratings that it is fitted to."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.models.factor_model import Factors, deviations, factors_of
from recsys.models.serialization import load_model, save_model, summary_of

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.floating]

CHUNK = 65_536
"""Ratings predicted at once: some 100 MB of activations for layers of 128 units."""

RESCALED = "rating_units"
"""The layer that turns predictions of standardised ratings into predictions of ratings."""


class TrainingRatings(Protocol):
    """Ratings as codes, shape (ratings,) each; what a model's build function may read of them is said by `train`."""

    @property
    def user(self) -> Codes:
        """Codes of the users."""

    @property
    def item(self) -> Codes:
        """Codes of the items."""

    @property
    def rating(self) -> npt.NDArray[np.float32]:
        """Ratings, in rating units."""

    @property
    def train(self) -> npt.NDArray[np.integer]:
        """Numbers of the rows to fit."""

    @property
    def mean(self) -> float:
        """Mean of the training ratings, in rating units."""


class Predictor(Protocol):
    """Whatever predicts ratings: a model, a baseline or a combination of these."""

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, all arrays of shape (rows,), in single or double precision."""


@runtime_checkable
class UncertainPredictor(Predictor, Protocol):
    """A predictor that knows how far off it may be."""

    def standard_deviation(self, user: Codes, item: Codes) -> Floats:
        """Return the standard deviation of a rating about its prediction, in rating units, shape (rows,)."""


@runtime_checkable
class FactorPredictor(Predictor, Protocol):
    """A predictor that may be nothing but vectors and biases."""

    @property
    def factors(self) -> Factors | None:
        """Its vectors and biases, in units of its own, if these are all that it has."""

    @property
    def units(self) -> tuple[float, float]:
        """The scale and the offset that lead from those units to the ratings'."""


class SavedPredictor(Predictor, Protocol):
    """A trained model, which can be kept in a file; that file holds no pickle."""

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""

    @property
    def summary(self) -> str:
        """What it is made of, as a table of plain text."""

    def rescaled(self, scale: float, offset: float) -> "SavedPredictor":
        """Return what predicts `scale` times its predictions plus `offset`."""

    def save(self, path: Path) -> None:
        """Write it to `path`, byte for byte the same for the same model."""


@dataclass(frozen=True)
class KerasPredictor:
    """A Keras model from [user code, item code], shape (batch, 1) each, to ratings, shape (batch, 1).

    `learnt` is how many numbers were learnt, where these are not the weights of the model.
    """

    model: keras.Model
    learnt: int | None = None

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, shape (rows,), a chunk at a time.

        They are float32, or where standardised predictions are rescaled, float64, so that those that differ still do.
        """
        if not len(user):
            return np.empty(0, np.float32)
        model, factors = self._inner
        if factors:
            found: Floats = deviations(factors, user, item) + np.float32(factors.mean)
        else:
            chunks = [slice(start, start + CHUNK) for start in range(0, len(user), CHUNK)]
            parts = [np.asarray(model([user[rows, None], item[rows, None]], training=False)) for rows in chunks]
            found = np.concatenate(parts)[:, 0]
        if model is self.model:
            return found
        last = self.model.layers[-1]
        return np.asarray(last.scale * found.astype(np.float64) + last.offset)

    @property
    def factors(self) -> Factors | None:
        """Its vectors and biases, in the units of the ratings that it was fitted to, if these are all that it has."""
        return self._inner[1]

    @property
    def units(self) -> tuple[float, float]:
        """The scale and the offset that lead from the units of `factors` to those of the predictions."""
        last = self.model.layers[-1]
        return (float(last.scale), float(last.offset)) if last.name == RESCALED else (1.0, 0.0)

    @cached_property
    def _inner(self) -> tuple[keras.Model, Factors | None]:
        """The model without the layer RESCALED, and its tables if these are all that it has: they predict faster."""
        last = self.model.layers[-1]
        model = keras.Model(self.model.inputs, last.input) if last.name == RESCALED else self.model
        return model, factors_of(model)

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        if self.learnt is not None:
            return self.learnt
        return sum(math.prod(variable.shape) for variable in self.model.trainable_variables)

    @property
    def summary(self) -> str:
        """Its layers, as a table of plain text."""
        return summary_of(self.model)

    def rescaled(self, scale: float, offset: float) -> "KerasPredictor":
        """Return the same model with one more layer, RESCALED."""
        rescaling = keras.layers.Rescaling(scale, offset=offset, name=RESCALED)
        model = keras.Model(self.model.inputs, rescaling(self.model.output), name=self.model.name)
        return KerasPredictor(model, self.learnt)

    def save(self, path: Path) -> None:
        """Write the model to `path` (.keras), which opens with stock Keras."""
        save_model(self.model, path)


def of_all_pairs(predictor: Predictor, user: Codes, item: Codes) -> Floats:
    """Return predictions of each user for each item, shape (users, items), float32 where they are a matrix product."""
    factors = predictor.factors if isinstance(predictor, FactorPredictor) else None
    if factors is None or not isinstance(predictor, FactorPredictor):
        return predictor.predict(np.repeat(user, len(item)), np.tile(item, len(user))).reshape(len(user), len(item))
    scale, offset = predictor.units
    scores = factors.user[user].astype(np.float32) @ factors.item[item].astype(np.float32).T
    scores += (factors.mean + factors.user_bias[user]).astype(np.float32)[:, None]
    scores += factors.item_bias[item].astype(np.float32)
    return np.float32(scale) * scores + np.float32(offset)


def clipped(prediction: Floats, bounds: tuple[float, float] | None) -> Floats:
    """Return the predictions, clipped where there are bounds."""
    return np.clip(prediction, *bounds) if bounds else prediction


def load_keras(path: Path) -> KerasPredictor:
    """Read what `KerasPredictor.save` wrote, as `load_model` does."""
    return KerasPredictor(load_model(path))
