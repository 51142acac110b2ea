"""What goes into a training and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FitData:
    """Ratings as codes, and which of them to fit and to validate on.

    Attributes:
        user: int32, shape (ratings,), code of the user of each rating; may be memory-mapped.
        item: int32, shape (ratings,), code of the item of each rating; may be memory-mapped.
        rating: float32, shape (ratings,), in rating units; may be memory-mapped.
        train: row numbers to fit on.
        validation: row numbers that early stopping reads.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    train: npt.NDArray[np.integer]
    validation: npt.NDArray[np.integer]

    @property
    def mean(self) -> float:
        """Mean of the training ratings, in rating units."""
        return float(self.rating[self.train].mean(dtype=np.float64))

    @classmethod
    def load(cls, arrays: Mapping[str, Path]) -> Self:
        """Map the .npy files of an encoded and split data set into memory.

        Args:
            arrays: field name -> path.
        """
        return cls(**{field.name: np.load(arrays[field.name], mmap_mode="r") for field in fields(cls)})


@dataclass(frozen=True)
class Fit:
    """The course of a training.

    Attributes:
        loss: mean squared error over the training rows while training, one entry an epoch.
        val_loss: mean squared error over the validation rows after each epoch.
        best_epoch: epoch (1-based) of the lowest validation loss.
        scored_epoch: epoch (1-based) whose weights the model now holds.
        stopped_early: whether early stopping ended the training before its last epoch.
        seconds: wall-clock time of the training.
        engine: which engine trained.
        device: what it trained on, such as "CPU".
    """

    loss: list[float]
    val_loss: list[float]
    best_epoch: int
    scored_epoch: int
    stopped_early: bool
    seconds: float
    engine: str
    device: str
