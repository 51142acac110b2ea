"""Predictions of the test ratings, clipped and with bias_only for cold ratings, and their metrics."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.blocks import TEMPORARY, Scratch, give_back, in_blocks
from recsys.evaluation.inputs import Tested, TrainedModel
from recsys.evaluation.metrics import rating_scores
from recsys.evaluation.results import LearningCurve, ModelResult, Ranking, Score, SeedResult, Spread
from recsys.evaluation.thresholds import LEVEL
from recsys.models.predictor import Codes, Floats, Predictor, clipped
from recsys.models.specs import ROW

BLOCK = 1 << 22
"""Predictions that are made at once; a multiple of what any model predicts at once, so that it changes no bit."""


def predict(
    predictor: Predictor, test: Tested, bounds: tuple[float, float] | None, scratch: Scratch
) -> npt.NDArray[np.float32]:
    """Return predictions of the test ratings, shape (rows,), clipped where there are bounds."""
    blocks = (clipped(block, bounds) for block in _predicted(predictor, test))
    return scratch.column(np.float32, len(test.user), blocks)


def _predicted(predictor: Predictor, test: Tested) -> Iterator[Floats]:
    for start in range(0, len(test.user), BLOCK):
        rows = slice(start, start + BLOCK)
        yield predictor.predict(test.user[rows], test.item[rows])
        give_back(test.user, test.item)


@dataclass
class Predictions:
    """The predictions of all models and baselines.

    Attributes:
        scratch: where they are kept.
        test: name -> predictions of the test ratings, float32 of shape (rows,), one for each fit.
        microseconds: name -> time of one prediction.
        ranking: name -> ranking metrics of the first fit.
        clipped: name -> how many predictions of the first fit had to be clipped.
    """

    scratch: Scratch
    test: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    microseconds: dict[str, float] = field(default_factory=dict)
    ranking: dict[str, Ranking | None] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, predictor: Predictor, test: Tested, bounds: tuple[float, float] | None) -> None:
        """Add the predictions of one fit."""
        low, high = bounds or (-np.inf, np.inf)
        beyond, seconds = 0, 0.0

        def made() -> Iterator[Floats]:
            nonlocal beyond, seconds
            start = time.perf_counter()
            for block in _predicted(predictor, test):
                seconds += time.perf_counter() - start
                prediction = block.astype(np.float32, copy=False)
                beyond += int(np.count_nonzero((prediction < low) | (prediction > high)))
                yield clipped(prediction, bounds)
                start = time.perf_counter()

        found = self.scratch.column(np.float32, len(test.user), made())
        if name not in self.test:
            self.microseconds[name] = 1e6 * seconds / len(found)
            self.clipped[name] = beyond
        self.test.setdefault(name, []).append(found)


def scores(test: Tested, predicted: Sequence[Floats], scratch: Scratch = TEMPORARY) -> dict[str, Any]:
    """Return the metrics of the predictions of one or more fits, shape (rows,) each, averaged: fields of a row."""

    def mean(rating: Floats, user: Codes, fits: Iterable[Floats], *, of_subset: bool) -> dict[str, float | None]:
        scored = [rating_scores(rating, prediction, user, of_subset=of_subset) for prediction in fits]
        known = {key: [value for fit in scored if (value := fit[key]) is not None] for key in scored[0]}
        return {key: float(np.mean(values)) if values else None for key, values in known.items()}

    def subset(cold: bool) -> Score | None:
        rows = sum(int(np.count_nonzero(block == cold)) for (block,) in in_blocks(test.cold))
        if not rows:
            return None

        def part(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
            if rows == len(column):
                return column
            blocks = in_blocks(column, test.cold)
            return scratch.column(column.dtype, rows, (block[of == cold] for block, of in blocks))

        found = mean(part(test.rating), part(test.user), map(part, predicted), of_subset=True)
        return Score.model_validate({"rows": rows, **found})

    everything = mean(test.rating, test.user, predicted, of_subset=False)
    return {**everything, "warm": subset(False), "cold": subset(True)}


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
        **scores(test, predicted.test[name], predicted.scratch),
        **more,
    )


def _spread(mse: Sequence[float]) -> Spread | None:
    if len(mse) < 2:
        return None
    mean, sd = float(np.mean(mse)), float(np.std(mse, ddof=1))
    reach = float(stdtrit(len(mse) - 1, 1 - LEVEL / 2)) * sd / len(mse) ** 0.5
    return Spread(sd=sd, low=mean - reach, high=mean + reach)
