"""Vectors and biases of users and items, which are all that a factor model is, and what they predict.

prediction(u, i) = mean + b_u + c_i + p_u · q_i
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.arrays import as_pairs
from recsys.models.histories import kernel

Codes = npt.NDArray[np.int32]
Tables = npt.NDArray[np.float32]


class Factors(NamedTuple):
    """Vectors and biases of all users and items.

    Attributes:
        user: shape (users, size); without columns the biases alone are left.
        item: shape (items, size).
        user_bias: shape (users,).
        item_bias: shape (items,).
        mean: what a prediction without biases and vectors is.
    """

    user: npt.NDArray[np.floating]
    item: npt.NDArray[np.floating]
    user_bias: npt.NDArray[np.floating]
    item_bias: npt.NDArray[np.floating]
    mean: float


def deviations(factors: Factors, user: Codes, item: Codes) -> Tables:
    """Return b_u + c_i + p_u · q_i of each pair, float32 of shape (pairs,).

    Raises:
        BadIds: there is no such code.
    """
    user, item = as_pairs(user, item, len(factors.user_bias), len(factors.item_bias))
    found: Tables = _deviations(user, item, *factors[:-1])
    return found


@kernel
def _deviations(user: Codes, item: Codes, users: Tables, items: Tables, user_bias: Tables, item_bias: Tables) -> Tables:
    found = np.empty(len(user), np.float32)
    for at in range(len(user)):
        left, right = users[user[at]], items[item[at]]
        dot = np.float32(0)
        for k in range(len(left)):
            dot += left[k] * right[k]
        found[at] = user_bias[user[at]] + item_bias[item[at]] + dot
    return found
