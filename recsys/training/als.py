"""Matrix factorisation by alternating least squares, with the objective of `recsys.models.biased_mf`.

Given the items, the row (b_u, p_u) of every user solves an equation of its own, and the other way round (Zhou et al.
2008, 'Large-Scale Parallel Collaborative Filtering for the Netflix Prize', whose weighted-λ-regularisation this is):

    (Σ x x' + n Λ) θ_u = Σ x (r - μ - c_i),    x = (1, q_i),    Λ = diag(λ_b, λ_f, …, λ_f)

over the n ratings of u. It is how the Gibbs sampler draws a row, without noise, so it is the same kernel. An epoch
solves for all users and then for all items; there is no learning rate.
"""

import math
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.errors import TrainingDiverged
from recsys.memory import require_memory
from recsys.models.factors import Factors
from recsys.models.keras_predictor import FittedFactors
from recsys.models.settings import BiasedMFSettings
from recsys.models.sums import summed
from recsys.progress import Progress
from recsys.seeding import derive_seed
from recsys.training.callbacks import EarlyStopping, ProgressReporter
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.fit import Fit, FitData
from recsys.training.gibbs.kernels import Codes, Table, predict, squared_errors
from recsys.training.gibbs.rows import LANE, draw_all_rows
from recsys.training.gibbs.side_information import Ratings
from recsys.training.histories import fit_svdpp

NAME = "mf_tuned"
SIDES = ("user", "item")

INITIAL_SD = 0.12
"""Standard deviation of the items' first factors: users are solved for first. Of 0.1 to 0.3, smaller ones are better in
the first epoch alone."""

INITIAL_DAMPING = 50.0
"""Ratings of the mean that an item's first bias counts beside its own."""


def fit_mf(
    users: int,
    items: int,
    data: FitData,
    settings: BiasedMFSettings,
    seed: int,
    progress: Progress,
    checkpoint: Path | None,
) -> tuple[FittedFactors, Fit]:
    """Fit matrix factorisation by alternating least squares, or SVD++ where the settings have implicit feedback.

    It is a fit as `ModelSpec.fit` describes it.

    Raises:
        BadIds: a code is not of one of so many users and items.
        BadSettings: there are no training ratings, or `patience` without validation ratings.
        NotEnoughMemory: there is no room for it.
        TrainingDiverged: a loss became NaN or infinite.
    """
    if settings.implicit != "none":
        return fit_svdpp(users, items, data, settings, seed, progress, checkpoint)
    data.require_rows(NAME, settings.patience)
    data.require_codes(users, items)
    require_memory(
        f"Alternating least squares with {settings.embedding_size:,} factors of {users:,} users and {items:,} items",
        settings.bytes_needed(len(data.train), users, items),
    )
    training = _Training((users, items), data, settings, seed)
    fit = training.run(ProgressReporter(progress, settings.epochs, len(data.train)), checkpoint)
    return training.predictor(), fit


@dataclass
class _Side:
    """The users, or the items.

    Attributes:
        ratings: the training ratings less their mean, in the order of this side's rows.
        prior: the lower triangle of Λ.
        theta: (bias, factors, zeros) of each row, float32 of shape (rows, width) as in `kernels`.
    """

    ratings: Ratings
    prior: Table
    theta: Table

    def solve(self, other: "_Side", size: int) -> None:
        """Solve for every row, given the other side; one without ratings becomes 0."""
        design = other.theta.copy()
        design[:, 0] = 1
        rows = len(self.theta)
        draw_all_rows(
            self.ratings.start,
            self.ratings.other,
            self.ratings.rating,
            (1 / np.maximum(self.ratings.counts, 1)).astype(np.float32),
            np.ones(len(other.theta), np.float32),
            design,
            np.ascontiguousarray(other.theta[:, 0]),
            np.zeros(self.theta.shape, np.float32),
            self.prior,
            np.zeros((rows, size), np.float32),
            self.theta,
        )


@dataclass
class _Course:
    """The losses of a training so far, and the rows of users and items whose validation loss was lowest."""

    loss: list[float] = field(default_factory=list)
    validation: EarlyStopping = field(default_factory=lambda: EarlyStopping(patience=0))
    best: tuple[Table, ...] = ()


