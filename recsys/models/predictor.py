"""What predicts ratings, and what a model may read of the ratings that it is fitted to."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from recsys.models.factors import Factors

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.floating]

CHUNK = 65_536
"""Ratings predicted at once: some 100 MB of activations for layers of 128 units."""


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
