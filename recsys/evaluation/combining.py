"""Rows that are made of other rows: the mean of a model's seeds, and a blend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from recsys.evaluation.answers import Answers, clipped
from recsys.evaluation.blending import blend_weights, blended
from recsys.evaluation.comparison import BaselineResult, Combination, ModelResult
from recsys.evaluation.ratings import Tested
from recsys.evaluation.rows import scores
from recsys.evaluation.titles import TITLES

Floats = npt.NDArray[np.floating]

TUNED = ("mf_tuned", "dnn_tuned")
"""The rows whose seeds are averaged."""

BLENDED = (*TUNED, "item_knn", "bias_only")
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
    for name in TUNED:
        if (many := len(answers.test.get(name, []))) > 1:
            title = f"{TITLES[name]} × {many}"
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
