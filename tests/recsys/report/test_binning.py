import numpy as np
import pandas as pd
import pytest

from recsys.report.sections.error_plots import bin_starts, error_by_activity, spread
from recsys.report.sections.overfitting import thinned


def test_few_ratings_get_a_box_each_with_the_quantiles_of_their_predictions() -> None:
    actual = pd.Series([1.0] * 101 + [3.0])
    found = spread(actual, pd.Series([*np.arange(101.0), 7.0]))
    assert found.centre.tolist() == [1.0, 3.0]
    assert found.rows.tolist() == [101, 1]
    assert found.quantiles.tolist() == [[5.0, 25.0, 50.0, 75.0, 95.0], [7.0] * 5]


def test_many_ratings_share_boxes_and_none_is_lost() -> None:
    actual = pd.Series(np.linspace(0, 1, 1000))
    found = spread(actual, actual)
    assert len(found.centre) == 12
    assert found.rows.sum() == 1000
    assert np.all(np.diff(found.quantiles[:, 2]) > 0)


def test_one_rating_value_still_has_a_box_of_some_width() -> None:
    found = spread(pd.Series([2.0, 2.0]), pd.Series([1.0, 3.0]))
    assert found.width > 0


@pytest.mark.parametrize(
    ("largest", "starts"),
    [
        (0, [0, 1]),
        (2, [0, 1]),
        (3, [0, 1, 3]),
        (100, [0, 1, 3, 10, 30, 100]),
        (1_000_000, [0, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000]),
    ],
)
def test_bins_of_activity_grow_with_the_counts(largest: int, starts: list[int]) -> None:
    assert bin_starts(largest, 8).tolist() == starts


def test_error_by_activity_is_the_rmse_of_each_bin() -> None:
    rows = pd.DataFrame(
        {"rating": [1.0, 1.0, 1.0, 1.0], "user_ratings": [0, 5, 9, 10], "mf": [3.0, 2.0, 1.0, 1.5]},
    )
    found = error_by_activity(rows, "user_ratings", ["mf"])
    assert found.labels == ["0", "3–9", "10+"]
    assert found.rows.tolist() == [1, 2, 1]
    assert found.rmse["mf"] == pytest.approx([2.0, np.sqrt(0.5), 0.5])


def test_thinning_keeps_the_ends_and_the_best_epoch() -> None:
    kept = thinned(10_000, keep=4321)
    assert len(kept) <= 301
    assert {0, 4321, 9999} <= set(kept.tolist())
    assert thinned(5, keep=2).tolist() == [0, 1, 2, 3, 4]
