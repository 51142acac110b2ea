"""Biases, and how much the ratings of each user rise with the popularity of the item.

    prediction(u, i) = mean + b_u + c_i + a_u x_i

x_i is log(1 + n_i), standardised over the training ratings, of which n_i are of the item. With one more number a user
than the biases it shows how much of a model's gain over them is popularity.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.arrays import as_pairs
from recsys.blocks import RatingBlocks
from recsys.models.baselines import Codes, Floats, Rows
from recsys.models.sums import PairCounts, RatingSums

PENALTIES = (5.0, 3.0, 20.0)
"""L2 regularisation of user biases, item biases and slopes, in ratings, chosen on MovieLens."""

STRENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Multiples of the penalties that validation ratings choose from."""

SWEEPS, TOLERANCE = 30, 1e-4
"""How often users and items are solved, at most; they count as solved where no bias or slope of a user moves by more
than this share of the ratings' standard deviation."""

EQUAL = 1e-9
"""Popularities of a smaller standard deviation differ by rounding alone."""


@dataclass(frozen=True)
class PopularitySlope:
    """mean + user[u] + item[i] + slope[u] * popularity[i].

    Attributes:
        mean: of the training ratings.
        user: float64, shape (users,), user biases; 0 of users without training ratings.
        item: float64, shape (items,), item biases; 0 of items without training ratings.
        slope: float64, shape (users,), in rating units; users without training ratings have the mean of the others.
        popularity: float64, shape (items,), the x_i; items without training ratings are the least popular.
        strength: the multiple of the penalties.
        seconds: wall-clock time of the fit and, where it was chosen, of the choice.
    """

    mean: float
    user: Floats
    item: Floats
    slope: Floats
    popularity: Floats
    strength: float
    seconds: float

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return 2 * len(self.user) + len(self.item) + 1

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return the predicted ratings, shape (rows,), of users and items, int32 codes of shape (rows,).

        Raises:
            BadIds: there is no such code.
        """
        user, item = as_pairs(user, item, len(self.user), len(self.item))
        predicted: Floats = self.mean + self.user[user] + self.item[item] + self.slope[user] * self.popularity[item]
        return predicted

    def save(self, path: Path) -> None:
        """Write it to `path` (.npz)."""
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **{name: np.array(value) for name, value in vars(self).items()})

    def refitted(self, train: Rows | RatingSums) -> "PopularitySlope":
        """Return a fit of the same strength to other training ratings, (user codes, item codes, ratings)."""
        start = time.perf_counter()
        users, items = len(self.user), len(self.item)
        sums = train if isinstance(train, RatingSums) else RatingSums.of(train, users, items)
        [fitted] = slopes_of(sums, (self.strength,))
        before = self.seconds + (sums.seconds if sums is train else 0.0)
        return replace(fitted, seconds=before + time.perf_counter() - start)


def load(path: Path) -> PopularitySlope:
    """Read what `PopularitySlope.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        user, item, slope, popularity = (arrays[name] for name in ("user", "item", "slope", "popularity"))
        mean, strength, seconds = (float(arrays[name]) for name in ("mean", "strength", "seconds"))
    return PopularitySlope(mean, user, item, slope, popularity, strength, seconds)


def fit_popularity_slope(train: Rows, validation: Rows, users: int, items: int) -> tuple[PopularitySlope, Floats]:
    """Choose the strength of regularisation of lowest validation error.

    No row of `validation` is in `train`. Returns the choice, and what it predicts of the validation rows,
    shape (rows,).

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    choosing = RatingBlocks.all(validation, users, items)
    found = choose_slope(RatingSums.of(train, users, items), choosing)
    return found, found.predict(*choosing.of[:2])


def choose_slope(sums: RatingSums, validation: RatingBlocks) -> PopularitySlope:
    """Return the fit with that of the STRENGTHS that has the lowest validation error."""
    start = time.perf_counter()
    fits = slopes_of(sums, STRENGTHS)
    errors = np.zeros(len(fits))
    for user, item, rating in validation:
        errors += [float(np.sum((fit.predict(user, item) - rating) ** 2)) for fit in fits]
    return replace(fits[int(np.argmin(errors))], seconds=sums.seconds + time.perf_counter() - start)


def fit_slopes(train: Rows, users: int, items: int, strengths: tuple[float, ...]) -> list[PopularitySlope]:
    """Fit one model for each strength to training ratings; see `slopes_of`.

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    return slopes_of(RatingSums.of(train, users, items), strengths)


def slopes_of(ratings: RatingSums, strengths: tuple[float, ...]) -> list[PopularitySlope]:
    """Fit one model for each strength s, by alternating least squares.

    They minimise, with the penalties λ and the mean slope a over the users who have ratings,

        sum (r - mean - b_u - c_i - a_u x_i)^2 + s (λ_1 sum b_u^2 + λ_2 sum c_i^2 + λ_3 sum (a_u - a)^2).
    """
    sums = _Sums.of(ratings)
    still = TOLERANCE * math.sqrt(ratings.variance)
    return [
        PopularitySlope(ratings.mean, *_solved(sums, strength, still), sums.x, strength, 0.0) for strength in strengths
    ]


class _Sums(NamedTuple):
    """What the ratings come to in the least squares: d is a rating less their mean, x the popularity of its item.

    `d`, `dx`, `x1` and `xx`, of the users, and `item_d`, of the items, are sums over ratings of d, d x, x and x^2.
    """

    counts: PairCounts
    x: Floats
    d: Floats
    dx: Floats
    x1: Floats
    xx: Floats
    item_d: Floats

    @classmethod
    def of(cls, ratings: RatingSums) -> "_Sums":
        counts, rows = ratings.counts, len(ratings.ratings)
        x = np.log1p(counts.of_items)
        x -= x @ counts.of_items / rows
        spread = float(np.sqrt(x**2 @ counts.of_items / rows))
        x = x / spread if spread > EQUAL else np.zeros(len(x))
        x1, xx = counts.times(x), counts.times(x**2)
        dx = ratings.user_products(x) - ratings.mean * x1
        return cls(counts, x, ratings.user_deviations, dx, x1, xx, ratings.item_deviations)


def _solved(sums: _Sums, strength: float, still: float) -> tuple[Floats, Floats, Floats]:
    """Return user biases, item biases and slopes.

    With the items fixed, the bias and the slope of a user are two linear equations; the sums over a user's items, or an
    item's users, are products with the matrix of counts.
    """
    of_user, of_item, of_slope = (strength * penalty for penalty in PENALTIES)
    known = sums.counts.of_users > 0
    ones, squares = sums.counts.of_users + of_user, sums.xx + of_slope
    determinant = ones * squares - sums.x1**2
    user, slope, mean_slope = np.zeros(len(known)), np.zeros(len(known)), 0.0
    for _ in range(SWEEPS):
        biases, slopes = (sums.counts.transposed_times(of_users) for of_users in (user, slope))
        item = (sums.item_d - biases - sums.x * slopes) / (sums.counts.of_items + of_item)
        items, products = (sums.counts.times(of_items) for of_items in (item, item * sums.x))
        rest, rest_x = sums.d - items, sums.dx - products + of_slope * mean_slope
        before = np.stack([user, slope])
        user, slope = (squares * rest - sums.x1 * rest_x) / determinant, (ones * rest_x - sums.x1 * rest) / determinant
        mean_slope = float(slope[known].mean())
        if np.abs(np.stack([user, slope]) - before).max() <= still:
            break
    return user, item, np.where(known, slope, mean_slope)
