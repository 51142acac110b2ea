"""Sums over ratings are those of NumPy and SciPy, to the last bit."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import sparse

from recsys.models.sums import PairCounts, RatingSums, counted, summed

USERS, ITEMS = 30, 50


class Made(NamedTuple):
    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray


@pytest.fixture(params=["once", "repeated"])
def made(request: pytest.FixtureRequest) -> Made:
    """Ratings in no order; the last user, the last item and one in between have none."""
    random = np.random.default_rng(1)
    pairs = random.permutation((USERS - 1) * (ITEMS - 1))[:600]
    if request.param == "repeated":
        pairs[300:] = random.choice(pairs[:20], 300)
    user, item = (codes.astype(np.int32) for codes in np.divmod(pairs, ITEMS - 1))
    user[user == 7] = 8 if request.param == "repeated" else 7
    return Made(user, item, random.normal(3, 1, 600).astype(np.float32))


def test_products_are_those_of_a_matrix_of_counts(made: Made) -> None:
    counts = PairCounts.of([made], USERS, ITEMS)
    ones = np.ones(600, np.float32)
    matrix = sparse.csr_array((ones, (made.user, made.item)), shape=(USERS, ITEMS)).astype(np.float64)
    random = np.random.default_rng(2)
    of_items, of_users = random.normal(size=ITEMS), random.normal(size=USERS)
    assert np.array_equal(counts.times(of_items), matrix @ of_items)
    assert np.array_equal(counts.transposed_times(of_users), matrix.T @ of_users)
    assert np.array_equal(counts.of_users, matrix.sum(axis=1))
    assert np.array_equal(counts.of_items, matrix.sum(axis=0))


def test_values_are_kept_only_of_repeated_pairs(made: Made) -> None:
    counts = PairCounts.of([made], USERS, ITEMS)
    pairs = len(np.unique(made.user.astype(np.int64) * ITEMS + made.item))
    assert len(counts.item) == counts.start[-1] == pairs
    assert len(counts.count) == (0 if pairs == 600 else pairs)


def test_every_pair_that_is_rated_is_found_and_no_other(made: Made) -> None:
    counts = PairCounts.of([made], USERS, ITEMS)
    user, item = (codes.astype(np.int32) for codes in np.divmod(np.arange(USERS * ITEMS), ITEMS))
    rated = {*zip(made.user.tolist(), made.item.tolist(), strict=True)}
    expected = [pair in rated for pair in zip(user.tolist(), item.tolist(), strict=True)]
    assert counts.has(user, item).tolist() == expected
    assert counts.has(user[:0], item[:0]).tolist() == []
    nothing = PairCounts.of([(made.user[:0], made.item[:0])], USERS, ITEMS)
    assert not nothing.has(user, item).any()


def test_sums_are_those_of_numpy(made: Made) -> None:
    x = np.random.default_rng(3).normal(size=ITEMS)
    assert np.array_equal(counted(made.item, ITEMS), np.bincount(made.item, minlength=ITEMS))
    assert np.array_equal(summed(made.user, made.rating, USERS), np.bincount(made.user, made.rating, USERS))
    expected = np.bincount(made.user, x[made.item] * made.rating, USERS)
    sums = RatingSums.of(made, USERS, ITEMS)
    assert np.array_equal(sums.user_products(x), expected)
    assert (sums.mean, sums.lowest, sums.highest) == (
        made.rating.mean(dtype=np.float64),
        made.rating.min(),
        made.rating.max(),
    )
    assert sums.variance == pytest.approx(made.rating.var(dtype=np.float64), rel=1e-12)
