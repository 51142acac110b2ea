"""What a row answers in the end: the biases where nothing is known, and nothing off the scale."""

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recsys.evaluation.comparison import Ranking
from recsys.evaluation.ratings import Tested
from recsys.models.baselines import Baseline
from recsys.models.predicting import Codes, Predict

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Warm:
    """Which users and items have a rating that was fitted: bool, shape (users,) and (items,)."""

    users: npt.NDArray[np.bool_]
    items: npt.NDArray[np.bool_]

    @classmethod
    def after(cls, user: Codes, item: Codes, users: int, items: int) -> "Warm":
        """Return who is warm when the ratings of these codes were fitted."""
        return cls(np.bincount(user, minlength=users) > 0, np.bincount(item, minlength=items) > 0)

    def cold(self, user: Codes, item: Codes) -> npt.NDArray[np.bool_]:
        """Return which rows have a user or an item that is not warm."""
        return ~(self.users[user] & self.items[item])


def with_biases_where_cold(predict: Predict, biases: Baseline, warm: Warm) -> Predict:
    """Return `predict` with the answer of `biases` in every cold row."""

    def answer(user: Codes, item: Codes) -> Floats:
        prediction, cold = np.array(predict(user, item)), warm.cold(user, item)
        prediction[cold] = biases.predict(user[cold], item[cold])
        return prediction

    return answer


def outside(prediction: Floats, bounds: tuple[float, float] | None) -> int:
    """Return how many predictions lie outside of the bounds."""
    return int(((prediction < bounds[0]) | (prediction > bounds[1])).sum()) if bounds else 0


def clipped(prediction: Floats, bounds: tuple[float, float] | None) -> Floats:
    """Return the predictions, moved to the nearer of the bounds where they lie outside."""
    return np.clip(prediction, *bounds) if bounds else prediction


@dataclass
class Answers:
    """What the rows predict of the test ratings, and what it took.

    Attributes:
        test: name -> predictions, float32 of shape (rows,), one for each fit.
        validation: name -> predictions of the choosing rows by what was fitted without them.
        microseconds: name -> time of one prediction.
        ranking: name -> how well the lists of the first fit are ordered.
        clipped: name -> predictions of the first fit that were outside of the scale.
    """

    test: dict[str, list[Floats]] = field(default_factory=dict)
    validation: dict[str, Floats] = field(default_factory=dict)
    microseconds: dict[str, float] = field(default_factory=dict)
    ranking: dict[str, Ranking | None] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, predict: Predict, test: Tested, bounds: tuple[float, float] | None) -> None:
        """Note the predictions of one fit."""
        start = time.perf_counter()
        prediction = predict(test.user, test.item).astype(np.float32, copy=False)
        taken = time.perf_counter() - start
        if name not in self.test:
            self.microseconds[name] = 1e6 * taken / len(prediction)
            self.clipped[name] = outside(prediction, bounds)
        self.test.setdefault(name, []).append(clipped(prediction, bounds))
