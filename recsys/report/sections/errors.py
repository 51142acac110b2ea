"""The sections on predictions beside the ratings, on where the errors are, and on calibration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison, ModelResult
from recsys.report.outcomes import best, rmse_step, scored
from recsys.report.section import Plot, Section, findings_on, plots_of
from recsys.text import inside, listing, number, opening

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 0.03
"""How far the share of ratings inside of intervals may be from what they promise."""


def predicted_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Predictions beside the actual ratings; None without plots."""
    text = (
        "For each actual test rating, the box holds the middle half of the predictions, the line 90% of them, and the "
        "bar is their median. Perfect predictions would lie on the dotted diagonal."
    )
    lowest = best(scored(comparison))
    result = ""
    if lowest and lowest.r2 is not None:
        result = f"{inside(lowest.title)} explains {lowest.r2:.0%} of the variance"
    return _of_plots(plots, "predicted", "Predicted against actual", result, text)


def activity_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Errors by number of training ratings; None without plots."""
    text = "RMSE by number of training ratings of the user or the item. Groups of few test ratings are noisy."
    lowest = best(comparison.models)
    result = ""
    if lowest and lowest.warm and lowest.cold:
        step = rmse_step(comparison)
        result = f"{inside(lowest.title)} has an RMSE of {number(lowest.warm.rmse, step)} on warm test ratings and "
        result += f"{number(lowest.cold.rmse, step)} on cold ones"
    return _of_plots(plots, "activity", "Where the errors are", result, text)


def calibration_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Mean ratings by mean prediction, and how often intervals hold the rating; None without plots."""
    text = (
        "Mean rating by mean prediction: calibrated predictions lie on the dotted diagonal. The bar at a point is the "
        "deviation to expect from noise; below, the number of test ratings in each bin."
    )
    covered = [
        f"{one.level:.0%} intervals of {inside(model.title)} hold {one.covered:.0%}"
        for model in comparison.models
        for one in model.intervals
    ]
    texts = text, *map(_intervals, comparison.models)
    return _of_plots(plots, "calibration", "Do predictions mean what they say?", "; ".join(covered), *texts)


def _intervals(model: ModelResult) -> str:
    """How often the intervals of a model hold the rating; empty for a model without intervals."""
    if not model.intervals:
        return ""
    told = [
        f"{one.level:.0%} intervals hold {one.covered:.1%} of the warm test ratings (mean width {one.width:.3g})"
        for one in model.intervals
    ]
    widest = max(model.intervals, key=lambda one: abs(one.covered - one.level))
    gap = widest.covered - widest.level
    verdict = "they mean what they say" if abs(gap) <= CLOSE else "too wide" if gap > 0 else "too narrow"
    return f"{opening(inside(model.title))}: {listing(told)}: {verdict}."


def _of_plots(plots: Sequence[Plot], anchor: str, title: str, result: str, *texts: str) -> Section | None:
    shown = plots_of(plots, anchor)
    return Section(anchor, title, findings_on(anchor, texts), plots=shown, result=result) if shown else None


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """Draw the plots of all three; none without predictions."""
    from recsys.report.sections.error_plots import calibrations, errors_by_activity, predicted_against_actual

    return [
        *predicted_against_actual(comparison, predictions),
        *errors_by_activity(comparison, predictions),
        *calibrations(comparison, predictions),
    ]
