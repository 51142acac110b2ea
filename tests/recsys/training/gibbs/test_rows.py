import numpy as np
import pytest

from recsys.training.gibbs.rows import BLOCK, draw_rows
from recsys.training.gibbs.side_information import Ratings
from tests.recsys.training.gibbs.tables import OTHERS, ROWS, table


@pytest.mark.parametrize("size", [1, 4, 7, 8, 9, 18, 33])
def test_rows_are_drawn_from_their_normal_posteriors(ratings: Ratings, size: int) -> None:
    random = np.random.default_rng(2)
    others, pull = table(OTHERS, 3, size), table(ROWS, 4, size)
    own, theirs = (random.gamma(3, size=many).astype(np.float32) for many in (ROWS, OTHERS))
    root = random.normal(size=(size, size))
    prior = root @ root.T + np.eye(size)
    noise = random.normal(size=(ROWS, size)).astype(np.float32)
    design = others.copy()
    design[:, 0] = 1
    drawn = np.zeros_like(pull)
    offset, lower = np.ascontiguousarray(others[:, 0]), prior[np.tril_indices(size)].astype(np.float32)
    given = (ratings.start, ratings.other, ratings.rating, own, theirs, design, offset, pull, lower, noise, drawn)
    draw_rows(0, 33, BLOCK, *given)
    draw_rows(33, ROWS, BLOCK, *given)
    for row in range(ROWS):
        of_row = slice(ratings.start[row], ratings.start[row + 1])
        x = others[ratings.other[of_row], :size].astype(float)
        deviation = ratings.rating[of_row] - x[:, 0]
        x[:, 0] = 1
        weight = own[row] * theirs[ratings.other[of_row]]
        a = prior + (weight[:, None] * x).T @ x
        right = pull[row, :size] + (weight * deviation) @ x
        lower_a = np.linalg.cholesky(a)
        expected = np.linalg.solve(a, right) + np.linalg.solve(lower_a.T, noise[row])
        np.testing.assert_allclose(drawn[row, :size], expected, rtol=1e-3, atol=1e-3)
    assert not drawn[:, size:].any()
