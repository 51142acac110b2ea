"""Which items a user has rated."""

import numpy as np
import pytest

from recsys.models.implicit_feedback import ImplicitFeedback, rated_items

USERS, ITEMS = 60, 50


def some_ratings(rows: int = 1_200) -> tuple[np.ndarray, np.ndarray]:
    """Ratings of all users but the last, many of them repeated."""
    random = np.random.default_rng(2)
    user = np.minimum(random.geometric(0.08, rows), USERS - 1) - 1
    return user.astype(np.int32), random.integers(ITEMS, size=rows).astype(np.int32)


def histories(length: int, seed: int = 1) -> ImplicitFeedback:
    return rated_items(*some_ratings(), USERS, ITEMS, length, seed)


def items_of(found: ImplicitFeedback, user: int) -> list[int]:
    return [int(code) for code in found.items[user] if code < ITEMS]


@pytest.mark.parametrize("length", [1, 7, 100])
def test_a_history_is_distinct_rated_items_as_many_as_there_are_or_fit(length: int) -> None:
    user, item = some_ratings()
    found = histories(length)
    assert found.items.shape == found.weights.shape == (USERS, length)
    assert found.items.dtype == np.int32
    assert found.weights.dtype == np.float32
    for one in range(USERS):
        rated = set(item[user == one].tolist())
        read = items_of(found, one)
        assert set(read) <= rated
        assert len(set(read)) == len(read) == min(length, len(rated))
        weights = [1 / np.sqrt(len(read)) for _ in read] + [0] * (length - len(read))
        assert found.weights[one] == pytest.approx(weights)
    assert not items_of(found, USERS - 1)


def test_without_ratings_nobody_has_a_history() -> None:
    nothing = np.zeros(0, np.int32)
    found = rated_items(nothing, nothing, 3, 5, 2, 1)
    assert np.array_equal(found.items, np.full((3, 2), 5))
    assert not found.weights.any()


def test_the_same_seed_draws_the_same_in_any_order_of_the_ratings_and_another_seed_another() -> None:
    user, item = some_ratings()
    found, backwards = histories(5), rated_items(user[::-1], item[::-1], USERS, ITEMS, 5, 1)
    assert np.array_equal(found.items, backwards.items)
    assert not np.array_equal(found.items, histories(5, seed=2).items)


def test_each_rated_item_is_drawn_as_often_as_another() -> None:
    user = np.repeat(np.arange(400, dtype=np.int32), 20)
    item = np.tile(np.arange(0, 40, 2, dtype=np.int32), 400)
    drawn = np.zeros(40)
    for seed in range(30):
        drawn += np.bincount(rated_items(user, item, 400, 40, 5, seed).items.ravel(), minlength=40)
    assert not drawn[1::2].any()
    expected = 400 * 30 * 5 / 20  # 3,000 each; users of one seed share the shuffled list, so the sd is near 100
    assert drawn[::2] == pytest.approx(np.full(20, expected), rel=0.2)


def test_users_with_the_same_ratings_draw_for_themselves() -> None:
    user = np.repeat(np.arange(50, dtype=np.int32), 40)
    found = rated_items(user, np.tile(np.arange(40, dtype=np.int32), 50), 50, 40, 3, 1)
    assert len({tuple(sorted(row)) for row in found.items.tolist()}) > 20
