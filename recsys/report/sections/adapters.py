"""Sections of modules that do not make their own yet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import Comparison
from recsys.report.outcomes import in_order, scored
from recsys.report.section import Cell, Heading, Plot, Section, Table
from recsys.report.sections import ranking, results
from recsys.text import opening

if TYPE_CHECKING:
    import pandas as pd


def results_section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """The section of results."""
    unscored = in_order([*comparison.failed, *comparison.skipped])
    reasons = [(opening(row.title), row.reason) for row in unscored]
    rows = results.shown_rows(comparison)
    return Section(
        "results",
        "Results",
        tables=_scores(results.table_caption(comparison), results.shown_columns(comparison), rows),
        parts=[Section("", "Without a score", facts=reasons, tone="warn")] if reasons else [],
    )


def results_draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """The plots of results."""
    return [results.errors(comparison), results.costs(comparison)] if scored(comparison) else []


def ranking_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The section of ranking."""
    if comparison.ranking is None:
        return None
    caption = "How well all items are ordered for a user. The best number of each column is marked."
    tables = _scores(caption, results.RANKING_COLUMNS, results.ranking_rows(comparison))
    return Section("ranking", "Ranking", ranking.top_ten_findings(comparison), tables)


def _scores(caption: str, columns: Sequence[results.Column], rows: Sequence[Sequence[results.Cell]]) -> list[Table]:
    headings = [Heading(column.heading, column.meaning) for column in columns]
    return [Table(caption, headings, [[Cell(cell.text, cell.best) for cell in row] for row in rows])] if rows else []
