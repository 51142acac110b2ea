"""The ratings of a training."""

import numpy as np
import pytest

from recsys.training.fit import FitData

USERS, ITEMS, RATINGS = 50, 30, 1000


@pytest.fixture
def data() -> FitData:
    random = np.random.default_rng(0)
    order = random.permutation(RATINGS)
    return FitData(
        user=random.integers(USERS, size=RATINGS).astype(np.int32),
        item=random.integers(ITEMS, size=RATINGS).astype(np.int32),
        rating=random.normal(size=RATINGS).astype(np.float32),
        train=order[:700],
        validation=order[700:800],
    )


def test_some_users_have_all_their_training_and_validation_ratings_and_new_codes(data: FitData) -> None:
    some, users = data.of_some_users(200, seed=1)
    assert 200 <= len(some.train) < 300
    assert set(some.user[some.train]) == set(range(users))
    of_rating = dict(zip(data.rating.tolist(), data.user.tolist(), strict=True))
    before = {now: of_rating[rating] for now, rating in zip(some.user.tolist(), some.rating.tolist(), strict=True)}
    assert [before[code] for code in range(users)] == sorted(before.values())
    for rows, own in ((data.train, some.train), (data.validation, some.validation)):
        theirs = rows[np.isin(data.user[rows], list(before.values()))]
        assert some.rating[own].tolist() == data.rating[theirs].tolist()
        assert some.item[own].tolist() == data.item[theirs].tolist()


def test_the_seed_draws_the_users(data: FitData) -> None:
    once, again, other = (data.of_some_users(200, seed)[0] for seed in (1, 1, 2))
    assert once.rating.tolist() == again.rating.tolist() != other.rating.tolist()


def test_more_ratings_than_there_are_are_all(data: FitData) -> None:
    some, users = data.of_some_users(10_000, seed=1)
    assert (len(some.train), len(some.validation), users) == (700, 100, USERS)
