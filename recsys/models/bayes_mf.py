"""What Bayesian matrix factorisation leaves: the mean of its draws, the same compressed for Keras, and some draws.

Every draw of (p_u, q_i) predicts by a dot product of few factors, and their mean by one of many, of which few have any
weight. With RANK of them the mean is as good as whole, and predicts; with COMPRESSED_RANK it is an ordinary biased
matrix factorisation for every other use, as a model of stock Keras. The spread of the draws and the noise of the
ratings give the standard deviation of a rating to come.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys.arrays import as_pairs
from recsys.models.factors import Factors, deviations
from recsys.models.predictor import CHUNK, Codes, Floats

if TYPE_CHECKING:
    from recsys.models.keras_predictor import KerasPredictor

Tables = npt.NDArray[np.float32]

RANK, COMPRESSED_RANK = 96, 32
"""Factors of the mean of all draws that predict, and of the model of Keras."""

DRAWS = "draws.npz"
"""The file beside that of the model of Keras."""


@dataclass(frozen=True)
class Draws:
    """Some of a sampler's draws, evenly spaced.

    Attributes:
        users: (bias, factors) of the users, float16 of shape (draws, users, size).
        items: the same of the items.
        user_noise: variance of the noise of each user's ratings, the common one included, float32 of shape
            (draws, users).
        item_noise: what each item multiplies it by, shape (draws, items).
    """

    users: npt.NDArray[np.float16]
    items: npt.NDArray[np.float16]
    user_noise: npt.NDArray[np.float32]
    item_noise: npt.NDArray[np.float32]

    def variance(self, user: Codes, item: Codes) -> Floats:
        """Return the variance of ratings to come, shape (pairs,): of the draws, and of the noise on top."""
        total, squares, noise = (np.zeros(len(user)) for _ in range(3))
        for users, items, of_user, of_item in zip(
            self.users, self.items, self.user_noise, self.item_noise, strict=True
        ):
            rows, others = users[user].astype(np.float32), items[item].astype(np.float32)
            drawn = rows[:, 0] + others[:, 0] + np.einsum("ri,ri->r", rows[:, 1:], others[:, 1:])
            total += drawn
            squares += drawn.astype(np.float64) ** 2
            noise += of_user[user] * of_item[item]
        many = len(self.users)
        mean = total / many
        return np.asarray(np.maximum(squares / many - mean**2, 0) + noise / many)


@dataclass(frozen=True)
class BayesianFactors:
    """The mean of all draws, and the spread of some; see `SavedPredictor` for the methods that are not new.

    `compressed` loads the mean with fewer factors, for which alone Keras is needed; `about` says how much that loses.
    `scale` and `offset` lead from the units of the draws to those of the predictions. `parameters` are the numbers of a
    draw.
    """

    mean: Factors
    compressed: Callable[[], "KerasPredictor"]
    draws: Draws
    about: str
    parameters: int
    scale: float = 1.0
    offset: float = 0.0

    @property
    def factors(self) -> Factors:
        """The mean of the draws, in their units."""
        return self.mean

    @property
    def units(self) -> tuple[float, float]:
        """The scale and the offset that lead from the units of the draws to those of the predictions."""
        return self.scale, self.offset

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, float64 of shape (rows,).

        Raises:
            BadIds: there is no such code.
        """
        return self.scale * deviations(self.mean, user, item).astype(np.float64) + self.offset

    def standard_deviation(self, user: Codes, item: Codes) -> Floats:
        """Return the standard deviation of ratings to come, float32 of shape (rows,), in rating units.

        Raises:
            BadIds: there is no such code.
        """
        user, item = as_pairs(user, item, len(self.mean.user_bias), len(self.mean.item_bias))
        chunks = [slice(start, start + CHUNK) for start in range(0, len(user), CHUNK)]
        found = [self.draws.variance(user[rows], item[rows]) for rows in chunks]
        return np.asarray(self.scale * np.sqrt(np.concatenate([np.empty(0), *found])), np.float32)

    @property
    def summary(self) -> str:
        """The layers of the compressed mean, and what the compression loses."""
        return f"{self.compressed().summary}\n\n{self.about}"

    def rescaled(self, scale: float, offset: float) -> "BayesianFactors":
        """Return what predicts `scale` times these ratings plus `offset`."""
        compressed = self.compressed().rescaled(scale, offset)
        return replace(
            self, compressed=lambda: compressed, scale=scale * self.scale, offset=scale * self.offset + offset
        )

    def save(self, path: Path) -> None:
        """Write the compressed mean to `path` (.keras), which opens with stock Keras, and the rest beside it (.npz)."""
        self.compressed().save(path)
        mean = {f"mean_{name}": np.asarray(value) for name, value in self.mean._asdict().items()}
        others = {name: np.array(getattr(self, name)) for name in ("about", "parameters", "scale", "offset")}
        np.savez(path.with_name(DRAWS), allow_pickle=False, **vars(self.draws), **mean, **others)


def load(path: Path) -> BayesianFactors:
    """Read what `BayesianFactors.save` wrote."""
    with np.load(path.with_name(DRAWS), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    of_users, of_items, user_bias, item_bias = (found[f"mean_{name}"] for name in Factors._fields[:-1])
    mean = Factors(of_users, of_items, user_bias, item_bias, float(found["mean_mean"]))
    draws = Draws(**{field.name: found[field.name] for field in fields(Draws)})
    about, parameters = str(found["about"]), int(found["parameters"])
    scale, offset = float(found["scale"]), float(found["offset"])
    return BayesianFactors(mean, lambda: _load_keras(path), draws, about, parameters, scale, offset)


def _load_keras(path: Path) -> "KerasPredictor":
    from recsys.models.keras_predictor import load_keras  # which loads TensorFlow, for seconds

    return load_keras(path)
