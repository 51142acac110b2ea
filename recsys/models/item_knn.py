"""Neighbours of items: what users gave to similar items, on top of the biases."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.arrays import as_pairs, as_triples
from recsys.models.baselines import Baseline, Codes, Floats, Rows

Candidate = tuple[int, float]
"""How many neighbours, and the shrinkage of their similarities."""

Places = npt.NDArray[np.int64]

NEIGHBOURS = (20, 40, 80)
SHRINKAGES = (50.0, 100.0, 200.0, 400.0)
"""Numbers of neighbours, and shrinkages in common raters, that item_knn chooses from."""

MOST_STEPS = 500_000_000
"""What is fitted and predicted within about a minute on one core; see `steps`."""

MOST_RATINGS = 5_000_000
"""Training ratings that fit into 1 GB, at some 60 bytes each beside the blocks."""

BLOCK_CELLS = 1_000_000
"""Pairs of items, or of a row and a neighbour, that a thread holds at once: some 75 MB."""

THREADS = 2
"""Blocks that are worked on at once, which changes no number."""

PLACE_BITS, DISTANCES = 16, 2**24 - 1
ROW_SHIFT = PLACE_BITS + 24
"""A neighbour as 63 bits: its row, 1 - similarity in steps of 6e-8, its place within the row."""


@dataclass(frozen=True)
class ItemKNN:
    """A rating's bias, and the similar items' mean deviation from theirs.

    prediction(u, i) = b_ui + sum_j s_ij (r_uj - b_uj) / sum_j s_ij, over the `neighbours` items j that
    the user has rated and that are most similar to i; the lower code of equals. Similarity s_ij is the
    Pearson correlation of the residuals r - b of the users who rated both, shrunk by
    (n_ij - 1) / (n_ij - 1 + `shrinkage`) where n_ij is their number (Koren 2010, 'Factor in the
    Neighbors', section 2.2). As with the `pearson_baseline` of Surprise, the residuals are not
    centred again. Only positive similarities count; without any the prediction is b_ui.

    Where a pair of user and item was rated repeatedly, its residual is the mean, and the item is its own
    neighbour when the pair is to be predicted again.

    `residuals`, float64 of shape (users, items), are the r - b of the training ratings; 0 `neighbours` leave the biases
    alone. `parameters` counts the ratings that are kept, and `seconds` the fit, that of the biases included.
    """

    biases: Baseline
    residuals: sparse.csr_array
    neighbours: int
    shrinkage: float
    parameters: int
    seconds: float

    def predict(self, user: Codes, item: Codes) -> Floats:
        """Return the predicted ratings, shape (rows,), of users and items, int32 codes of shape (rows,).

        Raises:
            BadIds: there is no such code.
        """
        user, item = as_pairs(user, item, *self.residuals.shape)
        [found] = corrections(self.residuals, user, item, [(self.neighbours, self.shrinkage)])
        return self.biases.predict(user, item) + found

    def save(self, path: Path) -> None:
        """Write all but the biases to `path` (.npz)."""
        names = ("neighbours", "shrinkage", "parameters", "seconds")
        matrix = {name: getattr(self.residuals, name) for name in ("data", "indices", "indptr", "shape")}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **matrix, **{name: np.array(getattr(self, name)) for name in names})

    def refitted(self, train: Rows, biases: Baseline) -> "ItemKNN":
        """Return the same choice with other training ratings, (user codes, item codes, ratings), and their biases."""
        start = time.perf_counter()
        residuals = residual_matrix(train, biases)
        seconds = self.seconds + biases.seconds + time.perf_counter() - start
        return ItemKNN(biases, residuals, self.neighbours, self.shrinkage, residuals.nnz, seconds)


def load(path: Path, biases: Baseline) -> ItemKNN:
    """Read what `ItemKNN.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        matrix = (arrays["data"], arrays["indices"], arrays["indptr"])
        residuals = sparse.csr_array(matrix, shape=tuple(arrays["shape"]))
        neighbours, parameters = int(arrays["neighbours"]), int(arrays["parameters"])
        return ItemKNN(biases, residuals, neighbours, float(arrays["shrinkage"]), parameters, float(arrays["seconds"]))


def steps(fitted: Floats, predicted: Floats, items: int) -> int:
    """Estimate the work of fitting and predicting, before any of it is done.

    That is the pairs of training ratings of one user, which the similarities are summed over, the
    neighbours that predicted rows have to choose from, and the pairs of items.

    `fitted` and `predicted` are numbers of training ratings, and of rows to be predicted, of each user, shape (users,).
    """
    return int(fitted @ (fitted + predicted)) + items**2


def too_large(fitted: Floats, predicted: Floats, items: int) -> str:
    """Say why these ratings (see `steps`) are too many for about a minute and 1 GB; empty where they are not."""
    rows = int(fitted.sum())
    if rows > MOST_RATINGS:
        return f"it keeps all training ratings, and {rows:,} are more than the {MOST_RATINGS:,} it is run for"
    work = steps(fitted, predicted, items)
    if work <= MOST_STEPS:
        return ""
    return (
        f"comparing {items:,} items by their common raters takes some {work / 1e6:,.0f} million steps, more than the "
        f"{MOST_STEPS / 1e6:,.0f} million it is run for"
    )


def fit_item_knn(train: Rows, validation: Rows, biases: Baseline) -> tuple[ItemKNN, Floats]:
    """Choose the number of neighbours and the shrinkage of lowest validation error.

    `biases` are fitted on `train`, in which no row of `validation`, which chooses, may be: it would be its own best
    neighbour. Returns the choice, and what it predicts of the validation rows, shape (rows,).

    Raises:
        BadIds: a code is of none of so many users and items.
        BadRatings: there are no ratings, or one is no finite number.
    """
    start = time.perf_counter()
    sizes = len(biases.user), len(biases.item)
    train, (user, item, rating) = as_triples(train, *sizes), as_triples(validation, *sizes)
    residuals = residual_matrix(train, biases)
    bias = biases.predict(user, item)
    candidates = list(product(NEIGHBOURS, SHRINKAGES))
    found = corrections(residuals, user, item, candidates)
    best = int(np.argmin([float(np.mean((rating - bias - correction) ** 2)) for correction in found]))
    neighbours, shrinkage = candidates[best]
    seconds = biases.seconds + time.perf_counter() - start
    return ItemKNN(biases, residuals, neighbours, shrinkage, residuals.nnz, seconds), bias + found[best]


def residual_matrix(train: Rows, biases: Baseline) -> sparse.csr_array:
    """Return r - b as float64, shape (users, items), the mean of repeated pairs, zeros stored."""
    user, item, rating = train
    shape = (len(biases.user), len(biases.item))
    sums = sparse.csr_array((rating - biases.predict(user, item), (user, item)), shape=shape)
    counts = sparse.csr_array((np.ones(len(user)), (user, item)), shape=shape)
    sums.data /= counts.data
    return sums


def corrections(
    residuals: sparse.csr_array,
    user: Codes,
    item: Codes,
    candidates: Sequence[Candidate],
    block_cells: int = BLOCK_CELLS,
) -> list[Floats]:
    """Return the neighbours' part of the prediction, float64 of shape (rows,), for each candidate.

    `block_cells`, at most 2**22, are the pairs that a thread holds at once, which changes no number.

    Raises:
        ValueError: more than 65,536 items.
    """
    if residuals.shape[1] > 1 << PLACE_BITS:
        raise ValueError(f"{residuals.shape[1]:,} items are more than {1 << PLACE_BITS:,}")
    found = [np.zeros(len(user)) for _ in candidates]
    most = max(neighbours for neighbours, _ in candidates)
    compared = _Compared.by_raters(residuals)

    def correct(block: Places) -> None:
        for near in _nearby(compared, user, item, block, block_cells):
            first = np.searchsorted(near.row, np.arange(len(near.rows)))
            place = np.arange(len(near.row)) - first[near.row]
            row, rank = near.row[place < most], place[place < most]
            for shrinkage in {shrinkage for _, shrinkage in candidates}:
                similarity = near.correlation * (near.common - 1) / (near.common - 1 + shrinkage)
                nearest = first[row] + _by_similarity(near.row, similarity, place)[place < most]
                weight, residual = similarity[nearest], near.residual[nearest]
                for correction, (neighbours, shrunk_by) in zip(found, candidates, strict=True):
                    if shrunk_by == shrinkage:
                        used = rank < neighbours
                        correction[near.rows] = _means(row[used], weight[used], residual[used], len(near.rows))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(correct, _blocks(residuals, user, item, block_cells)))
    return found


def _by_similarity(row: Places, similarity: Floats, place: Places) -> Places:
    """Return the places within their rows, by falling similarity.

    One sort of packed integers spares most of the time of `lexsort`. Similarities that differ by less than
    some 6e-8 may count as equal: the lower place comes first.
    """
    distance = np.rint((1 - np.minimum(similarity, 1)) * DISTANCES).astype(np.int64)
    key = (row << ROW_SHIFT) | (distance << PLACE_BITS) | place
    key.sort()
    places: Places = key & ((1 << PLACE_BITS) - 1)
    return places


class _Nearby(NamedTuple):
    """Rows to be predicted, and the items that their users have rated and that correlate positively.

    `row` (place in `rows`, ascending), `correlation`, `common` raters and the user's `residual` have one
    entry a neighbour, by ascending code of the neighbour within a row.
    """

    rows: Places
    row: Places
    correlation: Floats
    common: Floats
    residual: Floats


class _Compared(NamedTuple):
    """What items are compared by: sparse matrices of one pattern, shape (users, items), and their transposes.

    `residuals`, 1 where there is one (`rated`), and their squares.
    """

    residuals: sparse.csr_array
    rated: sparse.csr_array
    squares: sparse.csr_array
    residuals_by: sparse.csr_array
    rated_by: sparse.csr_array
    squares_by: sparse.csr_array

    @classmethod
    def by_raters(cls, residuals: sparse.csr_array) -> "_Compared":
        return cls(
            *(
                sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
                for matrix in (residuals, residuals.T.tocsr())
                for data in (matrix.data, np.ones(matrix.nnz), matrix.data**2)
            )
        )

    def with_all(self, some: npt.NDArray[np.integer]) -> tuple[Floats, Floats, Floats, Floats]:
        """Return sums over the raters that some items share with each item, of shape (some x items,) each.

        Their number, the products of the residuals, the squares of some and the squares of each.
        """
        common = (self.rated_by[some] @ self.rated).toarray().ravel()
        covariance = (self.residuals_by[some] @ self.residuals).toarray().ravel()
        own = (self.squares_by[some] @ self.rated).toarray().ravel()
        others = (self.rated_by[some] @ self.squares).toarray().ravel()
        return common, covariance, own, others


def _blocks(residuals: sparse.csr_array, user: Codes, item: Codes, block_cells: int) -> list[Places]:
    """Return the rows whose users have rated anything, by item, in blocks of so many items that their pairs fit."""
    known = np.flatnonzero(np.diff(residuals.indptr)[user])
    by_item = known[np.argsort(item[known], kind="stable")]
    _, firsts = np.unique(item[by_item], return_index=True)
    cuts = firsts[:: max(1, block_cells // residuals.shape[1])][1:]
    return np.split(by_item, cuts) if len(by_item) else []


def _nearby(compared: _Compared, user: Codes, item: Codes, block: Places, block_cells: int) -> Iterator[_Nearby]:
    residuals = compared.residuals
    some = np.unique(item[block])
    common, covariance, own, others = compared.with_all(some)
    lengths = np.diff(residuals.indptr)[user[block]].astype(np.int64)
    for part in _parts(lengths, block_cells):
        rows, length = block[part], lengths[part]
        row = np.repeat(np.arange(len(rows)), length)
        offset = residuals.indptr[user[rows]] - (np.cumsum(length) - length)
        place = np.arange(len(row)) + offset[row]
        pair = (np.searchsorted(some, item[rows]) * residuals.shape[1])[row] + residuals.indices[place]
        # a single common rater says nothing: the shrunk similarity is 0
        near = np.flatnonzero((covariance[pair] > 0) & (common[pair] > 1))
        pair = pair[near]
        correlation = covariance[pair] / (np.sqrt(own[pair]) * np.sqrt(others[pair]))
        yield _Nearby(rows, row[near], correlation, common[pair], residuals.data[place[near]])


def _parts(lengths: npt.NDArray[np.integer], most: int) -> Iterator[slice]:
    """Cut rows into slices of at most about `most` neighbours, one row at least."""
    total = np.cumsum(lengths, dtype=np.int64)
    cuts = np.searchsorted(total, np.arange(most, int(total[-1]), most), side="left") + 1
    for first, last in pairwise(np.unique([0, *cuts, len(lengths)]).tolist()):
        yield slice(first, last)


def _means(row: Places, weight: Floats, value: Floats, rows: int) -> Floats:
    weights = np.bincount(row, weight, minlength=rows)
    sums = np.bincount(row, weight * value, minlength=rows)
    means: Floats = np.divide(sums, weights, out=np.zeros(rows), where=weights > 0)
    return means
