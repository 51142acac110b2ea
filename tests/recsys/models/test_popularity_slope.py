import numpy as np
import pytest

from recsys.models import popularity_slope
from recsys.models.baselines import Rows
from recsys.models.popularity_slope import PENALTIES, fit_popularity_slope, fit_slopes

USERS, ITEMS = 60, 80


def ratings(rows: int = 9000, noise: float = 0.3, seed: int = 0) -> tuple[Rows, np.ndarray]:
    """Ratings with a slope of popularity for each user, and these slopes; the last user and item have none."""
    random = np.random.default_rng(seed)
    user = random.integers(USERS - 1, size=rows).astype(np.int32)
    item = np.minimum(random.exponential(14, size=rows), ITEMS - 2).astype(np.int32)
    slopes = random.normal(0.3, 0.5, size=USERS)
    x = np.log1p(np.bincount(item, minlength=ITEMS))
    x = (x - x[item].mean()) / x[item].std()
    rating = 3 + random.normal(size=USERS)[user] + slopes[user] * x[item] + noise * random.normal(size=rows)
    return (user, item, rating.astype(np.float32)), slopes


def parts(every: Rows, first: int) -> tuple[Rows, Rows]:
    user, item, rating = every
    return (user[:first], item[:first], rating[:first]), (user[first:], item[first:], rating[first:])


def test_planted_slopes_are_found_and_predict_ratings() -> None:
    every, slopes = ratings()
    train, test = parts(every, 8000)
    found, predicted = fit_popularity_slope(train, test, USERS, ITEMS)
    differences = [
        values[:-1] - values[:-1].mean() for values in (found.slope, slopes)
    ]  # items may take the mean slope
    assert differences[0] == pytest.approx(differences[1], abs=0.12)
    assert np.mean((predicted - test[2]) ** 2) < 1.2 * 0.3**2
    assert predicted == pytest.approx(found.predict(*test[:2]))
    assert found.parameters == 2 * USERS + ITEMS + 1


def test_it_solves_the_regularised_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popularity_slope, "SWEEPS", 300)
    monkeypatch.setattr(popularity_slope, "TOLERANCE", 0.0)
    (user, item, rating), _ = ratings(rows=600, noise=1.0)
    [found] = fit_slopes((user, item, rating), USERS, ITEMS, (2.0,))
    rows, people = np.arange(600), USERS - 1  # of whom all have ratings
    design = np.zeros((600, 2 * people + ITEMS))
    design[rows, user], design[rows, people + item] = 1, 1
    design[rows, people + ITEMS + user] = found.popularity[item]
    about_mean = np.eye(people) - 1 / people
    penalty = np.zeros((2 * people + ITEMS,) * 2)
    for start, weight, matrix in zip(
        (0, people, people + ITEMS), PENALTIES, (np.eye(people), np.eye(ITEMS), about_mean), strict=True
    ):
        place = slice(start, start + len(matrix))
        penalty[place, place] = 2 * weight * matrix
    exact = np.linalg.solve(design.T @ design + penalty, design.T @ (rating - found.mean))
    assert found.predict(user, item) == pytest.approx(found.mean + design @ exact, abs=1e-6)


def test_where_all_items_are_as_popular_it_is_biases_alone() -> None:
    random = np.random.default_rng(1)
    user, item = (code.ravel().astype(np.int32) for code in np.meshgrid(np.arange(20), np.arange(30)))
    rating = (random.normal(size=20)[user] + random.normal(size=30)[item]).astype(np.float32)
    [found] = fit_slopes((user, item, rating), 20, 30, (1.0,))
    assert not found.slope.any()
    deviation = rating - found.mean
    user_bias = np.bincount(user, deviation) / (30 + PENALTIES[0])  # sums of either bias are 0 on a full grid
    item_bias = np.bincount(item, deviation) / (20 + PENALTIES[1])
    assert found.predict(user, item) == pytest.approx(found.mean + user_bias[user] + item_bias[item], abs=1e-3)


def test_an_unknown_user_leans_to_popular_items_as_others_do_and_an_unknown_item_is_the_least_popular() -> None:
    every, _ = ratings()
    [found] = fit_slopes(every, USERS, ITEMS, (1.0,))
    nobody, nothing = np.array([USERS - 1], np.int32), np.array([ITEMS - 1], np.int32)
    assert found.slope[nobody] == pytest.approx(found.slope[:-1].mean())
    assert found.popularity.argmin() == ITEMS - 1
    expected = found.mean + found.slope[nobody] * found.popularity[nothing]
    assert found.predict(nobody, nothing) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "offset"), [(20.0, 0.0), (1.0, -10.0), (-1.0, 0.0)])
def test_another_scale_or_origin_of_the_ratings_changes_nothing_else(scale: float, offset: float) -> None:
    (user, item, rating), _ = ratings(rows=2000, noise=1.0)
    halves = (np.round(2 * rating) / 2).astype(np.float32)
    before, expected = fit_popularity_slope(*parts((user, item, halves), 1500), USERS, ITEMS)
    moved = (scale * halves + offset).astype(np.float32)
    after, predicted = fit_popularity_slope(*parts((user, item, moved), 1500), USERS, ITEMS)
    assert after.strength == before.strength
    assert predicted == pytest.approx(scale * expected + offset, rel=1e-9)


def test_weak_ratings_are_regularised_more_and_a_refit_keeps_the_choice() -> None:
    strengths = []
    for noise in (0.1, 5.0):
        every, _ = ratings(rows=1500, noise=noise, seed=2)
        train, test = parts(every, 1000)
        found, _ = fit_popularity_slope(train, test, USERS, ITEMS)
        again = found.refitted(every)
        assert again.strength == found.strength
        assert again.mean == pytest.approx(every[2].mean())
        assert again.seconds > found.seconds
        strengths.append(found.strength)
    assert strengths[0] < strengths[1]
