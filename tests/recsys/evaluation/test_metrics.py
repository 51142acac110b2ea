from typing import Any

import numpy as np
import pytest

from recsys.errors import BadIds, BadRatings
from recsys.evaluation.metrics import (
    METRICS,
    RankedItems,
    RatingMetric,
    ranking_keys,
    ranking_scores,
    rating_metrics,
    rating_scores,
)
from recsys.evaluation.results import Ranking, Score

ONE_USER = np.zeros(4, np.int32)


def test_scores_are_those_of_the_definitions() -> None:
    rating, prediction = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 3.0, 3.0, 4.0])
    scores = rating_scores(rating, prediction, ONE_USER)
    assert (scores["mse"], scores["mae"]) == (1.25, 0.75)
    assert scores["rmse"] == scores["user_rmse"] == pytest.approx(1.25**0.5)
    assert scores["r2"] == pytest.approx(1 - 5 / 14)


def test_constant_ratings_and_a_single_rating_have_no_r2() -> None:
    for rows in (1, 4):
        assert rating_scores(np.ones(rows), np.zeros(rows), ONE_USER[:rows])["r2"] is None


def test_single_precision_is_scored_in_double() -> None:
    rating = np.full(1_000_000, 4.1, np.float32)
    scores = rating_scores(rating, rating + np.float32(1), np.zeros(len(rating), np.int32))
    assert scores["mse"] == pytest.approx(1, rel=1e-6)


def test_each_user_counts_alike_in_the_rmse_per_user() -> None:
    user, rating = np.array([5, 2, 5, 5], np.int32), np.array([1, 4, 1, 1], np.float32)
    scores = rating_scores(rating, np.array([1, 2, 2, 3], np.float32), user)
    assert scores["user_rmse"] == pytest.approx((2 + (5 / 3) ** 0.5) / 2)


def test_the_rmse_per_user_is_not_computed_for_a_part_of_the_ratings() -> None:
    whole, part = (rating_scores(np.ones(4), np.zeros(4), ONE_USER, of_subset=subset) for subset in (False, True))
    assert set(whole) - set(part) == {"user_rmse"}


def test_fields_that_every_comparison_has_are_metrics() -> None:
    assert all(key == metric.key for key, metric in METRICS.items())
    assert set(Score.model_fields) - {"rows"} <= set(METRICS)
    assert set(Ranking.model_fields) - {"users", "tied_users"} <= set(ranking_keys())


def test_descriptions_name_unit_and_direction_where_there_are_any() -> None:
    endings = {key: METRICS[key].description.partition(METRICS[key].meaning)[2] for key in METRICS}
    assert endings["mse"] == ", in squared rating units; lower is better"
    assert endings["r2"] == "; higher is better"
    assert endings["coverage_at_10"] == ""


def test_a_single_list_has_no_standard_error() -> None:
    hits = np.array([[True] + [False] * 9] * 2)
    top, first, relevant = np.tile(np.arange(10, dtype=np.int32), (2, 1)), np.array([1, 1]), np.array([1, 2])
    both = ranking_scores(RankedItems(top, hits, first, relevant, items=20))
    assert both["ndcg_at_10"] == pytest.approx((1 + 1 / (1 + 1 / np.log2(3))) / 2)
    assert both["ndcg_at_10_error"] == pytest.approx((1 - 1 / (1 + 1 / np.log2(3))) / 2)
    assert (both["recall_at_10"], both["mrr"], both["coverage_at_10"]) == (0.75, 1.0, 0.5)
    single = ranking_scores(RankedItems(top[:1], hits[:1], first[:1], relevant[:1], items=20))
    assert (single["ndcg_at_10"], single["ndcg_at_10_error"]) == (1.0, None)


@pytest.mark.parametrize(
    ("rating", "prediction", "user", "said"),
    [
        ([1, np.nan], [1, 2], [0, 0], "rating at position 1 is missing"),
        ([1, 2], [1, np.inf], [0, 0], "prediction at position 1 is infinite"),
        ([1, 2], [1], [0, 0], "2 ratings, 1 predictions and 2 user codes"),
        ([1, 2], [1, 2], [0, -1], "user code at position 1 is -1"),
        ([], [], [], "no ratings"),
        (["a", "b"], [1, 2], [0, 0], "texts"),
        ([[1, 2]], [1, 2], [0, 0], "of shape"),
    ],
)
@pytest.mark.parametrize("metric", rating_metrics(), ids=lambda metric: metric.key)
def test_every_metric_says_what_it_cannot_score(
    metric: RatingMetric, rating: Any, prediction: Any, user: Any, said: str
) -> None:
    for score in (metric.compute, rating_scores):
        with pytest.raises((BadIds, BadRatings), match=said):
            score(rating, prediction, user)
    assert metric.compute([1, 2, 3], [1, 2, 4], [0, 0, 1]) == rating_scores([1, 2, 3], [1, 2, 4], [0, 0, 1])[metric.key]  # type: ignore[arg-type]
