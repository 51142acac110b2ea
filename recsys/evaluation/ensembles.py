"""Rows that are made of other rows: the mean of a model's seeds, and a blend.

The blend is stacking (Breiman 1996, "Stacked Regressions").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from recsys.evaluation.inputs import Tested
from recsys.evaluation.predictions import Answers, clipped, scores
from recsys.evaluation.results import BaselineResult, Combination, ModelResult
from recsys.models.specs import ROW, TUNED

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


BLENDED = tuple(spec.name for spec in ROW.values() if spec.blended)
"""The rows that may be blended; of a tuned one the mean of its seeds."""


@dataclass(frozen=True)
class Combined:
    """A row with its predictions of the test rows, float32 of shape (rows,)."""

    row: Combination
    prediction: npt.NDArray[np.float32]


def combine(
    rows: Sequence[BaselineResult],
    answers: Answers,
    choosing: Floats,
    test: Tested,
    bounds: tuple[float, float] | None,
) -> dict[str, Combined]:
    """Return the mean of each tuned model's seeds, and the blend of these means with the better baselines.

    Args:
        rows: of the single models and baselines.
        answers: what they predict.
        choosing: the ratings that choose the blend's weights, shape (choosing rows,).
        test: the test rows.
        bounds: what predictions are clipped to.
    """
    by_name = {row.name: row for row in rows}
    found = {}
    averaged = {name: np.asarray(np.mean(fits, axis=0, dtype=np.float64)) for name, fits in answers.test.items()}
    for spec in TUNED:
        name = spec.name
        if (many := len(answers.test.get(name, []))) > 1:
            title = f"{spec.title} × {many}"
            found[f"{name}_mean"] = _combined(
                f"{name}_mean", title, "seeds", {name: 1.0}, by_name, averaged[name], test
            )
    members = {name: answers.validation[name] for name in BLENDED if name in answers.validation and name in averaged}
    mean = float(choosing.mean(dtype=np.float64))
    weights = blend_weights(choosing, members, mean)
    if len(weights) > 1:
        prediction = clipped(blended(averaged, weights, mean), bounds)
        found["blend"] = _combined("blend", "blend", "blend", weights, by_name, prediction, test)
    return found


def _combined(
    name: str,
    title: str,
    kind: Literal["seeds", "blend"],
    weights: Mapping[str, float],
    rows: Mapping[str, BaselineResult],
    prediction: Floats,
    test: Tested,
) -> Combined:
    members = [rows[member] for member in weights]
    row = Combination(
        name=name,
        title=title,
        kind=kind,
        members=list(weights),
        weights=list(weights.values()),
        parameters=sum(member.parameters * _fits(member) for member in members),
        epochs=0,
        best_epoch=None,
        fit_seconds=round(sum(map(_seconds, members)), 3),
        predict_microseconds=sum((member.predict_microseconds or 0) * _fits(member) for member in members),
        ranking=None,
        **scores(test, [prediction]),
    )
    return Combined(row, prediction.astype(np.float32))


def _fits(row: BaselineResult) -> int:
    return len(row.seeds) if isinstance(row, ModelResult) else 1


def _seconds(row: BaselineResult) -> float:
    return sum(one.fit_seconds for one in row.seeds) if isinstance(row, ModelResult) else row.fit_seconds
