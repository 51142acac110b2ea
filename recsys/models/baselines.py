"""What a model has to beat before it has learnt anything: means and biases."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recsys.arrays import as_pairs
from recsys.blocks import RatingBlocks
from recsys.models.sums import RatingSums

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Ratings = npt.NDArray[np.float32]
Rows = tuple[Codes, Codes, Ratings]


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


def fit_baselines(
    train: Rows | RatingBlocks,
    validation: Rows | RatingBlocks,
    users: int,
    items: int,
    without: Rows | RatingBlocks | None = None,
) -> dict[str, Baseline]:
    """Fit global_mean, user_mean, item_mean and bias_only.

    `validation` are the rows that choose the regularisation of bias_only. Where they are a part of `train`, which is
    fitted, `without` is the rest of it: a regularisation chosen by ratings that were fitted would be too weak.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    sums = RatingSums.of(train, users, items)
    kept = sums if without is None else RatingSums.of(without, users, items)
    chosen, damping = choose_biases(kept, RatingBlocks.all(validation, users, items))
    return {**fit_means(sums), "bias_only": chosen if without is None else refit_biases(chosen, damping, sums)}


def fit_means(sums: RatingSums) -> dict[str, Baseline]:
    """Fit global_mean, user_mean and item_mean."""
    of_users, of_items = sums.counts.of_users, sums.counts.of_items
    nobody, nothing = np.zeros(len(of_users)), np.zeros(len(of_items))

    def timed(fit: Callable[[], tuple[Floats, Floats]], parameters: int) -> Baseline:
        start = time.perf_counter()
        return Baseline(sums.mean, *fit(), parameters, time.perf_counter() - start)

    return {
        "global_mean": timed(lambda: (nobody, nothing), 1),
        "user_mean": timed(lambda: (means(sums.user_deviations, of_users), nothing), len(of_users) + 1),
        "item_mean": timed(lambda: (nobody, means(sums.item_deviations, of_items)), len(of_items) + 1),
    }


def means(sums: Floats, counts: Floats) -> Floats:
    """Return sums over so many ratings as means, shape (codes,) each, 0 of a code without ratings."""
    found: Floats = np.divide(sums, counts, out=np.zeros(len(sums)), where=counts > 0)
    return found


def choose_biases(sums: RatingSums, validation: RatingBlocks) -> tuple[Baseline, float]:
    """Return bias_only, and the strength of regularisation, one of DAMPINGS, that has the lowest validation error."""
    start = time.perf_counter()
    fits = biases_of(sums, DAMPINGS)
    errors = np.zeros(len(fits))
    for user, item, rating in validation:
        for place, (of_user, of_item) in enumerate(fits):
            errors[place] += float(np.sum((sums.mean + of_user[user] + of_item[item] - rating) ** 2))
    best = int(np.argmin(errors))
    parameters = sum(map(len, fits[best])) + 1
    return Baseline(sums.mean, *fits[best], parameters, sums.seconds + time.perf_counter() - start), DAMPINGS[best]


def refit_biases(chosen: Baseline, damping: float, sums: RatingSums) -> Baseline:
    """Return bias_only with the same strength of regularisation for other ratings."""
    start = time.perf_counter()
    [(user, item)] = biases_of(sums, (damping,))
    seconds = chosen.seconds + sums.seconds + time.perf_counter() - start
    return replace(chosen, mean=sums.mean, user=user, item=item, seconds=seconds)


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
    """Return the biases of ratings, shape (rows,) like the codes of their users and items; see `biases_of`.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    return biases_of(RatingSums.of((user, item, rating), users, items), dampings, sweeps, tolerance)


def biases_of(
    sums: RatingSums, dampings: tuple[float, ...], sweeps: int = 50, tolerance: float = 1e-4
) -> list[tuple[Floats, Floats]]:
    """Return (user biases, item biases) for each strength of regularisation, by alternating least squares.

    They minimise the regularised squared error

        sum (r - mean - b_u - b_i)^2 + λ (sum b_u^2 + sum b_i^2).

    With the other side fixed, each bias is a damped mean (Koren 2010, 'Factor in the Neighbors',
    section 2.1): b_i = (sum_u d_ui - sum_u b_u) / (n_i + λ), where the sums over the users of an item
    are one product with the matrix of counts.

    Args:
        sums: of the ratings.
        dampings: each λ, in ratings; above 0.
        sweeps: how often both sides are solved, at most.
        tolerance: stop when no user bias moves by more than this share of the ratings' standard deviation.
    """
    counts, user_sums, item_sums = sums.counts, sums.user_deviations, sums.item_deviations
    still = tolerance * math.sqrt(sums.variance)
    found: list[tuple[Floats, Floats]] = []
    for damping in dampings:
        of_user = np.zeros(len(user_sums))
        for _ in range(sweeps):
            of_item = (item_sums - counts.transposed_times(of_user)) / (counts.of_items + damping)
            before, of_user = of_user, (user_sums - counts.times(of_item)) / (counts.of_users + damping)
            if np.abs(of_user - before).max() <= still:
                break
        found.append((of_user, of_item))
    return found
