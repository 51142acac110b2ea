"""The ratings of a training."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.errors import BadIds, BadRatings, UserError
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


def test_what_a_notebook_has_is_converted(data: FitData) -> None:
    frame = pd.DataFrame({"user": data.user.astype("int64"), "item": data.item.astype(float)}, index=data.rating)
    mask = np.isin(np.arange(RATINGS), data.train)
    given = FitData(frame["user"], frame["item"].tolist(), data.rating.astype(float)[:, None], mask, data.validation)  # type: ignore[arg-type]
    assert [column.dtype for column in (given.user, given.item, given.rating)] == [np.int32, np.int32, np.float32]
    expected = {**asdict(data), "train": np.sort(data.train)}
    for name, values in asdict(given).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"user": lambda data: data.user - 1}, BadIds, "user code at position .* is -1"),
        ({"item": lambda data: [f"i{code}" for code in data.item]}, BadIds, "item codes are texts such as 'i"),
        ({"user": lambda data: data.rating}, BadIds, "user code at position 0 is .*: codes are whole numbers"),
        ({"rating": lambda data: np.where(data.user == 3, np.nan, data.rating)}, BadRatings, "missing"),
        ({"rating": lambda data: data.rating[:-1]}, BadRatings, "1,000 item codes and 999 ratings"),
        ({"train": lambda data: data.train + 500}, BadRatings, "training row at position .* row numbers run from 0"),
        ({"validation": lambda data: data.validation > 7}, BadRatings, "mask of validation rows has 100 values"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(
    data: FitData, changes: dict[str, Any], error: type[UserError], said: str
) -> None:
    with pytest.raises(error, match=said):
        replace(data, **{name: change(data) for name, change in changes.items()})


def test_ratings_that_are_neither_fitted_nor_validated_on_may_be_unknown(data: FitData) -> None:
    others = np.setdiff1d(np.arange(RATINGS), np.concatenate([data.train, data.validation]))
    user, rating = data.user.copy(), data.rating.copy()
    user[others], rating[others] = -1, np.nan
    unknown = replace(data, user=user, rating=rating)
    unknown.require_codes(USERS, ITEMS)
    assert unknown.mean == data.mean
    with pytest.raises(BadIds, match=f"and codes run from 0 to {USERS - 2}, as there are {USERS - 1} users"):
        unknown.require_codes(USERS - 1, ITEMS)
