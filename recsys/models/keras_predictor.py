"""A Keras model that predicts ratings."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from recsys.arrays import as_pairs
from recsys.backend import keras
from recsys.models.factor_model import factor_model, factors_of
from recsys.models.factors import Factors, deviations
from recsys.models.layers import table_rows
from recsys.models.predictor import CHUNK, Codes, Floats
from recsys.models.serialization import load_model, save_model, summary_of

RESCALED = "rating_units"
"""The layer that turns predictions of standardised ratings into predictions of ratings."""


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

        Raises:
            BadIds: a code has no row in the tables of the model, or there are not as many users as items.
        """
        user, item = as_pairs(user, item, *self._rows)
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
    def _rows(self) -> tuple[int | None, int | None]:
        return table_rows(self.model)

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


@dataclass(frozen=True)
class FittedFactors:
    """Vectors and biases as they were fitted; the Keras model that they are saved as is built when it is asked for.

    Attributes:
        factors: their tables, which are made float32 in C order.
        name: of the Keras model.
        learnt: how many numbers were learnt.
        units: the scale and the offset that lead from the units of `factors` to those of the predictions.
    """

    factors: Factors
    name: str
    learnt: int
    units: tuple[float, float] = (1.0, 0.0)

    def __post_init__(self) -> None:
        """Round the tables, as Keras does."""
        user, item, user_bias, item_bias = (np.ascontiguousarray(table, np.float32) for table in self.factors[:-1])
        object.__setattr__(self, "factors", Factors(user, item, user_bias, item_bias, self.factors.mean))

    @cached_property
    def as_keras(self) -> KerasPredictor:
        """The Keras model, which predicts the same."""
        found = KerasPredictor(factor_model(self.factors, self.name), self.learnt)
        return found if self.units == (1.0, 0.0) else found.rescaled(*self.units)

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings as `KerasPredictor.predict` does, which the Keras model is not needed for.

        Raises:
            BadIds: a code has no row in the tables, or there are not as many users as items.
        """
        found = deviations(self.factors, user, item) + np.float32(self.factors.mean)
        scale, offset = self.units
        return found if self.units == (1.0, 0.0) else np.asarray(scale * found.astype(np.float64) + offset)

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return self.learnt

    @property
    def summary(self) -> str:
        """The layers of the Keras model, as a table of plain text."""
        return self.as_keras.summary

    def rescaled(self, scale: float, offset: float) -> "FittedFactors":
        """Return what predicts `scale` times its predictions plus `offset`."""
        before, shift = self.units
        return replace(self, units=(scale * before, scale * shift + offset))

    def save(self, path: Path) -> None:
        """Write the Keras model to `path` (.keras)."""
        self.as_keras.save(path)


def load_keras(path: Path) -> KerasPredictor:
    """Read what `KerasPredictor.save` wrote, as `load_model` does."""
    return KerasPredictor(load_model(path))
