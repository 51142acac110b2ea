"""Every picture of the report, in its order."""

import pandas as pd

from recsys.evaluation.results import Comparison
from recsys.report.outcomes import scored
from recsys.report.section import Plot
from recsys.report.sections import tuning
from recsys.report.sections.cost import accuracy_against_cost
from recsys.report.sections.errors import calibrations, errors_by_activity, predicted_against_actual
from recsys.report.sections.overfitting import losses
from recsys.report.sections.results import costs, errors, histogram
from recsys.report.sections.significance import differences
from recsys.report.svg import style


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
        plots += tuning.draw(comparison, predictions)
        plots += losses(comparison)
        if not predictions.empty:
            plots += predicted_against_actual(comparison, predictions)
            plots += errors_by_activity(comparison, predictions)
            plots += calibrations(comparison, predictions)
    return plots
