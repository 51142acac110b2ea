import numpy as np
import pytest

from recsys.evaluation.ensembles import blend_weights, blended


def test_weights_are_those_that_made_the_ratings() -> None:
    random = np.random.default_rng(0)
    one, other, noise = random.normal(3, 1, size=(3, 500))
    rating = 3 + 0.7 * (one - 3) + 0.2 * (other - 3)
    weights = blend_weights(rating, {"one": one, "other": other, "noise": noise}, 3.0)
    assert weights["one"] == pytest.approx(0.7, abs=1e-6)
    assert weights["other"] == pytest.approx(0.2, abs=1e-6)
    assert weights.get("noise", 0) < 1e-6
    assert blended({"one": one, "other": other, "noise": noise}, weights, 3.0) == pytest.approx(rating, abs=1e-5)


def test_no_weight_is_negative_and_those_of_no_use_are_left_out() -> None:
    random = np.random.default_rng(1)
    good = random.normal(3, 1, size=500)
    weights = blend_weights(good, {"good": good, "opposite": 6 - good}, 3.0)
    assert list(weights) == ["good"]
    assert weights["good"] == pytest.approx(1.0)


def test_the_same_prediction_twice_is_no_trouble() -> None:
    random = np.random.default_rng(2)
    good = random.normal(3, 1, size=500)
    weights = blend_weights(good, {"one": good, "twin": good}, 3.0)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_where_nothing_differs_from_the_mean_there_is_no_blend() -> None:
    constant = np.full(50, 4.0)
    assert blend_weights(constant, {"one": constant, "other": constant}, 4.0) == {}
