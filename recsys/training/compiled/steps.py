"""What the engine asks of whatever takes the training steps of a model."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from recsys.training.compiled.deferred_adam import Floats
from recsys.training.fit import Batches

ROWS_PER_CALL = 1 << 17
"""Training ratings in one call: 0.1 to 1 s of work, after which progress is told and stop signals are heard."""

VALIDATION_BATCH = 8192
"""Ratings in one forward pass over validation rows."""

Weights = list[npt.NDArray[np.float32]]
"""Values of a model's variables, in the order of `Anatomy.variables`."""


class Steps(Protocol):
    """The weights of a model under way, with Adam's moments, and the steps that change them.

    Attributes:
        device: what they run on, such as "CPU".
    """

    device: str

    def train(self, batches: Batches, alphas: Floats, tails: Floats, first: int) -> float:
        """Take a step for each of `alphas`; return the sum of the squared errors, each measured before its step.

        Args:
            batches: at least as many batches; what follows them is padding.
            alphas: α of each step, float32 of shape (steps,).
            tails: H and H' before the first and after each step, float32 of shape (steps + 1, 2).
            first: the number of the first step in the training, from 1.
        """

    def settle(self, step: int, next_tail: Floats) -> None:
        """Let all rows catch up with an epoch's last step; `next_tail` is H and H' before the next epoch's first."""

    def squared_error(self, batches: Batches) -> float:
        """Return the sum of the squared errors of one batch, as in inference; the tables are settled."""

    def weights(self) -> Weights:
        """Return what the model's variables would hold now; the tables are settled."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights and moments by name, for a checkpoint."""

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
