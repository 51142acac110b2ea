"""Rows that are made of other rows: the mean of a model's seeds, and a blend.

The blend is stacking (Breiman 1996, "Stacked Regressions").
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from recsys.evaluation.inputs import Tested
from recsys.evaluation.predictions import Predictions, clipped, scores
from recsys.evaluation.results import BaselineResult, Combination, ModelResult
from recsys.models.predictor import Floats
from recsys.models.specs import ROW, TUNED


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


def combine(
    rows: Sequence[BaselineResult],
    predicted: Predictions,
    choosing: Floats,
    test: Tested,
    bounds: tuple[float, float] | None,
) -> list[tuple[Combination, npt.NDArray[np.float32]]]:
    """Return the mean of each tuned model's seeds, and the blend of these means with the better baselines.

    `rows` are those of the single models and baselines. `choosing` are the ratings that choose the blend's weights, of
    the same rows as `predicted.validation`. Predictions are clipped to `bounds`.

    Returns:
        Each row with its predictions of the test rows, shape (rows,).
    """
    row = {row.name: row for row in rows}
    averaged = {name: np.asarray(np.mean(fits, axis=0, dtype=np.float64)) for name, fits in predicted.test.items()}

    def combined(
        name: str, title: str, kind: Literal["seeds", "blend"], weights: Mapping[str, float], prediction: Floats
    ) -> tuple[Combination, npt.NDArray[np.float32]]:
        members = [(row[member], len(predicted.test[member])) for member in weights]
        combination = Combination(
            name=name,
            title=title,
            kind=kind,
            members=list(weights),
            weights=list(weights.values()),
            parameters=sum(member.parameters * fits for member, fits in members),
            epochs=0,
            best_epoch=None,
            fit_seconds=round(sum(_seconds(member) for member, _ in members), 3),
            predict_microseconds=sum((member.predict_microseconds or 0) * fits for member, fits in members),
            ranking=None,
            **scores(test, [prediction]),
        )
        return combination, prediction.astype(np.float32)

    found = [
        combined(f"{spec.name}_mean", f"{spec.title} × {many}", "seeds", {spec.name: 1.0}, averaged[spec.name])
        for spec in TUNED
        if (many := len(predicted.test.get(spec.name, []))) > 1
    ]
    candidates = [name for name, spec in ROW.items() if spec.blended and name in averaged]
    members = {name: predicted.validation[name] for name in candidates if name in predicted.validation}
    mean = float(choosing.mean(dtype=np.float64))
    weights = blend_weights(choosing, members, mean)
    if len(weights) > 1:
        prediction = clipped(blended(averaged, weights, mean), bounds)
        found.append(combined("blend", "blend", "blend", weights, prediction))
    return found


def _seconds(row: BaselineResult) -> float:
    return sum(one.fit_seconds for one in row.seeds) if isinstance(row, ModelResult) else row.fit_seconds
