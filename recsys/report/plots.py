"""Every picture of the report, in its order."""

import pandas as pd

from recsys.evaluation.comparison import Comparison
from recsys.report.calibration_plots import calibrations
from recsys.report.canvas import style
from recsys.report.cost_plots import accuracy_against_cost
from recsys.report.evidence_plots import differences
from recsys.report.loss_plots import losses
from recsys.report.picture import Plot
from recsys.report.prediction_plots import errors_by_activity, predicted_against_actual
from recsys.report.score_plots import costs, errors, histogram
from recsys.report.standing import scored


def draw_plots(comparison: Comparison, predictions: pd.DataFrame) -> list[Plot]:
    """Draw the report's plots; those that have nothing to show are left out.

    Args:
        comparison: what the run found.
        predictions: one row per test rating, with the columns user, item, rating, cold, user_ratings,
            item_ratings and one per scored model and baseline.
    """
    with style():
        plots = [errors(comparison), costs(comparison)] if scored(comparison) else []
        plots += differences(comparison)
        if scored(comparison):
            plots.append(accuracy_against_cost(comparison))
        if comparison.data.histogram:
            plots.append(histogram(comparison))
        plots += losses(comparison)
        if not predictions.empty:
            plots += predicted_against_actual(comparison, predictions)
            plots += errors_by_activity(comparison, predictions)
            plots += calibrations(comparison, predictions)
    return plots