class _Training:
    """A training under way."""

    def __init__(self, sizes: tuple[int, int], data: FitData, settings: BiasedMFSettings, seed: int) -> None:
        self.data, self.settings, self.seed, self.mean = data, settings, seed, data.mean
        self.size = settings.embedding_size + 1
        width = -(-self.size // LANE) * LANE
        user, item, rating = self._deviations(data.train)
        theta = [np.zeros((rows, width), np.float32) for rows in sizes]
        random = np.random.default_rng(derive_seed(seed, "initial"))
        theta[1][:, 1 : self.size] = INITIAL_SD * random.standard_normal((sizes[1], self.size - 1), np.float32)
        biased = settings.user_bias, settings.item_bias
        self.biased = tuple(bias or not settings.embedding_size for bias in biased)  # else there is nothing to learn
        self.users = _Side(Ratings.of(sizes[0], user, item, rating)[0], self._prior(self.biased[0]), theta[0])
        self.items = _Side(Ratings.of(sizes[1], item, user, rating)[0], self._prior(self.biased[1]), theta[1])
        if self.biased[1]:
            theta[1][:, 0] = summed(item, rating, sizes[1]) / (self.items.ratings.counts + INITIAL_DAMPING)
        self.validation = self._deviations(data.validation)
        self.course = _Course(validation=EarlyStopping(settings.patience))

    def run(self, teller: ProgressReporter, folder: Path | None) -> Fit:
        keeper, course = Keeper(folder, self._mark), self.course
        if keeper.found:
            self._resume(keeper.found)
            teller.continued(NAME, keeper.found.epoch)
        while len(course.loss) < self.settings.epochs and not course.validation.exhausted():
            val_loss = self._epoch()
            teller.epoch(len(course.loss), course.loss[-1], val_loss)
            keeper.keep(self._checkpoint)
        epochs = len(course.loss)
        teller.finished(epochs, course.loss[-1])
        if course.best:
            self.users.theta, self.items.theta = course.best
        keeper.clear()
        return Fit(
            loss=course.loss,
            val_loss=course.validation.losses,
            best_epoch=course.validation.best_epoch,
            scored_epoch=course.validation.scored_epoch(epochs),
            stopped_early=epochs < self.settings.epochs,
            seconds=keeper.seconds,
            engine="als",
            device="CPU",
        )

    def predictor(self) -> FittedFactors:
        users, items = self.users.theta, self.items.theta
        factors = Factors(users[:, 1 : self.size], items[:, 1 : self.size], users[:, 0], items[:, 0], self.mean)
        learnt = sum(
            len(theta) * (self.size - (not biased)) for theta, biased in zip((users, items), self.biased, strict=True)
        )
        return FittedFactors(factors, NAME, learnt)

    def _epoch(self) -> float | None:
        """Solve for both sides once; note the losses and return that of validation."""
        self.users.solve(self.items, self.size)
        self.items.solve(self.users, self.size)
        course, ratings = self.course, self.users.ratings
        epoch = 1 + len(course.loss)
        squares = np.empty(len(ratings.rating), np.float32)
        squared_errors(ratings.start, ratings.other, ratings.rating, self.users.theta, self.items.theta, squares)
        course.loss.append(_mean(squares, epoch))
        user, item, rating = self.validation
        if not len(rating):
            return None
        predicted = np.empty(len(rating), np.float32)
        predict(user, item, self.users.theta, self.items.theta, predicted)
        val_loss = _mean(np.square(predicted - rating), epoch)
        if course.validation.better(val_loss) and self.settings.patience:
            course.best = self.users.theta.copy(), self.items.theta.copy()
        return val_loss

    def _prior(self, biased: bool) -> Table:
        """The lower triangle of Λ, in which a bias that is left out has infinite regularisation."""
        settings = self.settings
        diagonal = np.full(self.size, settings.l2_factors, np.float32)
        diagonal[0] = settings.l2_biases if biased else np.inf
        full = np.zeros((self.size, self.size), np.float32)
        np.fill_diagonal(full, diagonal)
        return full[np.tril_indices(self.size)]

    def _deviations(self, rows: npt.NDArray[np.integer]) -> tuple[Codes, Codes, Table]:
        user, item, rating = self.data.columns(rows)
        return user, item, rating - np.float32(self.mean)

    def _mark(self) -> str:
        facts = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "sizes": [len(side.theta) for side in (self.users, self.items)],
            "versions": {library: version(library) for library in ("numba", "numpy")},
        }
        return fingerprint(facts, [getattr(self.data, each.name) for each in fields(self.data)])

    def _checkpoint(self, seconds: float) -> Checkpoint:
        course = self.course
        arrays = {"user": self.users.theta, "item": self.items.theta}
        arrays |= {f"best_{name}": best for name, best in zip(SIDES, course.best, strict=False)}
        return Checkpoint(len(course.loss), course.loss, course.validation.losses, seconds, arrays)

    def _resume(self, found: Checkpoint) -> None:
        arrays = found.arrays
        self.users.theta, self.items.theta = arrays["user"], arrays["item"]
        self.course.loss, self.course.validation.losses = list(found.loss), list(found.val_loss)
        self.course.best = tuple(arrays[f"best_{name}"] for name in SIDES if f"best_{name}" in arrays)


def _mean(squares: Table, epoch: int) -> float:
    """The mean squared error, which has to be finite."""
    loss = float(squares.mean(dtype=np.float64))
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"{NAME}: the loss became {loss} in epoch {epoch}; try a larger l2_factors or l2_biases."
        )
    return loss
