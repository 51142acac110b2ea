import numpy as np
import pytest

from recsys.models.baselines import DAMPINGS, fit_baselines, fit_biases


def data(
    rows: int = 3000, users: int = 40, items: int = 50, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    user, item = (random.integers(size, size=rows).astype(np.int32) for size in (users, items))
    of_user, of_item = random.normal(size=users), random.normal(size=items)
    return user, item, 3 + of_user[user] + of_item[item] + 0.5 * random.normal(size=rows)


def test_codes_of_equal_means_deviate_alike_whatever_their_ratings() -> None:
    ratings = np.array([0, 0, 1, 1, 2]), np.zeros(5, int), np.array([0.5, 4.5, 2.0, 3.0, 2.7], np.float32)
    found = fit_baselines(ratings, ratings, 4, 1)["user_mean"].user
    assert found[0] == found[1] == pytest.approx(-0.04)
    assert found[3] == 0


def test_means_are_pandas_means() -> None:
    user, item, rating = data()
    fitted = fit_baselines((user, item, rating), (user, item, rating), 41, 50)
    assert fitted["user_mean"].predict(np.array([3]), np.array([0]))[0] == pytest.approx(rating[user == 3].mean())
    assert fitted["item_mean"].predict(np.array([3]), np.array([7]))[0] == pytest.approx(rating[item == 7].mean())
    assert fitted["global_mean"].predict(np.array([3]), np.array([7]))[0] == pytest.approx(rating.mean())


def test_an_id_without_ratings_gets_the_mean() -> None:
    user, item, rating = data()
    fitted = fit_baselines((user, item, rating), (user, item, rating), 41, 50)
    assert fitted["user_mean"].predict(np.array([40]), np.array([0]))[0] == pytest.approx(rating.mean())


def test_biases_solve_the_regularised_least_squares() -> None:
    user, item, rating = data(rows=400, users=10, items=12)
    deviation = rating - rating.mean()
    [(of_user, of_item)] = fit_biases(user, item, deviation, 10, 12, (3.0,), sweeps=500, tolerance=0)
    design = np.zeros((400, 22))
    design[np.arange(400), user] = 1
    design[np.arange(400), 10 + item] = 1
    exact = np.linalg.solve(design.T @ design + 3 * np.eye(22), design.T @ deviation)
    assert np.concatenate([of_user, of_item]) == pytest.approx(exact, abs=1e-6)


def test_bias_only_beats_the_means_where_both_sides_matter() -> None:
    train, test = data(seed=0), data(seed=0)
    fitted = fit_baselines(train, test, 40, 50)
    error = {name: np.mean((model.predict(*test[:2]) - test[2]) ** 2) for name, model in fitted.items()}
    assert error["bias_only"] < min(error["user_mean"], error["item_mean"]) < error["global_mean"]
    assert [fitted[name].parameters for name in ("global_mean", "user_mean", "item_mean", "bias_only")] == [
        1,
        41,
        51,
        91,
    ]


def test_the_regularisation_is_not_chosen_by_ratings_that_were_fitted() -> None:
    user, item, rating = data(rows=600)
    rating = (rating + 4 * np.random.default_rng(1).normal(size=600)).astype(np.float32)
    parts = (slice(600), slice(500), slice(500, 600))
    everything, rest, choosing = ((user[rows], item[rows], rating[rows]) for rows in parts)
    fits = fit_biases(user, item, rating - rating.mean(), 40, 50, DAMPINGS)

    def chosen(without: tuple[np.ndarray, np.ndarray, np.ndarray] | None) -> float:
        biases = fit_baselines(everything, choosing, 40, 50, without)["bias_only"].user
        return DAMPINGS[int(np.argmin([np.abs(biases - of_user).max() for of_user, _ in fits]))]

    assert chosen(None) < chosen(rest)
