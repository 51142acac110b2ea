import numpy as np
import pytest

from recsys.training.gibbs.kernels import multiply, predict, squared_errors
from recsys.training.gibbs.rows import LANE
from recsys.training.gibbs.side_information import Histories, Ratings
from tests.recsys.training.gibbs.tables import OTHERS, ROWS, table


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
