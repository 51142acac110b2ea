"""Who rated what, as side information of a prior: θ ~ N(m + B'f, Λ⁻¹), f of a row being 1/sqrt(n) at its n ratings.

Simm et al. 2017, 'Macau: Scalable Bayesian Factorization with High-Dimensional Side Information Using MCMC'.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.memory import require_memory
from recsys.training.gibbs.kernels import Codes, Places, Table, gather_sums

MOST_DECOMPOSED = 2000
"""Rows of a Gram matrix that is decomposed, about 10 s of one core for so many; beyond, conjugate gradients."""

TOLERANCE, MOST_STEPS = 1e-3, 100
"""Of conjugate gradients: residuals in shares of the right-hand sides, far below the noise of a draw, and steps."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Ratings in the order of one side's rows.

    Attributes:
        start: where each row's ratings begin, int64 of shape (rows + 1,).
        other: the other side's code of each rating, shape (ratings,).
        rating: shape (ratings,).
    """

    start: Places
    other: Codes
    rating: Table

    @classmethod
    def of(cls, rows: int, row: Codes, other: Codes, rating: Table) -> "tuple[Ratings, npt.NDArray[np.int64]]":
        """Order ratings by their rows; also return the places that they had before, shape (ratings,)."""
        count = len(row)
        # SciPy sorts by counting, many times as fast as NumPy's stable sort
        by_row = sparse.csr_array((np.ones(count, bool), (row, np.arange(count, dtype=np.int32))), (rows, count))
        order, start = by_row.indices.astype(np.int64), by_row.indptr.astype(np.int64)
        return cls(start, other[order].astype(np.int32), rating[order].astype(np.float32)), order

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Ratings of each row, shape (rows,)."""
        return np.diff(self.start)


class Histories:
    """The features F of one side's rows, shape (rows, others), never written out, and equations with F'F."""

    def __init__(self, ratings: Ratings, transposed: Ratings) -> None:
        """Prepare the features of `ratings`, whose rows are the codes of `transposed`.

        Raises:
            NotEnoughMemory: there is no room for the decomposition of the smaller Gram matrix.
        """
        self.ratings, self.transposed = ratings, transposed
        counts = np.maximum(ratings.counts, 1)
        self.norm = (1 / np.sqrt(counts)).astype(np.float32)[:, None]
        self.rows, self.others = len(ratings.counts), len(transposed.counts)
        self.of_rows = self.rows < self.others
        smaller = min(self.rows, self.others)
        self.values: Doubles | None = None
        if smaller <= MOST_DECOMPOSED:
            require_memory(f"Decomposing histories of {smaller:,} rows", 4 * 8 * smaller**2)
            self.values, vectors = np.linalg.eigh(self._gram(smaller))
            self.vectors = vectors.astype(np.float32)

    @property
    def decomposed(self) -> bool:
        """Whether equations are solved by the eigenvectors of a Gram matrix, not by conjugate gradients."""
        return self.values is not None

    def times(self, table: Table) -> Table:
        """Return F table, shape (rows, columns)."""
        return self.norm * _summed(self.ratings, table)

    def transposed_times(self, table: Table) -> Table:
        """Return F' table, shape (others, columns)."""
        return _summed(self.transposed, self.norm * table)

    def solve(self, right: Table, ridge: float) -> Table:
        """Return X with (F'F + ridge I) X = right, shape (others, columns) both."""
        if self.values is None:
            return self._conjugate_gradients(right, ridge)
        damped = (np.maximum(self.values, 0) + ridge).astype(np.float32)[:, None]
        if not self.of_rows:
            return self.vectors @ ((self.vectors.T @ right) / damped)
        # Woodbury's identity: F'F has more rows than FF'
        inner = self.vectors @ ((self.vectors.T @ self.times(right)) / damped)
        return (right - self.transposed_times(inner)) / np.float32(ridge)

    def _gram(self, size: int) -> Doubles:
        found = np.empty((size, size))
        for first in range(0, size, 64):
            some = np.arange(first, min(first + 64, size))
            unit = np.zeros((size, len(some)), np.float32)
            unit[some, np.arange(len(some))] = 1
            product = (
                self.times(self.transposed_times(unit)) if self.of_rows else self.transposed_times(self.times(unit))
            )
            found[:, some] = product
        return (found + found.T) / 2

    def _conjugate_gradients(self, right: Table, ridge: float) -> Table:
        """Hestenes and Stiefel 1952, each column for itself, with the diagonal of F'F + ridge I as preconditioner."""
        damping = np.float32(ridge)
        diagonal = _summed(self.transposed, self.norm**2) + damping
        found, residual = np.zeros_like(right), right.copy()
        direction = residual / diagonal
        product = _dots(residual, direction)
        small = TOLERANCE**2 * _dots(right, right)
        for _ in range(MOST_STEPS):
            if np.all(_dots(residual, residual) <= small):
                break
            image = self.transposed_times(self.times(direction)) + damping * direction
            step = _ratio(product, _dots(direction, image))
            found += step * direction
            residual -= step * image
            preconditioned = residual / diagonal
            before, product = product, _dots(residual, preconditioned)
            direction = preconditioned + _ratio(product, before) * direction
        return found


def _dots(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> Doubles:
    """Return the dot product of each column, float64 of shape (columns,)."""
    return np.asarray(np.einsum("ri,ri->i", left, right, dtype=np.float64))


def _ratio(above: Doubles, below: Doubles) -> Table:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0).astype(np.float32)


def _summed(ratings: Ratings, table: Table) -> Table:
    """Return, for each row, the sum of the rows of `table` over its ratings, shape (rows, columns)."""
    found = np.empty((len(ratings.counts), table.shape[1]), np.float32)
    gather_sums(ratings.start, ratings.other, np.ascontiguousarray(table), found)
    return found
