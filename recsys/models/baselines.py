"""What a model has to beat before it has learnt anything: means and biases."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.arrays import as_pairs, as_triples
from recsys.models.sums import PairCounts, counted, mean_square, summed

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Ratings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Baseline:
    """mean + user[u] + item[i], where an id without training ratings adds nothing.

    Attributes:
        mean: of the training ratings.
        user: float64, shape (users,), deviation of each user; all 0 where users do not matter.
        item: float64, shape (items,), deviation of each item; all 0 where items do not matter.
        parameters: how many numbers were learnt.
        seconds: wall-clock time of the fit.
    """

    mean: float
    user: Floats
    item: Floats
    parameters: int
    seconds: float

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return the predicted ratings, shape (rows,), of users and items, int32 codes of shape (rows,).

        Raises:
            BadIds: there is no such code.
        """
        user, item = as_pairs(user, item, len(self.user), len(self.item))
        predicted: Floats = self.mean + self.user[user] + self.item[item]
        return predicted


DAMPINGS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Strengths of regularisation that bias_only chooses from."""

Rows = tuple[Codes, Codes, Ratings]


def fit_baselines(
    train: Rows, validation: Rows, users: int, items: int, without: Rows | None = None
) -> dict[str, Baseline]:
    """Fit global_mean, user_mean, item_mean and bias_only.

    `validation` are the rows that choose the regularisation of bias_only. Where they are a part of `train`, which is
    fitted, `without` is the rest of it: a regularisation chosen by ratings that were fitted would be too weak.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    train, validation = as_triples(train, users, items), as_triples(validation, users, items)
    user, item, rating = train
    mean = float(rating.mean(dtype=np.float64))
    nobody, nothing = np.zeros(users), np.zeros(items)

    def chosen_biases() -> tuple[Floats, Floats]:
        kept = without or train
        middle = float(kept[2].mean(dtype=np.float64))
        fitted = fit_biases(*kept, users, items, DAMPINGS)
        u, i, r = validation
        errors = [float(np.mean((middle + b_u[u] + b_i[i] - r) ** 2)) for b_u, b_i in fitted]
        chosen = errors.index(min(errors))
        if without is None:
            return fitted[chosen]
        return fit_biases(*train, users, items, (DAMPINGS[chosen],))[0]

    def timed(fit: Callable[[], tuple[Floats, Floats]], parameters: int) -> Baseline:
        start = time.perf_counter()
        return Baseline(mean, *fit(), parameters, time.perf_counter() - start)

    return {
        "global_mean": timed(lambda: (nobody, nothing), 1),
        "user_mean": timed(lambda: (mean_deviations(user, rating, mean, users), nothing), users + 1),
        "item_mean": timed(lambda: (nobody, mean_deviations(item, rating, mean, items)), items + 1),
        "bias_only": timed(chosen_biases, users + items + 1),
    }


def mean_deviations(code: Codes, rating: Ratings, mean: float, codes: int) -> Floats:
    """Return the mean of rating - mean per code, shape (codes,), 0 for a code without rows."""
    counts = counted(code, codes)
    sums = sums_of_deviations(code, counts, rating, mean)
    means: Floats = np.divide(sums, counts, out=np.zeros(codes), where=counts > 0)
    return means


def sums_of_deviations(code: Codes, counts: npt.NDArray[Any], rating: Ratings, mean: float) -> Floats:
    """Return the sum of rating - mean per code, of which there are `counts`, shape (codes,).

    Ratings are summed before the mean is taken off, which is exact, so that codes with equal means stay equal on any
    scale of the ratings.
    """
    return summed(code, rating, len(counts)) - mean * counts


def fit_biases(
    user: Codes,
    item: Codes,
    rating: Ratings,
    users: int,
    items: int,
    dampings: tuple[float, ...],
    sweeps: int = 50,
    tolerance: float = 1e-4,
) -> list[tuple[Floats, Floats]]:
    """Return (user biases, item biases) for each strength of regularisation, by alternating least squares.

    They minimise the regularised squared error

        sum (r - mean - b_u - b_i)^2 + λ (sum b_u^2 + sum b_i^2).

    With the other side fixed, each bias is a damped mean (Koren 2010, 'Factor in the Neighbors',
    section 2.1): b_i = (sum_u d_ui - sum_u b_u) / (n_i + λ), where the sums over the users of an item
    are one product with the matrix of counts.

    Args:
        rating: shape (rows,) like the codes of their users and items.
        dampings: each λ, in ratings; above 0.
        sweeps: how often both sides are solved, at most.
        tolerance: stop when no user bias moves by more than this share of the ratings' standard deviation.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    user, item, rating = as_triples((user, item, rating), users, items)
    mean = float(rating.mean(dtype=np.float64))
    counts = PairCounts.of(user, item, users, items)
    user_sums = sums_of_deviations(user, counts.of_users, rating, mean)
    item_sums = sums_of_deviations(item, counts.of_items, rating, mean)
    still = tolerance * math.sqrt(mean_square(rating, mean))
    found: list[tuple[Floats, Floats]] = []
    for damping in dampings:
        of_user = np.zeros(users)
        for _ in range(sweeps):
            of_item = (item_sums - counts.transposed_times(of_user)) / (counts.of_items + damping)
            before, of_user = of_user, (user_sums - counts.times(of_item)) / (counts.of_users + damping)
            if np.abs(of_user - before).max() <= still:
                break
        found.append((of_user, of_item))
    return found
