"""Sums of histories, and which batch a rating is in."""

import numpy as np
import pytest

from recsys.models.histories import NO_BATCH, deal, history_sums, rows_of_batch, sides_of

USERS, ITEMS = 7, 5
BIASES = np.linspace(-1, 1, USERS, dtype=np.float32), np.linspace(0, 1, ITEMS, dtype=np.float32)


def some_ratings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User 6 and item 4 have none; user 0 has rated item 0 twice."""
    random = np.random.default_rng(0)
    user, item = np.divmod(random.permutation(6 * 4)[:15], 4)
    user, item = np.append(user, [0, 0]), np.append(item, [0, 0])
    return user.astype(np.int32), item.astype(np.int32), random.normal(size=17).astype(np.float32)


def dealt_in(batches: int) -> tuple[np.ndarray, np.ndarray]:
    users, items = sides_of(*some_ratings(), BIASES)
    random = np.random.default_rng(1)
    of_users, of_items = (random.integers(2**64, size=rows, dtype=np.uint64) for rows in (USERS, ITEMS))
    return deal(users, of_users, of_items, batches), deal(items, of_items, of_users, batches)


@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("which", [0, 1])
def test_sums_are_those_of_the_formula_without_the_batch(which: int, parts: int) -> None:
    columns = some_ratings()
    sides, dealt = sides_of(*columns, BIASES), dealt_in(3)
    random = np.random.default_rng(2)
    tables = random.normal(size=((ITEMS, USERS)[which], parts, 4)).astype(np.float32)
    batch_of = {
        (row, other): batch
        for row in range(sides[which].rows)
        for at in range(sides[which].start[row], sides[which].start[row + 1])
        for other, batch in [(sides[which].other[at], dealt[which][at])]
    }
    for left_out in (1, NO_BATCH):
        expected = np.zeros((sides[which].rows, 4))
        for user, item, rating in zip(*columns, strict=True):
            row, other = (user, item)[which], (item, user)[which]
            if batch_of[row, other] == left_out:
                continue
            deviation = rating - BIASES[0][user] - BIASES[1][item]
            weights = np.array([1, deviation])[:parts]
            expected[row] += weights @ tables[other] / np.sqrt((columns[which] == row).sum())
        rows = np.arange(sides[which].rows)
        sums = history_sums(sides[which], sides[which].scale, rows, tables, dealt[which], left_out)
        np.testing.assert_allclose(sums, expected, atol=1e-5)


def test_both_sides_deal_a_rating_into_one_batch_and_repeated_ratings_too() -> None:
    sides, dealt = sides_of(*some_ratings(), BIASES), dealt_in(4)
    pairs: list[set[tuple[int, int, int]]] = [set(), set()]
    for which, side in enumerate(sides):
        row = np.repeat(np.arange(side.rows), np.diff(side.start))
        user, item = ((row, side.other), (side.other, row))[which]
        pairs[which] = set(zip(user.tolist(), item.tolist(), dealt[which].tolist(), strict=True))
    assert pairs[0] == pairs[1]
    assert len({pair[:2] for pair in pairs[0]}) == len(pairs[0])
    assert len({batch for *_, batch in pairs[0]}) > 1


def test_the_rows_of_a_batch_are_those_with_a_rating_in_it() -> None:
    users, _ = sides_of(*some_ratings(), BIASES)
    dealt = dealt_in(4)[0]
    row = np.repeat(np.arange(USERS), np.diff(users.start))
    assert [rows_of_batch(users, dealt, batch).tolist() for batch in range(4)] == [
        sorted(set(row[dealt == batch].tolist())) for batch in range(4)
    ]


def test_batches_of_many_ratings_are_about_equal() -> None:
    user, item = (part.reshape(-1).astype(np.int32) for part in np.meshgrid(range(200), range(100)))
    biases = np.zeros(200, np.float32), np.zeros(100, np.float32)
    users, _ = sides_of(user, item, np.zeros(20_000, np.float32), biases)
    random = np.random.default_rng(3)
    of_users, of_items = (random.integers(2**64, size=rows, dtype=np.uint64) for rows in (200, 100))
    sizes = np.bincount(deal(users, of_users, of_items, 5), minlength=5)
    assert sizes == pytest.approx([4000] * 5, abs=300)
