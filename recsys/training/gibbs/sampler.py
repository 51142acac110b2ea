"""Bayesian matrix factorisation with side information, by Gibbs sampling.

    r = μ + b_u + c_i + p_u · q_i + ε,    ε ~ N(0, 1 / (α a_u d_i)),    θ_u = (b_u, p_u) ~ N(m + B'f_u, Λ⁻¹)

and the same for items (Salakhutdinov and Mnih 2008, 'Bayesian Probabilistic Matrix Factorization Using Markov Chain
Monte Carlo'; for B, Macau, see `side_information`; Rendle, Zhang and Koren 2019, 'On the Difficulty of Evaluating
Baselines', for what such a sampler reaches). a_u and d_i are precisions of each user's and item's own noise.

Random numbers of a sweep are drawn from the seed and the sweep's number, so that a sampler that goes on from a
checkpoint, or works in another thread, draws the same.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recsys.models.settings import BayesMFSettings
from recsys.training.gibbs.kernels import (
    Codes,
    Table,
    multiply,
    predict,
    scatter,
    squared_errors,
    weighted_sums,
)
from recsys.training.gibbs.rows import LANE, draw_all_rows
from recsys.training.gibbs.side_information import Doubles, Histories, Ratings

INITIAL_SD = 0.1
INITIAL_PRECISION = 5.0
INITIAL_NOISE_PRECISION = 1.5
INITIAL_RIDGE = 10.0
OWN_NOISE_RATINGS = 10.0
"""How strongly the noise of a user or item is drawn to the common one, in ratings."""

FIRST_SIDE_SWEEP = 7
"""The sweep from which side information counts; before, there is nothing to learn from."""

LINK_EVERY, LINK_SELDOM = 2, 4
"""Sweeps from one draw of B to the next, where the equations are solved by a decomposition and where by conjugate
gradients. A draw of B costs more than all others together; on validation ratings of three splits, draws of every third
sweep led, for the same seconds, to the same error."""


@dataclass
class Side:
    """The parameters of the users, or of the items. Tables are float32, of shape (rows, width) as in `kernels`.

    Attributes:
        ratings: the training ratings in the order of this side's rows.
        histories: its side information, None where it has none.
        theta: (bias, factors, zeros) of each row.
        noise: a_u or d_i, float32 of shape (rows,).
        mean: m, shape (size,).
        precision: Λ, shape (size, size).
        offset: B'f of each row.
        link: B, a table of the other side's rows, None before the first.
        ridge: λ, the precision of B beside Λ.
    """

    ratings: Ratings
    histories: Histories | None
    theta: Table
    noise: Table
    mean: Doubles
    precision: Doubles
    offset: Table
    link: Table | None = None
    ridge: float = INITIAL_RIDGE

    @property
    def size(self) -> int:
        """Numbers of each row: the bias and the factors."""
        return len(self.mean)

    def draw_rows(self, other: "Side", alpha: float, normal: Table) -> None:
        """Draw θ of every row, given the other side and standard normal numbers, shape (rows, size)."""
        triangle = np.tril_indices(self.size)
        design = other.theta.copy()
        design[:, 0] = 1
        means = self._padded(self.mean)[None] if self.histories is None else self.offset + self._padded(self.mean)
        pull = _times(means, self._padded(self.precision))
        draw_all_rows(
            self.ratings.start,
            self.ratings.other,
            self.ratings.rating,
            np.float32(alpha) * self.noise,
            other.noise,
            design,
            np.ascontiguousarray(other.theta[:, 0]),
            np.repeat(pull, len(self.theta), axis=0) if self.histories is None else pull,
            self.precision[triangle].astype(np.float32),
            normal,
            self.theta,
        )

    def draw_prior(self, random: np.random.Generator) -> None:
        """Draw Λ and m, given θ and B."""
        rows, size = len(self.theta), self.size
        own = self.theta - self.offset
        average = own[:, :size].mean(axis=0, dtype=np.float64)
        scale = np.eye(size) + scatter(own)[:size, :size] - rows**2 / (rows + 1) * np.outer(average, average)
        freedom = size + 1 + rows
        if self.link is not None:
            scale += self.ridge * scatter(self.link)[:size, :size]
            freedom += len(self.link)
        self.precision = _wishart(scale, freedom, random)
        deviation = random.standard_normal(size) @ _root_of_inverse(self.precision)
        self.mean = (rows * average + np.sqrt(rows + 1) * deviation) / (rows + 1)

    def draw_link(self, histories: Histories, random: np.random.Generator) -> None:
        """Draw B and its ridge, given θ, m and Λ."""
        size, features = self.size, histories.others
        target = self.theta - self._padded(self.mean) + self._normal(len(self.theta), random)
        right = histories.transposed_times(target)
        right += np.float32(np.sqrt(self.ridge)) * self._normal(features, random)
        self.link = histories.solve(right, self.ridge)
        spread = float(np.einsum("ij,ij->", scatter(self.link)[:size, :size], self.precision))
        self.ridge = float(random.gamma((features * size + 1) / 2, 2 / (spread + 1)))
        self.offset = histories.times(self.link)

    def _normal(self, rows: int, random: np.random.Generator) -> Table:
        """Draw a table from N(0, Λ⁻¹)."""
        drawn = random.standard_normal((rows, self.size), np.float32)
        return _times(drawn, self._padded(_root_of_inverse(self.precision))[: self.size])

    def _padded(self, array: Doubles) -> Table:
        """Return a vector or matrix with zeros up to the width of the tables."""
        width = self.theta.shape[1]
        found = np.zeros((width,) * array.ndim, np.float32)
        found[(slice(self.size),) * array.ndim] = array
        return found


@dataclass
class Sampler:
    """A chain of draws of all parameters.

    `order` leads from places in the order of the users to those in the order of the items, int64 of shape (ratings,).
    The normal numbers of the next sweep are drawn in a thread while this one draws the priors and the noise.
    """

    settings: BayesMFSettings
    seed: int
    users: Side
    items: Side
    order: npt.NDArray[np.int64]
    alpha: float = INITIAL_NOISE_PRECISION
    sweeps: int = 0
    loss: float = field(default=float("nan"))
    _ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)
    _next: "Future[tuple[np.random.Generator, list[Table]]] | None" = None

    @classmethod
    def begin(
        cls, sizes: tuple[int, int], rows: tuple[Codes, Codes, Table], settings: BayesMFSettings, seed: int
    ) -> "Sampler":
        """Return a chain before its first sweep.

        Args:
            sizes: numbers of user and item codes.
            rows: user codes, item codes and ratings of the training rows, shape (rows,) each, the ratings
                standardised.
        """
        user, item, rating = rows
        by_user, of_users = Ratings.of(sizes[0], user, item, rating)
        by_item, of_items = Ratings.of(sizes[1], item, user, rating)
        place = np.empty(len(user), np.int64)
        place[of_users] = np.arange(len(user))
        random = np.random.default_rng([seed, 0])
        size = settings.embedding_size + 1
        width = -(-size // LANE) * LANE

        def side(ratings: Ratings, transposed: Ratings, reads: bool) -> Side:
            theta = np.zeros((len(ratings.counts), width), np.float32)
            theta[:, 1:size] = INITIAL_SD * random.standard_normal((len(theta), size - 1), np.float32)
            histories = Histories(ratings, transposed) if reads else None
            noise = np.ones(len(theta), np.float32)
            return Side(ratings, histories, theta, noise, np.zeros(size), INITIAL_PRECISION * np.eye(size), 0 * theta)

        users = side(by_user, by_item, settings.histories in ("user", "both"))
        items = side(by_item, by_user, settings.histories in ("item", "both"))
        return cls(settings, seed, users, items, place[of_items])

    def sweep(self) -> None:
        """Draw every parameter once; `loss` is then the mean squared error of this draw on the training ratings."""
        self.sweeps += 1
        drawn, self._next = self._next, None
        random, (of_users, of_items) = drawn.result() if drawn else self._normal_numbers(self.sweeps)
        self.users.draw_rows(self.items, self.alpha, of_users)
        self.items.draw_rows(self.users, self.alpha, of_items)
        if self.sweeps < self.settings.epochs:
            self._next = self._ahead.submit(self._normal_numbers, self.sweeps + 1)
        for side in (self.users, self.items):
            side.draw_prior(random)
            if side.histories and self.sweeps >= FIRST_SIDE_SWEEP:
                every = LINK_EVERY if side.histories.decomposed else LINK_SELDOM
                if (self.sweeps - FIRST_SIDE_SWEEP) % every == 0:
                    side.draw_link(side.histories, random)
        self._draw_noise(random)

    def _normal_numbers(self, sweep: int) -> tuple[np.random.Generator, list[Table]]:
        """Return those of the users' and the items' rows in a sweep, and the generator of what it draws after them."""
        random = np.random.default_rng([self.seed, sweep])
        sides = (self.users, self.items)
        return random, [random.standard_normal((len(side.theta), side.size), np.float32) for side in sides]

    def predict(self, user: Codes, item: Codes) -> Table:
        """Return the predictions of this draw, shape (pairs,)."""
        found = np.empty(len(user), np.float32)
        predict(user, item, self.users.theta, self.items.theta, found)
        return found

    def _draw_noise(self, random: np.random.Generator) -> None:
        users, items = self.users, self.items
        errors = np.empty(len(users.ratings.rating), np.float32)
        of_users = users.ratings
        squared_errors(of_users.start, of_users.other, of_users.rating, users.theta, items.theta, errors)
        self.loss = float(errors.mean(dtype=np.float64))
        sums = np.empty(len(users.theta), np.float32)
        weighted_sums(of_users.start, of_users.other, items.noise, errors, sums)
        total = float(np.einsum("i,i->", sums.astype(np.float64), users.noise.astype(np.float64)))
        self.alpha = float(random.gamma(1 + len(errors) / 2, 1 / (1 + total / 2)))
        if self.settings.user_noise:
            users.noise = _own_noise(of_users, self.alpha * sums, random)
        if self.settings.item_noise:
            of_items = items.ratings
            sums = np.empty(len(items.theta), np.float32)
            weighted_sums(of_items.start, of_items.other, users.noise, errors[self.order], sums)
            items.noise = _own_noise(of_items, self.alpha * sums, random)


def _own_noise(ratings: Ratings, errors: Table, random: np.random.Generator) -> Table:
    shape = (OWN_NOISE_RATINGS + ratings.counts) / 2
    rate = (OWN_NOISE_RATINGS + errors.astype(np.float64)) / 2
    return (random.standard_gamma(shape) / rate).astype(np.float32)


def _wishart(scale: Doubles, freedom: int, random: np.random.Generator) -> Doubles:
    """Draw from Wishart(scale⁻¹, freedom), shape (size, size), by Bartlett's decomposition."""
    size = len(scale)
    lower = np.linalg.cholesky(np.linalg.inv(scale))
    factor = np.tril(random.standard_normal((size, size)), -1)
    factor[np.diag_indices(size)] = np.sqrt(random.chisquare(freedom - np.arange(size)))
    root = lower @ factor
    return root @ root.T


def _root_of_inverse(precision: Doubles) -> Doubles:
    """Return R with R'R = precision⁻¹, shape (size, size): standard normal rows times it are N(0, precision⁻¹)."""
    return np.linalg.inv(np.linalg.cholesky(precision))


def _times(table: Table, matrix: Table) -> Table:
    found = np.empty((len(table), matrix.shape[1]), np.float32)
    multiply(table, matrix, found)
    return found
