"""Which rows are fitted, which choose, and which judge."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from recsys.errors import BadSettings
from recsys.settings import Protocol, SplitSettings


def split(rows: int, settings: SplitSettings, protocol: Protocol, folder: Path) -> dict[str, Any]:
    """Write train.npy, validation.npy and test.npy, row numbers in the order scikit-learn draws them.

    The test rows are those of `train_test_split(ratings, test_size=…, random_state=…)` under both
    protocols. In `fair`, validation rows are then carved from the training rows with the same
    seed; in `notebook`, the test rows are the validation rows, as they are in the notebook.

    Args:
        rows: number of ratings.
        settings: sizes and random state.
        protocol: `fair` or `notebook`.
        folder: an existing folder.

    Returns:
        train_rows, validation_rows, test_rows.

    Raises:
        BadSettings: one of the parts would be empty.
    """
    numbers = np.arange(rows, dtype=np.int32 if rows < 2**31 else np.int64)
    try:
        train, test = train_test_split(numbers, test_size=settings.test_size, random_state=settings.split_seed)
        validation = test
        if protocol == "fair":
            train, validation = train_test_split(
                train, test_size=settings.validation_size, random_state=settings.split_seed
            )
    except ValueError as error:
        raise BadSettings(
            f"{rows:,} ratings are too few to hold out {settings.test_size:g} for the test and "
            f"{settings.validation_size:g} of the rest for validation: use more ratings or other shares."
        ) from error
    parts = {"train": train, "validation": validation, "test": test}
    for name, part in parts.items():
        np.save(folder / f"{name}.npy", part)
    return {f"{name}_rows": len(part) for name, part in parts.items()}
