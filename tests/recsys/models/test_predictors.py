"""What every predictor says of codes that it was not fitted with, and of columns that are none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.errors import BadIds, BadRatings, BadSettings
from recsys.models.baselines import fit_baselines, fit_biases
from recsys.models.bayes_mf import BayesianFactors, Draws
from recsys.models.biased_mf import build_biased_mf
from recsys.models.blend import Blend, Member
from recsys.models.factor_model import factor_model
from recsys.models.item_knn import fit_item_knn
from recsys.models.keras_predictor import FittedFactors, KerasPredictor
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.models.popularity_slope import fit_popularity_slope
from recsys.models.predictor import Predictor
from recsys.models.settings import BiasedMFSettings, DNNSettings, MFSettings, TunedDNNSettings
from recsys.models.towers import TowersPredictor, UserHistories, build_tower
from tests.made_winners import FACTORS, ITEMS, USERS

RANDOM = np.random.default_rng(0)
USER, ITEM = RANDOM.integers(USERS, size=60).astype(np.int32), RANDOM.integers(ITEMS, size=60).astype(np.int32)
ROWS = USER, ITEM, RANDOM.integers(1, 6, size=60).astype(np.float32)


def bayesian() -> BayesianFactors:
    of_users, of_items = (np.zeros((1, rows, 4), np.float16) for rows in (USERS, ITEMS))
    user_noise, item_noise = (np.ones((1, rows), np.float32) for rows in (USERS, ITEMS))
    draws = Draws(of_users, of_items, user_noise, item_noise)
    return BayesianFactors(FACTORS, lambda: KerasPredictor(factor_model(FACTORS, "bayes_mf")), draws, "", 7)


def towers() -> TowersPredictor:
    kernels, shifts, backs = (np.zeros(shape, np.float32) for shape in ((0, 3, 2), (0, 2), (0, 2, 3)))
    tower = build_tower(kernels, shifts, backs, 0.0, 1, "user_tower")
    histories = UserHistories(np.zeros((ITEMS, 1, 3), np.float32), np.zeros(ITEMS, np.float32), 1.0)
    return TowersPredictor(KerasPredictor(factor_model(FACTORS, "towers")), tower, histories)


def rescaled_network() -> Predictor:
    return KerasPredictor(
        build_deep(USERS, ITEMS, TunedDNNSettings(embedding_size=2, units=(2,), biases=True), 1, 3.0)
    ).rescaled(2.0, 1.0)


def baseline() -> Predictor:
    return fit_baselines(ROWS, ROWS, USERS, ITEMS)["bias_only"]


MADE: dict[str, Callable[[], Predictor]] = {
    "bias_only": baseline,
    "popularity_slope": lambda: fit_popularity_slope(ROWS, ROWS, USERS, ITEMS)[0],
    "item_knn": lambda: fit_item_knn(ROWS, ROWS, fit_baselines(ROWS, ROWS, USERS, ITEMS)["bias_only"])[0],
    "mf": lambda: KerasPredictor(build_mf(USERS, ITEMS, MFSettings(embedding_size=2), 1)),
    "dnn": lambda: KerasPredictor(build_dnn(USERS, ITEMS, DNNSettings(embedding_size=2, units=(2,)), 1)),
    "dnn_tuned": rescaled_network,
    "mf_tuned": lambda: FittedFactors(FACTORS, "mf_tuned", 7, (2.0, 1.0)),
    "bayes_mf": bayesian,
    "towers": towers,
    "blend": lambda: Blend({"bias_only": Member(1.0, (baseline(),))}, 3.0, (1.0, 5.0)),
}


@pytest.mark.parametrize("name", MADE)
def test_codes_of_any_kind_are_looked_up(name: str) -> None:
    predictor = MADE[name]()
    expected = predictor.predict(np.array([0, 4], np.int32), np.array([3, 0], np.int32))
    kinds: list[Any] = [[0, 4], pd.Series([0, 4], index=[9, 9]), np.array([[0.0], [4.0]]), np.array([0, 4], np.uint8)]
    for users in kinds:
        assert predictor.predict(users, pd.Series([3, 0])).tolist() == expected.tolist()  # type: ignore[arg-type]
    assert len(predictor.predict([], [])) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("user", "item", "said"),
    [
        ([0, USERS], [0, 0], "user code at position 1 is 6, and codes run from 0 to 5"),
        ([0, 0], [ITEMS, 0], "item code at position 0 is 9, and codes run from 0 to 8"),
        ([-1], [0], "user code at position 0 is -1"),
        ([0], [-1], "item code at position 0 is -1"),
        ([0, 1], [0], "2 user codes and 1 item codes"),
        (["u1"], [0], "user codes are texts"),
        ([0.5], [0], "is 0.5: codes are whole numbers"),
        ([True], [0], "booleans"),
        ([[0, 1]], [0, 1], "of shape"),
        (0, 0, "one value"),
    ],
)
def test_codes_that_it_was_not_fitted_with_are_told(name: str, user: Any, item: Any, said: str) -> None:
    predictor = MADE[name]()
    with pytest.raises(BadIds, match=said):
        predictor.predict(user, item)
    if isinstance(predictor, BayesianFactors):
        with pytest.raises(BadIds, match=said):
            predictor.standard_deviation(user, item)


def test_new_ratings_that_towers_cannot_fold_in_are_told() -> None:
    for items, ratings, error in (
        ([ITEMS], [3.0], BadIds),
        ([0], [np.nan], BadRatings),
        ([0, 1], [3.0], BadRatings),
    ):
        with pytest.raises(error):
            towers().fold_in(items, ratings)  # type: ignore[arg-type]
    assert towers().fold_in([0, 1], [3.0, 4.0])[0].shape == (3,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (([0, USERS], [0, 0], [1.0, 2.0]), BadIds, "as there are 6 users: encode ids first"),
        (([0, -1], [0, 0], [1.0, 2.0]), BadIds, "position 1 is -1"),
        (([0, 1], [0, 0], [1.0, np.nan]), BadRatings, "position 1 is missing"),
        (([0, 1], [0, 0], [1.0]), BadRatings, "and 1 ratings"),
        (([], [], []), BadRatings, "no ratings"),
    ],
)
def test_ratings_that_no_baseline_can_be_fitted_to_are_told(rows: Any, error: type[Exception], said: str) -> None:
    biases = fit_baselines(ROWS, ROWS, USERS, ITEMS)["bias_only"]
    for train, validation in ((rows, ROWS), (ROWS, rows)):
        with pytest.raises(error, match=said):
            fit_baselines(train, validation, USERS, ITEMS)
        with pytest.raises(error, match=said):
            fit_popularity_slope(train, validation, USERS, ITEMS)
        with pytest.raises(error, match=said):
            fit_item_knn(train, validation, biases)
    with pytest.raises(error, match=said):
        fit_biases(rows[0], rows[1], rows[2], USERS, ITEMS, (1.0,))


@pytest.mark.parametrize("users", [0, -1, 2.5, "3", None, True])
def test_a_model_of_no_number_of_users_is_told(users: Any) -> None:
    with pytest.raises(BadSettings, match=r"user_embedding is .*: give a whole number of 1 or more"):
        build_mf(users, ITEMS, MFSettings(), 1)


def test_a_mean_that_is_no_number_is_told() -> None:
    with pytest.raises(BadSettings, match="mean is nan"):
        build_biased_mf(USERS, ITEMS, BiasedMFSettings(), 1, np.nan)
    with pytest.raises(BadSettings, match="mean is inf"):
        build_deep(USERS, ITEMS, TunedDNNSettings(biases=True), 1, np.inf)
