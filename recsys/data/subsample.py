"""Random shares of the training and validation rows, each a part of every larger one.

Ratings are drawn, not users: a share has fewer ratings of the same users and items, and so stands for a sparser table,
not for one of fewer users.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import BadSettings
from recsys.seeding import derive_seed

Rows = npt.NDArray[np.integer]


def subsample(training: Rows, validation: Rows, share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Write a share of the rows to train.npy and validation.npy, and return how many rows there are.

    Args:
        training: row numbers, as `validation`; those that are kept stay in their order.
        share: above 0, up to 1; at least one row of each is kept.
        seed: shares by the same seed are nested.
        folder: exists.

    Raises:
        BadSettings: `share` is not above 0 and up to 1.
    """
    if not 0 < share <= 1:
        raise BadSettings(f"The share is {share}: give a number above 0, up to 1.")
    kept = {
        name: _share_of(rows, share, derive_seed(seed, "learning curve", name))
        for name, rows in (("train", training), ("validation", validation))
    }
    for name, rows in kept.items():
        np.save(folder / f"{name}.npy", rows)
    return {"protocol": "fair", **{f"{name}_rows": len(rows) for name, rows in kept.items()}, "test_rows": 0}


def _share_of(rows: Rows, share: float, seed: int) -> Rows:
    many = max(1, round(share * len(rows)))
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:many])]
