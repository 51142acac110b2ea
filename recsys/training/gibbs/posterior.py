"""What is kept of a sampler's draws: their mean as a sum of few factors, and some of them as they are."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.models.bayes_mf import RANK, Draws
from recsys.models.factor_model import Factors
from recsys.training.gibbs.kernels import Table
from recsys.training.gibbs.sampler import Sampler

MOST_COLUMNS = RANK + 192
"""Columns of a sum of factors that are compressed together."""

KEPT_DRAWS, FEWEST_DRAWS = 32, 8
KEPT_BYTES = 200e6
"""Draws that are kept for predictive standard deviations, fewer where they take more memory than this."""

Tables = npt.NDArray[np.float32]

NO_WEIGHT = 1e-6
"""Eigenvalues of a Gram matrix below this share of the largest are rounding errors of float32."""


@dataclass
class Posterior:
    """The draws so far.

    Attributes:
        draws: how many of them will be added in all.
        count: how many have been.
        biases: sums of the users' and the items' biases, float64 of shape (users,) and (items,).
        factors: left and right, whose product is the sum of all P Q', float32 of shape (users, columns) and
            (items, columns).
        kept: the arrays of `Draws`, a list of one entry a draw each.
    """

    draws: int
    count: int = 0
    biases: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
    factors: tuple[Tables, Tables] | None = None
    kept: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def add(self, sampler: Sampler) -> None:
        """Add the parameters that the sampler drew last."""
        self.count += 1
        size = sampler.users.size
        tables = (sampler.users.theta, sampler.items.theta)
        biases = [table[:, 0].astype(np.float64) for table in tables]
        factors = [table[:, 1:size] for table in tables]
        if self.biases is not None and self.factors is not None:
            biases = [old + new for old, new in zip(self.biases, biases, strict=True)]
            factors = [np.concatenate(pair, axis=1) for pair in zip(self.factors, factors, strict=True)]
        self.biases = biases[0], biases[1]
        self.factors = factors[0].copy(), factors[1].copy()
        if self.factors[0].shape[1] > MOST_COLUMNS:
            self.factors = compressed(*self.factors, RANK)
        number = 4 * sum(table.shape[0] * size for table in tables)
        wanted = min(self.draws, KEPT_DRAWS, max(FEWEST_DRAWS, int(KEPT_BYTES // (number / 2))))
        if self.count * wanted // self.draws > (self.count - 1) * wanted // self.draws:
            self._keep(sampler, size)

    def mean(self, rank: int = RANK) -> Factors:
        """Return the mean of all draws, of so many factors at most, in float32."""
        assert self.biases is not None
        assert self.factors is not None, "there is a draw"
        left, right = compressed(*self.factors, rank) if self.factors[0].shape[1] > rank else self.factors
        of_users, of_items = ((bias / self.count).astype(np.float32) for bias in self.biases)
        return Factors(left / np.float32(self.count), right, of_users, of_items, 0.0)

    def some(self) -> Draws:
        """Return the draws that were kept."""
        return Draws(**{name: np.stack(arrays) for name, arrays in self.kept.items()})

    def _keep(self, sampler: Sampler, size: int) -> None:
        users, items = sampler.users, sampler.items
        arrays: dict[str, npt.NDArray[Any]] = {
            "users": users.theta[:, :size].astype(np.float16),
            "items": items.theta[:, :size].astype(np.float16),
            "user_noise": (1 / (sampler.alpha * users.noise.astype(np.float64))).astype(np.float32),
            "item_noise": 1 / items.noise,
        }
        for name, array in arrays.items():
            self.kept.setdefault(name, []).append(array)


def compressed(left: Table, right: Table, rank: int) -> tuple[Table, Table]:
    """Return factors whose product is the best approximation of left right' by so many, shape (rows, rank) each.

    By the singular values of what is between orthonormal bases of both (Golub and Van Loan 2013, 'Matrix
    Computations', section 2.4 for the optimum).
    """
    of_left, left_rest = _orthonormal(left)
    of_right, right_rest = _orthonormal(right)
    before, values, after = np.linalg.svd(left_rest @ right_rest.T)
    rank = min(rank, len(values))
    root = np.sqrt(values[:rank])
    return (
        left @ (of_left @ (before[:, :rank] * root)).astype(np.float32),
        right @ (of_right @ (after[:rank].T * root)).astype(np.float32),
    )


def _orthonormal(table: Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return X and R with table = (table X) R and table X orthonormal, up to directions without any weight.

    From the eigenvectors of the Gram matrix, as a table has many more rows than columns.
    """
    values, vectors = np.linalg.eigh((table.T @ table).astype(np.float64))
    able = values > NO_WEIGHT * values[-1]
    root, vectors = np.sqrt(values[able]), vectors[:, able]
    return vectors / root, root[:, None] * vectors.T
