"""What is kept of a sampler's draws: their mean as a sum of few factors, and some of them as they are."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.models.bayes_mf import RANK, Draws
from recsys.models.factors import Factors
from recsys.training.gibbs.kernels import Table
from recsys.training.gibbs.sampler import Sampler

ADDED_COLUMNS = 192
"""Columns of new draws beside those of their sum so far, before all are compressed."""

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
        size: factors of a draw.
        count: how many have been.
        biases: sums of the users' and the items' biases, float64 of shape (users,) and (items,).
        tables: of users and items, whose first `columns` are factors with the product Σ P Q' over the draws, float32.
        columns: how many these are.
        kept: the arrays of `Draws`, a list of one entry a draw each.
    """

    draws: int
    size: int
    count: int = 0
    biases: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
    tables: tuple[Tables, Tables] | None = None
    columns: int = 0
    kept: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def add(self, sampler: Sampler) -> None:
        """Add the parameters that the sampler drew last."""
        self.count += 1
        size = sampler.users.size
        drawn = (sampler.users.theta, sampler.items.theta)
        biases = [table[:, 0].astype(np.float64) for table in drawn]
        if self.biases is not None:
            biases = [old + new for old, new in zip(self.biases, biases, strict=True)]
        self.biases = biases[0], biases[1]
        self._append(drawn[0][:, 1:size], drawn[1][:, 1:size])
        number = 4 * sum(table.shape[0] * size for table in drawn)
        wanted = min(self.draws, KEPT_DRAWS, max(FEWEST_DRAWS, int(KEPT_BYTES // (number / 2))))
        if self.count * wanted // self.draws > (self.count - 1) * wanted // self.draws:
            self._keep(sampler, size)

    def mean(self, rank: int = RANK) -> Factors:
        """Return the mean of all draws, of so many factors at most, in float32."""
        assert self.biases is not None, "there is a draw"
        left, right = compressed(*self.factors, rank) if self.columns > rank else self.factors
        of_users, of_items = ((bias / self.count).astype(np.float32) for bias in self.biases)
        return Factors(left / np.float32(self.count), right, of_users, of_items, 0.0)

    @property
    def factors(self) -> tuple[Tables, Tables]:
        """Left and right factors of the sum of all P Q', shape (users, columns) and (items, columns)."""
        assert self.tables is not None, "there is a draw"
        return self.tables[0][:, : self.columns], self.tables[1][:, : self.columns]

    @factors.setter
    def factors(self, factors: tuple[Tables, Tables]) -> None:
        self.columns = 0
        self._append(*factors)

    def _append(self, left: Tables, right: Tables) -> None:
        added, most = left.shape[1], max(RANK, self.size) + max(ADDED_COLUMNS, self.size)
        if self.tables is None:
            self.tables = np.empty((len(left), most), np.float32, "F"), np.empty((len(right), most), np.float32, "F")
        elif self.columns + added > most:
            self.factors = compressed(*self.factors, RANK)
        for table, new in zip(self.tables, (left, right), strict=True):
            table[:, self.columns : self.columns + added] = new
        self.columns += added

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
