"""Columns that callers hand in: what is harmless is converted, and anything else is one sentence."""

import time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.arrays import as_codes, as_numbers, as_pairs, as_ratings, as_row_numbers, as_triples, require_whole_number
from recsys.errors import BadIds, BadRatings, BadSettings

CODES = [2, 0, 1]

SAME: list[Any] = [
    CODES,
    tuple(CODES),
    np.array(CODES, np.int64),
    np.array(CODES, np.uint8),
    np.array(CODES, np.float64),
    np.array([CODES]).T,
    np.array(CODES, object),
    pd.Series(CODES, index=[7, 7, 7]),
    pd.Series(CODES, dtype="Int64"),
    pd.DataFrame({"code": CODES}),
    [Decimal(code) for code in CODES],
    pd.Categorical(CODES),
    np.ma.array(CODES, mask=[False] * 3),
]


@pytest.mark.parametrize("given", SAME, ids=lambda given: type(given).__name__)
def test_whole_numbers_of_any_kind_are_codes_ratings_and_row_numbers(given: Any) -> None:
    codes, ratings, rows = as_codes(given, "user", 3), as_ratings(given), as_row_numbers(given, 3, "training")
    assert [codes.dtype, ratings.dtype] == [np.int32, np.float32]
    assert rows.dtype.kind in "iu"
    assert codes.tolist() == ratings.tolist() == rows.tolist() == CODES


def test_what_is_right_is_not_copied() -> None:
    codes, ratings = np.array(CODES, np.int32), np.array(CODES, np.float32)
    assert as_codes(codes, "user", 3) is codes
    assert as_ratings(ratings) is ratings
    assert as_numbers(ratings, "rating") is ratings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0, 3], "position 1 is 3, and codes run from 0 to 2, as there are 3 users: encode ids first"),
        ([0, -1], "position 1 is -1, and codes run from 0 to 2"),
        ([2**40], "position 0 is 1,099,511,627,776"),
        ([2**70], "position 0 is too large"),
        (np.array([0, 2**63], np.uint64), "position 1 is 9,223,372,036,854,775,808"),
        ([0.5], "position 0 is 0.5: codes are whole numbers"),
        ([0, np.nan], "position 1 is missing"),
        ([0, None], "position 1 is missing"),
        ([0, np.inf], "position 1 is inf"),
        (pd.Series([0, None], dtype="Int64"), "position 1 is missing"),
        (["u7", "u8"], "texts such as 'u7': encode ids first, as pandas.factorize"),
        ([True, False], "booleans"),
        ([[0, 1]], r"of shape \(1, 2\)"),
        ([[0], [1, 2]], "no column of numbers"),
        (0, "one value"),
        (None, "missing: give a column"),
        ("012", "of type str"),
        ({0, 1}, "of type set"),
        (np.array(["2020-01-01"], "M8[D]"), "dates"),
        (np.ma.array(CODES, mask=[True, False, False]), "masked"),
    ],
)
def test_what_are_no_codes_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(BadIds, match=said) as caught:
        as_codes(given, "user", 3)
    assert str(caught.value).count(". ") == 0


def test_ids_are_codes_once_the_advice_was_followed() -> None:
    ids = ["anna", "bert", "anna"]
    with pytest.raises(BadIds, match=r"pandas\.factorize\(ids\)\[0\]"):
        as_codes(ids, "user", 2)
    assert as_codes(pd.factorize(pd.Series(ids))[0], "user", 2).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1.0, np.nan], r"position 1 is missing \(NaN\)"),
        ([1.0, -np.inf], "position 1 is infinite"),
        ([1.0, None], "position 1 is missing"),
        ([1.0, 1e300], "in single precision at position 1 is infinite"),
        (["4", "5"], "texts such as '4'"),
        ([[1.0, 2.0]], "of shape"),
        (3.0, "one value"),
        (np.array([1j]), "complex"),
    ],
)
def test_what_are_no_ratings_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(BadRatings, match=said):
        as_ratings(given)


def test_boolean_ratings_are_0_and_1() -> None:
    assert as_ratings([True, False]).tolist() == [1, 0]


def test_a_mask_is_the_numbers_of_its_rows() -> None:
    assert as_row_numbers([True, False, True], 3, "training").tolist() == [0, 2]
    assert as_row_numbers(pd.Series([False, True], index=[5, 5]), 2, "training").tolist() == [1]
    assert as_row_numbers([], 3, "validation").tolist() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([True, False], "has 2 values for 3 ratings"),
        ([0, 3], "position 1 is 3, and row numbers run from 0 to 2"),
        ([-1], "position 0 is -1"),
        ([0.5], "position 0 is 0.5"),
        ([np.nan], "position 0 is nan"),
        (["0"], "texts"),
    ],
)
def test_what_are_no_row_numbers_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(BadRatings, match=said):
        as_row_numbers(given, 3, "training")


def test_rows_that_nobody_reads_may_hold_anything() -> None:
    used = [np.array([0, 2]), np.array([], int)]
    assert as_codes([0, -1, 1], "item", 2, used=used).tolist() == [0, -1, 1]
    assert np.isnan(as_ratings([1, np.nan, 2], used=used)[1])
    with pytest.raises(BadIds, match="position 2 is 9"):
        as_codes([0, -1, 9], "item", 2, used=used)
    with pytest.raises(BadRatings, match="position 2"):
        as_ratings([1, np.nan, np.nan], used=used)


def test_columns_of_different_lengths_are_told() -> None:
    with pytest.raises(BadIds, match="2 user codes and 1 item codes"):
        as_pairs([0, 1], [0], 2, 2)
    with pytest.raises(BadRatings, match="2 user codes, 2 item codes and 1 ratings"):
        as_triples(([0, 1], [0, 1], [3.0]), 2, 2)
    with pytest.raises(BadRatings, match="no ratings"):
        as_triples(([], [], []), 2, 2)


@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, "2", None, True, np.nan])
def test_what_is_no_number_of_things_is_told(value: Any) -> None:
    with pytest.raises(BadSettings, match=r"n is .*: give a whole number of 1 or more"):
        require_whole_number(value, "n")
    assert require_whole_number(np.int8(2), "n") == 2


def test_a_check_costs_less_than_a_shuffle() -> None:
    random = np.random.default_rng(0)
    codes, ratings = random.integers(9_000, size=4_000_000).astype(np.int32), random.random(4_000_000, np.float32)

    def seconds(call: Any) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    checked = seconds(lambda: (as_codes(codes, "user", 9_000), as_ratings(ratings)))
    assert checked < seconds(lambda: random.shuffle(np.arange(len(codes), dtype=np.int32)))
