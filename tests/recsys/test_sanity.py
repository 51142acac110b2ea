"""What has to be true of any such comparison: two routes to one number, and nothing learnt where there is nothing."""

import numpy as np
import numpy.typing as npt
import pytest

from recsys.models.baselines import Rows, fit_baselines, fit_biases
from recsys.models.biased_mf import build_biased_mf
from recsys.settings import BiasedMFSettings
from recsys.training.compiled.engine import train_compiled
from recsys.training.fit import FitData
from recsys.training.train import train

USERS = ITEMS = 30
STEPS = 300

Floats = npt.NDArray[np.floating]


def made(user: npt.NDArray[np.int32], item: npt.NDArray[np.int32], *, shuffled: bool = False) -> FitData:
    """Ratings made of users' and items' biases and noise; nine tenths are fitted, the rest validates."""
    random = np.random.default_rng(5)
    rating = 3 + random.normal(size=USERS)[user] + random.normal(size=ITEMS)[item] + 0.5 * random.normal(size=len(user))
    if shuffled:
        random.shuffle(rating)
    cut = len(user) * 9 // 10
    return FitData(user, item, rating.astype(np.float32), np.arange(cut), np.arange(cut, len(user)))


def at_random(rows: int, **how: bool) -> FitData:
    """Users and items as unevenly rated as in life."""
    random = np.random.default_rng(6)
    user, item = ((size * random.random(rows) ** 2).astype(np.int32) for size in (USERS, ITEMS))
    return made(user, item, **how)


def everybody_rates_everything() -> FitData:
    user, item = (codes.ravel().astype(np.int32) for codes in np.indices((USERS, ITEMS)))
    data = made(user, item)
    return FitData(data.user, data.item, data.rating, np.arange(USERS * ITEMS), data.validation)


def factorised_without_factors(data: FitData, penalty: float) -> Floats:
    """Predictions for the fitted rows after the training has converged: all rows a step, ever smaller steps."""
    settings = BiasedMFSettings(
        embedding_size=0, l2_biases=penalty, epochs=STEPS, patience=0, batch_size=len(data.train)
    )
    model = build_biased_mf(USERS, ITEMS, settings, 1, data.mean)
    train_compiled(model, data, settings, 1, schedule=np.geomspace(0.05, 1e-4, STEPS))
    return predicted_by(model, data, data.train)


def predicted_by(model: object, data: FitData, rows: npt.NDArray[np.integer]) -> Floats:
    return np.asarray(model([data.user[rows, None], data.item[rows, None]]))[:, 0]  # type: ignore[operator]


def of(data: FitData, rows: npt.NDArray[np.integer]) -> Rows:
    return data.user[rows], data.item[rows], data.rating[rows]


@pytest.mark.parametrize("penalty", [0.0, 0.2])
def test_factorisation_with_no_factors_is_the_regularised_least_squares_of_the_biases(penalty: float) -> None:
    data = at_random(3000)
    user, item, rating = of(data, data.train)
    design = np.zeros((len(rating), USERS + ITEMS))
    design[np.arange(len(rating)), user] = 1
    design[np.arange(len(rating)), USERS + item] = 1
    each_rating_pays = penalty * np.diag(design.sum(axis=0))
    solved = np.linalg.lstsq(design.T @ design + each_rating_pays, design.T @ (rating - data.mean), rcond=None)[0]
    assert factorised_without_factors(data, penalty) == pytest.approx(data.mean + design @ solved, abs=2e-3)


def test_factorisation_with_no_factors_is_bias_only_where_all_have_as_many_ratings() -> None:
    """Its penalty grows with the ratings of a user, that of bias_only does not: here the two are the same."""
    data, penalty = everybody_rates_everything(), 0.1
    user, item, rating = of(data, data.train)
    [(of_user, of_item)] = fit_biases(
        user, item, (rating - data.mean).astype(np.float32), USERS, ITEMS, (penalty * ITEMS,), tolerance=1e-9
    )
    expected = data.mean + of_user[user] + of_item[item]
    assert factorised_without_factors(data, penalty) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("shuffled", [True, False])
def test_shuffled_ratings_leave_nothing_to_learn_but_the_mean(shuffled: bool) -> None:
    whole = at_random(6000, shuffled=shuffled)
    test = whole.validation
    data = FitData(whole.user, whole.item, whole.rating, whole.train[:4800], whole.train[4800:])
    settings = BiasedMFSettings(embedding_size=8)
    model = build_biased_mf(USERS, ITEMS, settings, 1, data.mean)
    train(model, data, settings, 1)
    biases = fit_baselines(of(data, data.train), of(data, data.validation), USERS, ITEMS)["bias_only"]

    user, item, rating = of(data, test)
    of_mean = np.mean((rating - data.mean) ** 2)
    shares = [
        float(np.mean((rating - answer) ** 2) / of_mean)
        for answer in (predicted_by(model, data, test), biases.predict(user, item))
    ]
    if shuffled:
        assert shares == pytest.approx([1, 1], abs=0.03)
    else:
        assert max(shares) < 0.5
