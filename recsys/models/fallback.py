"""Which users and items have fitted ratings, and the answer of the biases for those that have none."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.models.predictor import Codes, Floats, Predictor
from recsys.models.sums import PairCounts


@dataclass(frozen=True)
class Warm:
    """Which users and items have a fitted rating: bool, shape (users,) and (items,)."""

    users: npt.NDArray[np.bool_]
    items: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, fitted: PairCounts) -> "Warm":
        """Return the users and items of fitted ratings."""
        return cls(fitted.of_users > 0, fitted.of_items > 0)

    def cold(self, user: Codes, item: Codes) -> npt.NDArray[np.bool_]:
        """Return which rows are cold: their user or item is not warm."""
        return ~(self.users[user] & self.items[item])


@dataclass(frozen=True)
class BiasesWhereCold:
    """A predictor with the answer of `biases` in every cold row."""

    predictor: Predictor
    biases: Predictor
    warm: Warm

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return predicted ratings, shape (rows,)."""
        prediction, cold = np.array(self.predictor.predict(user, item)), self.warm.cold(user, item)
        prediction[cold] = self.biases.predict(user[cold], item[cold])
        return prediction


def trained(predictor: Predictor) -> Predictor:
    """Return the predictor without the biases."""
    return predictor.predictor if isinstance(predictor, BiasesWhereCold) else predictor
