import numpy as np
import pytest

from recsys.evaluation.metrics import score, user_rmse


def test_scores_are_those_of_the_definitions() -> None:
    rating, prediction = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 3.0, 3.0, 4.0])
    scored = score(rating, prediction)
    assert (scored.rows, scored.mse, scored.mae) == (4, 1.25, 0.75)
    assert scored.rmse == pytest.approx(1.25**0.5)
    assert scored.r2 == pytest.approx(1 - 5 / 14)


def test_constant_ratings_have_no_r2() -> None:
    assert score(np.ones(3), np.zeros(3)).r2 is None


def test_single_precision_is_scored_in_double() -> None:
    rating = np.full(1_000_000, 4.1, np.float32)
    assert score(rating, rating + np.float32(1)).mse == pytest.approx(1, rel=1e-6)


def test_each_user_counts_alike_in_the_rmse_per_user() -> None:
    user, rating = np.array([5, 2, 5, 5], np.int32), np.array([1, 4, 1, 1], np.float32)
    assert user_rmse(user, rating, np.array([1, 2, 2, 3], np.float32)) == pytest.approx((2 + (5 / 3) ** 0.5) / 2)
