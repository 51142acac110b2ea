"""Rows by their pair of user and item."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.draw import folds_of, hold_out
from recsys.data.pairs import in_order, pairs_of

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def columns(pairs: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    return user, item


@given(rated=PAIRS)
def test_rows_of_a_pair_are_side_by_side_and_ascending(rated: list[tuple[int, int]]) -> None:
    pairs = pairs_of(*columns(rated))
    if len({*rated}) == len(rated):
        assert pairs is None
        return
    assert pairs is not None
    found = [part.tolist() for part in np.split(pairs.rows, pairs.starts[1:])]
    assert found == [[row for row, other in enumerate(rated) if other == pair] for pair in sorted({*rated})]
    assert pairs.sizes.tolist() == list(map(len, found))
    some = np.arange(0, len(found), 2)
    assert pairs.rows_of(some).tolist() == sorted(row for number in some for row in found[number])


@pytest.mark.parametrize("span", [3, 2**31, 2**62, 2**63 - 1], ids=["many equal", "seconds", "no room", "all"])
def test_rows_are_in_the_order_of_a_stable_sort(span: int) -> None:
    keys = np.random.default_rng(1).integers(-span, span, size=3000)
    assert in_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
    assert in_order(keys[:0]).tolist() == []


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_pairs_are_held_out_up_to_the_share_of_their_rows(share: float) -> None:
    user = np.repeat(np.arange(2000), np.minimum(np.random.default_rng(2).zipf(2, 2000), 100))
    pairs = pairs_of(user, user * 0)
    assert pairs is not None
    every = np.arange(len(pairs.starts))
    kept, held_out = hold_out(pairs, every, share, seed=3)
    assert sorted([*kept, *held_out]) == every.tolist()
    assert pairs.sizes[held_out].sum() == np.ceil(share * len(user))
    assert {*hold_out(pairs, every, share, seed=4)[1]} != {*held_out}


def test_a_pair_that_is_larger_than_the_part_is_passed_over_and_the_smallest_is_held_out_where_none_fits() -> None:
    for seed in range(20):
        pairs = pairs_of(np.repeat(np.arange(11), [90, *[1] * 10]), np.zeros(100, int))
        assert pairs is not None
        assert 0 not in hold_out(pairs, np.arange(11), 0.2, seed)[1]
        pairs = pairs_of(np.repeat(np.arange(3), [5, 4, 5]), np.zeros(14, int))
        assert pairs is not None
        assert hold_out(pairs, np.arange(3), 0.1, seed)[1].tolist() == [1]


@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=60), folds=st.integers(2, 6))
def test_folds_are_dealt_like_cards_the_largest_pairs_first(sizes: list[int], folds: int) -> None:
    pairs = pairs_of(np.repeat(np.arange(len(sizes) + 1), [*sizes, 31]), np.zeros(sum(sizes) + 31, int))
    assert pairs is not None
    found = folds_of(pairs, folds, seed=1)
    rows = [0] * folds
    for size in sorted([*sizes, 31], reverse=True):
        rows[rows.index(min(rows))] += size
    assert np.bincount(found, weights=[*sizes, 31], minlength=folds).tolist() == rows
    assert folds_of(pairs, folds, seed=1).tolist() == found.tolist()


def test_another_seed_deals_other_folds_of_as_many_rows() -> None:
    pairs = pairs_of(np.repeat(np.arange(101), [200, *[1] * 100]), np.zeros(300, int))
    assert pairs is not None
    one, other = (folds_of(pairs, 5, seed) for seed in (1, 2))
    assert one.tolist() != other.tolist()
    for folds in (one, other):
        assert sorted(np.bincount(folds, weights=pairs.sizes).tolist()) == [25, 25, 25, 25, 200]
