"""The sections of the report in their order: a new one is a module, and a line here."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from recsys.evaluation.results import Comparison
from recsys.report.section import Plot, Report, Section
from recsys.report.sections import (
    checks,
    cost,
    data,
    discussion,
    errors,
    first_screen,
    histories,
    learning_curve,
    methodology,
    overfitting,
    ranking,
    results,
    seeds,
    significance,
    splits,
    trends,
    tuning,
    use,
    verdict,
)
from recsys.report.svg import style

if TYPE_CHECKING:
    import pandas as pd


class Entry(NamedTuple):
    """What makes a section, None where it has nothing to say, and what draws its plots, if it has any.

    All but the first sections are `folded`.
    """

    section: Callable[[Comparison, Sequence[Plot]], Section | None]
    draw: "Callable[[Comparison, pd.DataFrame], list[Plot]] | None" = None
    folded: bool = True


SECTIONS = (
    Entry(verdict.section, folded=False),
    Entry(results.section, results.draw, folded=False),
    Entry(checks.section, folded=False),
    Entry(significance.section, significance.draw),
    Entry(seeds.section),
    Entry(splits.section),
    Entry(histories.section),
    Entry(learning_curve.section, learning_curve.draw),
    Entry(cost.section, cost.draw),
    Entry(ranking.section),
    Entry(trends.section),
    Entry(discussion.section),
    Entry(tuning.section, tuning.draw),
    Entry(data.section, data.draw),
    Entry(overfitting.section, overfitting.draw),
    Entry(errors.predicted_section, errors.draw),
    Entry(errors.activity_section),
    Entry(errors.calibration_section),
    Entry(methodology.models_section),
    Entry(methodology.section),
)
"""The plots of past runs are drawn with them, when a report is published."""


def draw_plots(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """Draw the report's plots; those that have nothing to show are left out.

    `predictions` has a row per test rating, with the columns user, item, rating, cold, user_ratings, item_ratings
    and one per scored model and baseline.
    """
    with style():
        return [plot for entry in SECTIONS if entry.draw for plot in entry.draw(comparison, predictions)]


def report_of(
    comparison: Comparison, plots: Sequence[Plot], winner: use.Winner | None = None, folder: str = ""
) -> Report:
    """Return what the pages show of a comparison, its plots and the model to use; `folder` is where they are."""
    found = [(entry, entry.section(comparison, plots)) for entry in SECTIONS]
    sections = [replace(section, folded=entry.folded) for entry, section in found if section]
    if winner:
        sections.insert(2, use.section(winner))
    if folder:
        sections.append(methodology.repeat_section(folder))
    return Report(
        f"Deep network or matrix factorisation? · protocol {comparison.protocol} · {comparison.data.source}",
        first_screen.section(comparison, plots, winner),
        sections,
    )
