"""Sections of modules that do not make their own yet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison
from recsys.report.section import Cell, Heading, Plot, Section, Table, plots_of, text_table
from recsys.report.sections import network_shape, trends, tuning, tuning_tables

if TYPE_CHECKING:
    import pandas as pd


def trends_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The section of trends."""
    rows = trends.history_rows(comparison)
    if not rows:
        return None
    first, *others, last = trends.history_headings(comparison)
    headings = [Heading(first, kind="time"), *map(Heading, others), Heading(last, kind="prose")]
    table = Table(trends.HISTORY_CAPTION, headings, [[Cell(text) for text in row] for row in rows])
    findings = trends.history_findings(comparison)
    return Section("history", trends.HISTORY_TITLE, findings, [table], plots_of(plots, "history"), beside="plots")


def tuning_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The section of tuning."""
    if not comparison.tuning:
        return None
    warnings, shapes = tuning.search_warnings(comparison), network_shape.shape_rows(comparison)
    budget = text_table(
        "Budgets and winners. Validation ratings chose; no test rating had a part in it.",
        tuning_tables.budget_headings(comparison),
        tuning_tables.budget_rows(comparison),
    )
    trials = "Validation MSE is the lowest of all epochs; training counts all of a trial's."
    tables = [
        text_table(trials, table.headings, table.rows, table.title) for table in tuning_tables.trial_tables(comparison)
    ]
    caption = "Validation MSE of the networks that were tried"
    shape = Section(
        "",
        network_shape.SHAPE_TITLE,
        network_shape.shape_findings(comparison),
        [text_table(caption, network_shape.SHAPE_HEADINGS, shapes)],
        plots_of(plots, "shape"),
        beside="plots",
    )
    return Section(
        "search",
        tuning.SEARCH_TITLE,
        tuning.search_findings(comparison),
        [budget, *tables],
        plots_of(plots, "search"),
        parts=[
            *([Section("", "Where the searches fell short", warnings, tone="warn")] if warnings else []),
            *([shape] if shapes else []),
        ],
        beside="tables",
    )


def tuning_draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """The plots of tuning."""
    from recsys.report.sections.tuning_plots import searches

    return [*searches(comparison), *network_shape.network_shapes(comparison)]
