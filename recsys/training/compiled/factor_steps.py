"""Training steps of matrix factorisation, without XLA: a loop over the ratings does them more than twice as fast.

There is nothing to compile for each architecture or batch size, and weights and moments are held once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.memory import require_memory
from recsys.training.compiled.deferred_adam import Floats
from recsys.training.compiled.factor_form import FactorForm, SideForm
from recsys.training.compiled.factor_kernel import LAST, Side, W, powers, settle, squared_errors, take_steps
from recsys.training.compiled.steps import Weights
from recsys.training.fit import Batches

SIDES = ("user", "item")


class FactorSteps:
    """Steps of a model that has a `FactorForm`, on the CPU; `recsys.training.compiled.steps.Steps` describes them."""

    device = "CPU"

    def __init__(self, form: FactorForm, weights: Weights, tail: Floats, batch: int) -> None:
        """Begin with the `weights` of the model; `tail` is H and H' before the first step.

        Raises:
            NotEnoughMemory: there is no room for the moments.
        """
        self._form, self._offset, self._powers = form, np.float32(form.offset), powers()
        self._sides = [_side(side, form.size, weights, tail, batch) for side in (form.user, form.item)]

    def train(self, batches: Batches, alphas: Floats, tails: Floats, first: int) -> float:
        """Take a step for each of `alphas`; return the sum of the squared errors."""
        users, items = self._sides
        steps = np.ascontiguousarray(alphas), np.ascontiguousarray(tails), first
        return take_steps(users, items, *batches, *steps, self._offset, self._powers)

    def settle(self, step: int, next_tail: Floats) -> None:
        """Let all rows catch up with an epoch's last step."""
        for side in self._sides:
            settle(side, step, next_tail[0], next_tail[1], self._powers)

    def squared_error(self, batches: Batches) -> float:
        """Return the sum of the squared errors of one batch."""
        users, items = self._sides
        user, item, rating, counts = batches
        return squared_errors(users, items, user, item, rating, counts[0], self._offset)

    def weights(self) -> Weights:
        """Return what the model's variables would hold now."""
        found: dict[int, Floats] = {}
        for form, side in zip((self._form.user, self._form.item), self._sides, strict=True):
            if form.factors is not None:
                found[form.factors] = side.values[:, W, : self._form.size].copy()
            if form.bias is not None:
                found[form.bias] = side.values[:, W, self._form.size :].copy()
        return [found[number] for number in range(len(found))]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights and moments by name."""
        return {
            f"{name}-{part}": array
            for name, side in zip(SIDES, self._sides, strict=True)
            for part, array in (("values", side.values), ("tails", side.tails), ("last", side.notes[:, LAST]))
        }

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        for name, array in self.arrays().items():
            array[...] = arrays[name]


def _side(form: SideForm, size: int, weights: Weights, tail: Floats, batch: int) -> Side:
    parts = [weights[number] for number in (form.factors, form.bias) if number is not None]
    rows, width = len(parts[0]), sum(part.shape[1] for part in parts)
    needed = 4 * (rows * (3 * width + 5) + batch * (2 * width + 2))
    require_memory(f"Training a table of {rows:,} rows of {width:,} numbers and their moments", needed)
    values = np.zeros((rows, 3, width), np.float32)
    np.concatenate(parts, axis=1, out=values[:, W])
    return Side(
        values=values,
        tails=np.tile(tail, (rows, 1)),
        notes=np.zeros((rows, 3), np.int32),
        batch=np.zeros((batch, 2), np.int32),
        sums=np.zeros((batch, 2, width), np.float32),
        penalties=np.array(form.penalties, np.float32),
        factors=np.zeros(size, np.float32),
    )
