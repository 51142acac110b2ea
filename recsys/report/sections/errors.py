"""The sections on predictions beside the ratings, on where the errors are, and on calibration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison
from recsys.report.section import Finding, Plot, Section, plots_of

if TYPE_CHECKING:
    import pandas as pd


def predicted_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Predictions beside the actual ratings; None without plots."""
    text = (
        "For each actual test rating, the box holds the middle half of the predictions, the line 90% of them, and the "
        "bar is their median. Perfect predictions would lie on the dotted diagonal."
    )
    return _of_plots(plots, "predicted", "Predicted against actual", text)


def activity_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Errors by number of training ratings; None without plots."""
    text = "RMSE by number of training ratings of the user or the item. Groups of few test ratings are noisy."
    return _of_plots(plots, "activity", "Where the errors are", text)


def calibration_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Mean ratings by mean prediction; None without plots."""
    text = (
        "Mean rating by mean prediction: calibrated predictions lie on the dotted diagonal. The bar at a point is the "
        "deviation to expect from noise; below, the number of test ratings in each bin."
    )
    return _of_plots(plots, "calibration", "Do predictions mean what they say?", text)


def _of_plots(plots: Sequence[Plot], anchor: str, title: str, text: str) -> Section | None:
    shown = plots_of(plots, anchor)
    return Section(anchor, title, [Finding(anchor, text)], plots=shown) if shown else None


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """Draw the plots of all three; none without predictions."""
    from recsys.report.sections.error_plots import calibrations, errors_by_activity, predicted_against_actual

    return [
        *predicted_against_actual(comparison, predictions),
        *errors_by_activity(comparison, predictions),
        *calibrations(comparison, predictions),
    ]
