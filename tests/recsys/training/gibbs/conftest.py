import numpy as np
import pytest

from recsys.training.gibbs.side_information import Ratings
from tests.recsys.training.gibbs.tables import OTHERS, ROWS


@pytest.fixture
def ratings() -> Ratings:
    random = np.random.default_rng(1)
    pairs = random.permutation(ROWS * OTHERS)[:300]
    row, other = (pairs // OTHERS).astype(np.int32), (pairs % OTHERS).astype(np.int32)
    row[row == 7] = 8  # a row without ratings
    return Ratings.of(ROWS, row, other, random.normal(size=300).astype(np.float32))[0]
