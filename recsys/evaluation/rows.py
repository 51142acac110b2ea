"""One row of the table from its predictions: errors, their spread over seeds, and how the training went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recsys.evaluation.comparison import History, ModelResult, Score, SeedResult, Spread
from recsys.evaluation.effect import LEVEL
from recsys.evaluation.metrics import score, user_rmse
from recsys.evaluation.ratings import Tested
from recsys.evaluation.titles import TITLES

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Fitted:
    """One trained model on disk.

    Attributes:
        seed: its initialisation seed.
        path: its .keras file.
        facts: what `recsys.training.train.train_and_save` returned.
    """

    seed: int
    path: Path
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    """A model of the comparison, trained with one seed or several.

    Attributes:
        fits: one a seed.
        chosen: the facts of the fit that chose the number of epochs on validation rows, where the fits are
            others, made with these rows as well.
        validation: .npy file of that fit's predictions of the validation rows, where they were kept.
    """

    fits: Sequence[Fitted]
    chosen: Mapping[str, Any] | None = None
    validation: Path | None = None


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
        history=History(loss=chosen["loss"], val_loss=chosen["val_loss"]),
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
