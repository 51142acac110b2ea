from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, RatingCount
from recsys.report.sections.data import data_facts, histogram
from recsys.report.svg import style

Build = Callable[..., Comparison]


def with_data(comparison: Comparison, **changes: Any) -> Comparison:
    return comparison.model_copy(update={"data": comparison.data.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([], "none"),
        (["a"], "a"),
        (["", ""], "(no name), (no name)"),
        ([f"c{number}" for number in range(500)], "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 and 488 more"),
    ],
)
def test_columns_not_used_are_listed_whatever_they_are_called(with_mse: Build, columns: list[str], said: str) -> None:
    assert dict(data_facts(with_data(with_mse(mf=0.8), ignored_columns=columns)))["Columns not used"] == said


@pytest.mark.parametrize(
    ("repeated", "duplicates", "said"),
    [
        (0, "keep", "none"),
        (2_278, "keep", "2,278 ratings repeat an earlier pair of user and item; all are kept"),
        (1, "last", "1 rating repeats an earlier pair of user and item; the last of each pair is used"),
        (2, "mean", "2 ratings repeat an earlier pair of user and item; the mean of each pair is used"),
    ],
)
def test_what_became_of_repeated_pairs_is_told(with_mse: Build, repeated: int, duplicates: str, said: str) -> None:
    comparison = with_data(with_mse(mf=0.8), repeated_pairs=repeated, duplicates=duplicates)
    assert dict(data_facts(comparison))["Repeated pairs"] == said


def test_a_rating_that_was_given_once_was_not_given_1_times(with_mse: Build) -> None:
    bars = [RatingCount(rating=1, upper=None, rows=1), RatingCount(rating=2, upper=None, rows=1)]
    with style():
        assert histogram(with_data(with_mse(mf=0.8), histogram=bars)).alt.endswith(
            "the most frequent is 1, given once."
        )


def test_the_manner_of_the_split_stands_beside_its_sizes(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.8), train_rows=70, validation_rows=10, test_rows=20)
    by_time = comparison.model_copy(update={"split_by": "time"})
    assert dict(data_facts(comparison))["Split"] == "70 training, 10 validation, 20 test, at random"
    assert dict(data_facts(by_time))["Split"].endswith("20 test, the latest ratings of all held out")
