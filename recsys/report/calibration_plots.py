"""Mean rating where so much was predicted, beside the diagonal on which the two agree."""

import numpy as np
import pandas as pd

from recsys.evaluation.calibration import Calibration, calibration
from recsys.evaluation.comparison import BaselineResult, Comparison
from recsys.report.calibrated import calibration_sentence
from recsys.report.canvas import finished, plain_ticks, stacked
from recsys.report.palette import LIGHT, look_of
from recsys.report.picture import Plot, file_name
from recsys.report.prediction_plots import row_counts
from recsys.report.standing import best_network, bias_only, factorisation, rmse_step
from recsys.report.wording import number


def calibrations(comparison: Comparison, predictions: pd.DataFrame) -> list[Plot]:
    """One picture for the factorisation, the best network and bias_only, as far as they have predictions."""
    rows = (factorisation(comparison), best_network(comparison), bias_only(comparison))
    shown = [row for row in rows if row is not None and row.name in predictions.columns]
    user = pd.factorize(predictions["user"])[0]
    actual = predictions["rating"].to_numpy(np.float64)
    found = [calibration(user, actual, predictions[row.name].to_numpy(np.float64)) for row in shown]
    return [_picture(comparison, row, of_row) for row, of_row in zip(shown, found, strict=True)]


def _picture(comparison: Comparison, row: BaselineResult, found: Calibration) -> Plot:
    figure, upper, lower = stacked(3.7)
    shape, step = look_of(row), rmse_step(comparison)
    predicted = np.array([entry.predicted for entry in found.bins])
    actual = np.array([entry.actual for entry in found.bins])
    reach = np.array([entry.reach or 0.0 for entry in found.bins])
    ends = [min(predicted.min(), actual.min()), max(predicted.max(), actual.max())]
    upper.plot(ends, ends, color=LIGHT["soft"], linewidth=1, linestyle=(0, (2.0, 2.0)))
    upper.vlines(predicted, actual - reach, actual + reach, color=shape.colour, linewidth=1)
    upper.plot(predicted, actual, color=shape.colour, marker=shape.marker, linestyle="none", markersize=6)
    upper.set_ylabel("mean rating")
    upper.tick_params(axis="x", length=0)
    figure.align_ylabels([upper, lower])
    narrowest = float(np.diff(predicted).min()) if len(predicted) > 1 else 1.0
    row_counts(lower, predicted, [entry.rows for entry in found.bins], width=0.7 * narrowest)
    lower.set_xlabel("mean prediction (rating units)")
    plain_ticks(upper, y=True)
    plain_ticks(lower, x=True)
    told = "; ".join(
        f"{number(entry.predicted, step)}: {number(entry.actual, step)} ({entry.rows:,})" for entry in found.bins
    )
    alt = f"{row.title}: mean rating (and number of ratings) by mean prediction: {told}."
    name = f"calibration-{file_name(row.name)}"
    return finished(figure, name, "calibration", calibration_sentence(row.title, found, step), alt)
