"""Predictions of the test ratings, clipped and with bias_only for cold ratings, and their metrics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.evaluation.inputs import Tested, TrainedModel
from recsys.evaluation.metrics import rating_scores
from recsys.evaluation.results import LearningCurve, ModelResult, Ranking, Score, SeedResult, Spread
from recsys.evaluation.thresholds import LEVEL
from recsys.models.predictor import Floats, Predictor, clipped
from recsys.models.specs import ROW

BLOCK = 1 << 22
"""Predictions that are made at once; a multiple of what any model predicts at once, so that it changes no bit."""


@dataclass
class Predictions:
    """The predictions of all models and baselines.

    Attributes:
        test: name -> predictions of the test ratings, float32 of shape (rows,), one for each fit.
        microseconds: name -> time of one prediction.
        ranking: name -> ranking metrics of the first fit.
        clipped: name -> how many predictions of the first fit had to be clipped.
    """

    test: dict[str, list[Floats]] = field(default_factory=dict)
    microseconds: dict[str, float] = field(default_factory=dict)
    ranking: dict[str, Ranking | None] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, predictor: Predictor, test: Tested, bounds: tuple[float, float] | None) -> None:
        """Add the predictions of one fit."""
        start = time.perf_counter()
        prediction = np.empty(len(test.user), np.float32)
        for first in range(0, len(prediction), BLOCK):  # in double precision all of them would be gigabytes
            rows = slice(first, first + BLOCK)
            prediction[rows] = predictor.predict(test.user[rows], test.item[rows])
        taken = time.perf_counter() - start
        if name not in self.test:
            self.microseconds[name] = 1e6 * taken / len(prediction)
            low, high = bounds or (-np.inf, np.inf)
            self.clipped[name] = int(((prediction < low) | (prediction > high)).sum())
        self.test.setdefault(name, []).append(clipped(prediction, bounds))


def scores(test: Tested, predicted: Sequence[Floats]) -> dict[str, Any]:
    """Return the metrics of the predictions of one or more fits, shape (rows,) each, averaged: fields of a row."""

    def mean(rows: npt.NDArray[np.bool_] | slice, *, of_subset: bool) -> dict[str, float | None]:
        rating, user = test.rating[rows], test.user[rows]
        fits = [rating_scores(rating, prediction[rows], user, of_subset=of_subset) for prediction in predicted]
        known = {key: [value for fit in fits if (value := fit[key]) is not None] for key in fits[0]}
        return {key: float(np.mean(values)) if values else None for key, values in known.items()}

    def subset(rows: npt.NDArray[np.bool_]) -> Score | None:
        return Score.model_validate({"rows": int(rows.sum()), **mean(rows, of_subset=True)}) if rows.any() else None

    return {**mean(slice(None), of_subset=False), "warm": subset(~test.cold), "cold": subset(test.cold)}


def model_result(
    name: str, model: TrainedModel, test: Tested, predicted: Predictions, more: Mapping[str, Any]
) -> ModelResult:
    """Return the row of a model; `more` are fields that neither its fits nor its predictions tell."""
    first = model.fits[0].facts
    chosen = model.chosen or first
    seeds = []
    for fit, prediction in zip(model.fits, predicted.test[name], strict=True):
        found = {"seed": fit.seed, "fit_seconds": round(fit.facts["seconds"], 3)}
        seeds.append(SeedResult.model_validate(found | rating_scores(test.rating, prediction, test.user)))
    return ModelResult(
        name=name,
        title=ROW[name].title,
        epochs=len(chosen["loss"]),
        fit_seconds=round(first["seconds"], 3),
        history=LearningCurve(loss=chosen["loss"], val_loss=chosen["val_loss"], seconds=round(chosen["seconds"], 3)),
        **{key: first.get(key) for key in ("peak_mb", "watt_hours", "energy_unmeasured")},
        file_bytes=model.fits[0].path.stat().st_size,
        clipped_rows=predicted.clipped[name],
        predict_microseconds=predicted.microseconds[name],
        settings=chosen["settings"],
        ranking=predicted.ranking[name],
        seeds=seeds,
        spread=_spread([one.mse for one in seeds]),
        **{key: first[key] for key in ("parameters", "summary", "engine", "device", "started", "ended")},
        **{key: chosen[key] for key in ("best_epoch", "scored_epoch", "stopped_early")},
        **scores(test, predicted.test[name]),
        **more,
    )


def _spread(mse: Sequence[float]) -> Spread | None:
    if len(mse) < 2:
        return None
    mean, sd = float(np.mean(mse)), float(np.std(mse, ddof=1))
    reach = float(stdtrit(len(mse) - 1, 1 - LEVEL / 2)) * sd / len(mse) ** 0.5
    return Spread(sd=sd, low=mean - reach, high=mean + reach)
