"""What a row predicts, clipped and with the biases for cold ids, and its errors."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.evaluation.inputs import Tested, TrainedModel
from recsys.evaluation.metrics import score, user_rmse
from recsys.evaluation.results import LearningCurve, ModelResult, Ranking, Score, SeedResult, Spread
from recsys.evaluation.significance import LEVEL
from recsys.evaluation.titles import TITLES
from recsys.models.baselines import Baseline
from recsys.models.predictor import Codes, Predict

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Warm:
    """Which users and items have a rating that was fitted: bool, shape (users,) and (items,)."""

    users: npt.NDArray[np.bool_]
    items: npt.NDArray[np.bool_]

    @classmethod
    def after(cls, user: Codes, item: Codes, users: int, items: int) -> "Warm":
        """Return who is warm when the ratings of these codes were fitted."""
        return cls(np.bincount(user, minlength=users) > 0, np.bincount(item, minlength=items) > 0)

    def cold(self, user: Codes, item: Codes) -> npt.NDArray[np.bool_]:
        """Return which rows have a user or an item that is not warm."""
        return ~(self.users[user] & self.items[item])


def with_biases_where_cold(predict: Predict, biases: Baseline, warm: Warm) -> Predict:
    """Return `predict` with the answer of `biases` in every cold row."""

    def answer(user: Codes, item: Codes) -> Floats:
        prediction, cold = np.array(predict(user, item)), warm.cold(user, item)
        prediction[cold] = biases.predict(user[cold], item[cold])
        return prediction

    return answer


def outside(prediction: Floats, bounds: tuple[float, float] | None) -> int:
    """Return how many predictions lie outside of the bounds."""
    return int(((prediction < bounds[0]) | (prediction > bounds[1])).sum()) if bounds else 0


def clipped(prediction: Floats, bounds: tuple[float, float] | None) -> Floats:
    """Return the predictions, moved to the nearer of the bounds where they lie outside."""
    return np.clip(prediction, *bounds) if bounds else prediction


@dataclass
class Answers:
    """What the rows predict of the test ratings, and what it took.

    Attributes:
        test: name -> predictions, float32 of shape (rows,), one for each fit.
        validation: name -> predictions of the choosing rows by what was fitted without them.
        microseconds: name -> time of one prediction.
        ranking: name -> how well the lists of the first fit are ordered.
        clipped: name -> predictions of the first fit that were outside of the scale.
    """

    test: dict[str, list[Floats]] = field(default_factory=dict)
    validation: dict[str, Floats] = field(default_factory=dict)
    microseconds: dict[str, float] = field(default_factory=dict)
    ranking: dict[str, Ranking | None] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, predict: Predict, test: Tested, bounds: tuple[float, float] | None) -> None:
        """Note the predictions of one fit."""
        start = time.perf_counter()
        prediction = predict(test.user, test.item).astype(np.float32, copy=False)
        taken = time.perf_counter() - start
        if name not in self.test:
            self.microseconds[name] = 1e6 * taken / len(prediction)
            self.clipped[name] = outside(prediction, bounds)
        self.test.setdefault(name, []).append(clipped(prediction, bounds))


def scores(test: Tested, predicted: Sequence[Floats]) -> dict[str, Any]:
    """Return the errors of some predictions, each of shape (rows,), averaged: the fields of a row."""
    whole = [score(test.rating, prediction) for prediction in predicted]
    by_user = [user_rmse(test.user, test.rating, prediction) for prediction in predicted]

    def part(rows: npt.NDArray[np.bool_]) -> Score | None:
        return _mean([score(test.rating[rows], prediction[rows]) for prediction in predicted]) if rows.any() else None

    return {
        **_mean(whole).model_dump(exclude={"rows"}),
        "user_rmse": float(np.mean(by_user)),
        "warm": part(~test.cold),
        "cold": part(test.cold),
    }


def _mean(found: Sequence[Score]) -> Score:
    if len(found) == 1:
        return found[0]
    r2 = [one.r2 for one in found if one.r2 is not None]
    return Score(
        rows=found[0].rows,
        **{name: float(np.mean([getattr(one, name) for one in found])) for name in ("mse", "rmse", "mae")},
        r2=float(np.mean(r2)) if r2 else None,
    )


def model_result(
    name: str,
    model: TrainedModel,
    test: Tested,
    predicted: Sequence[Floats],
    *,
    refitted_rows: int | None,
    **further: Any,
) -> ModelResult:
    """Return the row of a model.

    Args:
        name: of the row.
        model: how it was trained.
        test: the test rows.
        predicted: the predictions of each fit, shape (rows,).
        refitted_rows: how many rows were fitted for the scored weights, where another fit chose the epochs.
        further: other fields of the row.
    """
    first = model.fits[0].facts
    chosen = model.chosen or first
    each = [score(test.rating, prediction) for prediction in predicted]
    return ModelResult(
        name=name,
        title=TITLES[name],
        parameters=first["parameters"],
        epochs=len(chosen["loss"]),
        best_epoch=chosen["best_epoch"],
        fit_seconds=round(first["seconds"], 3),
        history=LearningCurve(loss=chosen["loss"], val_loss=chosen["val_loss"]),
        scored_epoch=chosen["scored_epoch"],
        stopped_early=chosen["stopped_early"],
        started=first["started"],
        ended=first["ended"],
        settings=chosen["settings"],
        summary=first["summary"],
        engine=first["engine"],
        device=first["device"],
        peak_mb=first.get("peak_mb"),
        file_bytes=model.fits[0].path.stat().st_size,
        refitted_rows=refitted_rows,
        seeds=[
            SeedResult(
                seed=fit.seed, mse=one.mse, rmse=one.rmse, mae=one.mae, fit_seconds=round(fit.facts["seconds"], 3)
            )
            for fit, one in zip(model.fits, each, strict=True)
        ],
        spread=_spread([one.mse for one in each]),
        **scores(test, predicted),
        **further,
    )


def _spread(mse: Sequence[float]) -> Spread | None:
    if len(mse) < 2:
        return None
    mean, sd = float(np.mean(mse)), float(np.std(mse, ddof=1))
    reach = float(stdtrit(len(mse) - 1, 1 - LEVEL / 2)) * sd / len(mse) ** 0.5
    return Spread(sd=sd, low=mean - reach, high=mean + reach)
