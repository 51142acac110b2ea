"""The rule of one standard error: a model has to beat the simple one that it contains by more than chance may give."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from recsys.store.store import Manifest, Store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SquaredErrors = Callable[[Manifest], "npt.NDArray[np.float64]"]
"""The squared errors of a trial's predictions of the validation ratings, in the order of these: shape (ratings,)."""


def squared_errors(store: Store, codes: Manifest, training: Manifest) -> SquaredErrors:
    """Return the function that reads them of the trials in `store` on this data."""

    @cache
    def observed() -> "npt.NDArray[np.floating]":
        from recsys.training.fit import FitData

        data = FitData.load(store.paths(codes, training))
        ratings: npt.NDArray[np.floating] = data.rating[data.validation]
        return ratings

    def of_trial(trial: Manifest) -> "npt.NDArray[np.float64]":
        import numpy as np

        predicted = np.load(store.path(trial, "validation.npy"), allow_pickle=False)
        errors: npt.NDArray[np.float64] = np.square(observed() - predicted.astype(np.float64))
        return errors

    return of_trial


def is_better_by_chance(errors: "npt.NDArray[np.float64]", simple: "npt.NDArray[np.float64]") -> bool:
    """Whether the mean of paired errors is at most one standard error of the difference below that of a simple model.

    It is the rule of Breiman, Friedman, Olshen and Stone (1984), "Classification and Regression Trees", 3.4.3, with
    the standard error of the difference, as both predict the same ratings.
    """
    gain = simple - errors
    return len(gain) < 2 or bool(gain.mean() <= gain.std(ddof=1) / len(gain) ** 0.5)
