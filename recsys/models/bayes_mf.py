"""What Bayesian matrix factorisation leaves: the mean of its draws as an ordinary factor model, and some draws.

Every draw of (p_u, q_i) predicts by a dot product of few factors, and their mean by one of many; nearly all of that
mean is in its RANK largest singular values, which are a biased matrix factorisation like any other and stay with Keras.
The spread of the draws and the noise of the ratings give the standard deviation of a rating to come.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.models.predictor import CHUNK, Codes, Floats, KerasPredictor, load_keras

RANK = 32
"""Factors of the mean of all draws that are kept."""


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
        variance: Floats = np.maximum(squares / many - mean**2, 0) + noise / many
        return variance


@dataclass(frozen=True)
class BayesianFactors:
    """The mean of all draws, compressed, and the spread of some; see `Predictor` for the methods that are not new.

    `scale` leads from the units of the draws to those of the predictions. `about` says how much the compression lost.
    """

    mean: KerasPredictor
    draws: Draws
    about: str
    scale: float = 1.0

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, float32 of shape (rows,)."""
        return self.mean.predict(user, item)

    def standard_deviation(self, user: Codes, item: Codes) -> Floats:
        """Return the standard deviation of ratings to come, float32 of shape (rows,), in rating units."""
        chunks = [slice(start, start + CHUNK) for start in range(0, len(user), CHUNK)]
        found = [self.draws.variance(user[rows], item[rows]) for rows in chunks]
        return (self.scale * np.sqrt(np.concatenate([np.empty(0), *found]))).astype(np.float32)

    @property
    def parameters(self) -> int:
        """How many numbers a draw has."""
        return self.mean.parameters

    @property
    def summary(self) -> str:
        """The layers of the compressed mean, and what the compression lost."""
        return f"{self.mean.summary}\n\n{self.about}"

    def rescaled(self, scale: float, offset: float) -> "BayesianFactors":
        """Return what predicts `scale` times these ratings plus `offset`."""
        return replace(self, mean=self.mean.rescaled(scale, offset), scale=self.scale * scale)

    def save(self, path: Path) -> None:
        """Write the mean to `path` (.keras), which opens with stock Keras, and the draws beside it (draws.npz)."""
        self.mean.save(path)
        about = {"about": np.array(self.about), "scale": np.array(self.scale)}
        np.savez(path.with_name("draws.npz"), allow_pickle=False, **vars(self.draws), **about)


def load(path: Path) -> BayesianFactors:
    """Read what `BayesianFactors.save` wrote."""
    with np.load(path.with_name("draws.npz"), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    about, scale = str(found.pop("about")), float(found.pop("scale"))
    return BayesianFactors(load_keras(path), Draws(**found), about, scale)
