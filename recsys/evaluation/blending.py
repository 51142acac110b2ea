"""A weighted sum of rows, its weights chosen on validation ratings (stacking: Breiman 1996, "Stacked Regressions")."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Floats = npt.NDArray[np.floating]


def blend_weights(rating: Floats, predicted: Mapping[str, Floats], mean: float) -> dict[str, float]:
    """Return the weights, none below 0, of the sum that errs least: mean + sum of w (prediction - mean).

    Args:
        rating: shape (rows,), ratings that none of the predictions was fitted to.
        predicted: name -> predictions of these rows, shape (rows,).
        mean: what a prediction of nothing is, in rating units.

    Returns:
        The names whose weight is not 0: none, where no prediction differs from the mean.
    """
    deviations = np.stack([prediction.astype(np.float64) - mean for prediction in predicted.values()], axis=1)
    # the normal equations are small where the rows are millions; einsum, as the bits of BLAS depend on the cores
    gram = np.einsum("ri,rj->ij", deviations, deviations)
    target = np.einsum("ri,r->i", deviations, rating.astype(np.float64) - mean)
    if not gram.any():
        return {}
    ridge = 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
    root = np.linalg.cholesky(gram + ridge).T
    weights, _ = nnls(root, np.linalg.solve(root.T, target))
    return {name: float(weight) for name, weight in zip(predicted, weights, strict=True) if weight > 0}


def blended(predicted: Mapping[str, Floats], weights: Mapping[str, float], mean: float) -> Floats:
    """Return the weighted sum of the rows that have a weight, shape (rows,)."""
    total = np.full(len(next(iter(predicted.values()))), mean)
    for name, weight in weights.items():
        total += weight * (predicted[name].astype(np.float64) - mean)
    return total
