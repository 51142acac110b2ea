"""A blend: a weighted sum of models and baselines, each the mean of its fits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsys.models.predictor import Codes, Floats, Predictor, clipped


class Member(NamedTuple):
    """A row of the comparison in a blend: its weight, and its fits, one a seed."""

    weight: float
    fits: tuple[Predictor, ...]


@dataclass(frozen=True)
class Blend:
    """mean + sum of w (prediction - mean), within bounds.

    Attributes:
        members: by their row, one or more.
        mean: in rating units.
        bounds: lowest and highest rating, to which each fit and the blend are clipped.
    """

    members: Mapping[str, Member]
    mean: float
    bounds: tuple[float, float]

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, float64 of shape (rows,)."""
        return self.of(lambda name, number: self.members[name].fits[number].predict(user, item))

    def of(self, predicted: Callable[[str, int], Floats]) -> Floats:
        """Return the blend of what is `predicted` by each fit, given its row and number, float64 of the same shape."""
        means = {
            name: np.mean([clipped(predicted(name, number), self.bounds) for number in range(len(member.fits))], axis=0)
            for name, member in self.members.items()
        }
        weights = {name: member.weight for name, member in self.members.items()}
        return clipped(blended(means, weights, self.mean), self.bounds)


def blended(predicted: Mapping[str, Floats], weights: Mapping[str, float], mean: float) -> Floats:
    """Return the weighted sum of the rows that have a weight, float64 of the shape of each prediction."""
    total = np.full(next(iter(predicted.values())).shape, mean)
    for name, weight in weights.items():
        total += weight * (predicted[name].astype(np.float64) - mean)
    return total
