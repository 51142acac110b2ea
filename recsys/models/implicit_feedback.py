"""Which items a user has rated, apart from how: the implicit feedback that SVD++ reads."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

USER_BITS = np.uint64(32)
"""A key is the user above these bits and a place in the user's list of items below them."""


class ImplicitFeedback(NamedTuple):
    """For each user some of the items that the user has rated, shape (users, length).

    Attributes:
        items: item codes; where a user has fewer, one more than the last code.
        weights: the number of the user's items in the row to the power of -1/2, and 0 where there is no item.
    """

    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


def rated_items(
    user: npt.NDArray[np.int32], item: npt.NDArray[np.int32], users: int, items: int, length: int, seed: int
) -> ImplicitFeedback:
    """Return the implicit feedback of all users; where a user has rated more items, `length` of them are drawn.

    Every user reads a shuffled list of all items, each from a place of their own: the first `length` rated
    items found are a draw without replacement. A key of 8 bytes a rating is all that is sorted.

    Args:
        user: codes of the ratings' users, shape (ratings,).
        item: codes of the ratings' items, shape (ratings,); an item rated twice counts once.
        users: number of user codes; `items` of item codes.
        length: items of a user, at most, drawn by `seed`.
    """
    random = np.random.default_rng(seed)
    listed = random.permutation(items)
    start = random.integers(items, size=users, dtype=np.int32)
    place = np.empty(items, np.int32)
    place[listed] = np.arange(items)

    offset = place[item]
    offset -= start[user]
    offset %= items
    keys = np.full(len(user) + 1, users, np.uint64)  # the last one ends the last user's list
    keys[:-1] = user
    keys <<= USER_BITS
    keys[:-1] |= offset.view(np.uint32)
    keys.sort()
    keys = keys[np.append(True, keys[1:] != keys[:-1])]

    ends = np.searchsorted(keys, np.arange(users + 1, dtype=np.uint64) << USER_BITS)
    counts = np.minimum(np.diff(ends), length)[:, None]
    column = np.arange(length)
    found = keys.take(ends[:-1, None] + column, mode="clip") & np.uint64(2**32 - 1)
    there = column < counts
    codes = np.where(there, listed[(found.astype(np.int64) + start[:, None]) % items], items)
    weights = np.where(there, 1 / np.sqrt(np.maximum(counts, 1)), 0)
    return ImplicitFeedback(codes.astype(np.int32), weights.astype(np.float32))
