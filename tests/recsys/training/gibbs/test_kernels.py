import numpy as np
import pytest

from recsys.training.gibbs.kernels import BLOCK, LANE, draw_rows, multiply, predict, squared_errors
from recsys.training.gibbs.side_information import Histories, Ratings

ROWS, OTHERS, SIZE = 40, 25, 7


@pytest.fixture
def ratings() -> Ratings:
    random = np.random.default_rng(1)
    pairs = random.permutation(ROWS * OTHERS)[:300]
    row, other = (pairs // OTHERS).astype(np.int32), (pairs % OTHERS).astype(np.int32)
    row[row == 7] = 8  # a row without ratings
    return Ratings.of(ROWS, row, other, random.normal(size=300).astype(np.float32))[0]


def table(rows: int, seed: int) -> np.ndarray:
    found = np.zeros((rows, LANE), np.float32)
    found[:, :SIZE] = np.random.default_rng(seed).normal(size=(rows, SIZE))
    return found


def test_rows_are_drawn_from_their_normal_posteriors(ratings: Ratings) -> None:
    random = np.random.default_rng(2)
    others, pull = table(OTHERS, 3), table(ROWS, 4)
    own, theirs = (random.gamma(3, size=many).astype(np.float32) for many in (ROWS, OTHERS))
    root = random.normal(size=(SIZE, SIZE))
    prior = root @ root.T + np.eye(SIZE)
    noise = random.normal(size=(ROWS, SIZE)).astype(np.float32)
    design = others.copy()
    design[:, 0] = 1
    drawn = np.zeros((ROWS, LANE), np.float32)
    offset, lower = np.ascontiguousarray(others[:, 0]), prior[np.tril_indices(SIZE)].astype(np.float32)
    given = (ratings.start, ratings.other, ratings.rating, own, theirs, design, offset, pull, lower, noise, drawn)
    draw_rows(0, 33, BLOCK, *given)
    draw_rows(33, ROWS, BLOCK, *given)
    for row in range(ROWS):
        of_row = slice(ratings.start[row], ratings.start[row + 1])
        x = others[ratings.other[of_row], :SIZE].astype(float)
        deviation = ratings.rating[of_row] - x[:, 0]
        x[:, 0] = 1
        weight = own[row] * theirs[ratings.other[of_row]]
        a = prior + (weight[:, None] * x).T @ x
        right = pull[row, :SIZE] + (weight * deviation) @ x
        lower_a = np.linalg.cholesky(a)
        expected = np.linalg.solve(a, right) + np.linalg.solve(lower_a.T, noise[row])
        np.testing.assert_allclose(drawn[row, :SIZE], expected, rtol=2e-4, atol=2e-4)
    assert not drawn[:, SIZE:].any()


def test_predictions_and_errors_agree(ratings: Ratings) -> None:
    rows, others = table(ROWS, 5), table(OTHERS, 6)
    row = np.repeat(np.arange(ROWS, dtype=np.int32), ratings.counts)
    found, errors = np.empty(300, np.float32), np.empty(300, np.float32)
    predict(row, ratings.other, rows, others, found)
    squared_errors(ratings.start, ratings.other, ratings.rating, rows, others, errors)
    dots = np.einsum("ri,ri->r", rows[row, 1:], others[ratings.other, 1:])
    np.testing.assert_allclose(found, rows[row, 0] + others[ratings.other, 0] + dots, atol=1e-5)
    np.testing.assert_allclose(errors, (ratings.rating - found) ** 2, atol=1e-4)


def test_products_of_tables_and_matrices() -> None:
    left, matrix = table(ROWS, 7), table(LANE, 8)
    found = np.empty((ROWS, LANE), np.float32)
    multiply(left, matrix, found)
    np.testing.assert_allclose(found, left @ matrix, atol=1e-5)


@pytest.mark.parametrize("of_rows", [False, True])
@pytest.mark.parametrize("most", [2000, 0])
def test_equations_with_histories_are_solved(
    ratings: Ratings, of_rows: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.training.gibbs.side_information.MOST_DECOMPOSED", most)
    row = np.repeat(np.arange(ROWS, dtype=np.int32), ratings.counts)
    transposed, _ = Ratings.of(OTHERS, ratings.other, row, ratings.rating)
    given = (transposed, ratings) if of_rows else (ratings, transposed)
    histories = Histories(*given)
    rows, others = histories.rows, histories.others
    dense = np.zeros((rows, others))
    code, other = (ratings.other, row) if of_rows else (row, ratings.other)
    np.add.at(dense, (code, other), 1)  # row 8 has some pairs twice
    dense /= np.sqrt(np.maximum(dense.sum(axis=1, keepdims=True), 1))
    right = np.random.default_rng(9).normal(size=(others, LANE)).astype(np.float32)
    np.testing.assert_allclose(histories.times(right), dense @ right, atol=1e-5)
    expected = np.linalg.solve(dense.T @ dense + 3 * np.eye(others), right)
    np.testing.assert_allclose(histories.solve(right, 3.0), expected, atol=1e-5 if most else 5e-3)
