"""Small tables of parameters as the kernels have them."""

import numpy as np

from recsys.training.gibbs.rows import LANE

ROWS, OTHERS, SIZE = 40, 25, 7


def table(rows: int, seed: int, size: int = SIZE) -> np.ndarray:
    found = np.zeros((rows, -(-size // LANE) * LANE), np.float32)
    found[:, :size] = np.random.default_rng(seed).normal(size=(rows, size))
    return found
