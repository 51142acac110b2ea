"""The section on the runs before, put into a page and a Markdown twin that were written without it.

A report is made once and kept, whatever runs come before or after. What depends on them is put in when it is
published, which takes a second and no model.
"""

from collections.abc import Sequence

from recsys.evaluation.comparison import Comparison
from recsys.report.history_drift import drift_warnings
from recsys.report.history_table import (
    HISTORY_CAPTION,
    HISTORY_TITLE,
    history_findings,
    history_headings,
    history_rows,
)
from recsys.report.markdown import bullets, linked, pictures, told
from recsys.report.page import pictures_by_section, rendered
from recsys.report.picture import Plot

DRIFT_TITLE = "Moved since the runs before"

PAGE_RESULTS = '<section aria-labelledby="results">'
PAGE_DISCUSSION = '<section aria-labelledby="discussion">'
MARKDOWN_RESULTS = "## Results\n"
MARKDOWN_DISCUSSION = "## Discussion\n"
"""Lines that every report has, and that no text from elsewhere can forge: `<` and `#` are escaped in it."""


def page_with_history(page: str, comparison: Comparison, plots: Sequence[Plot]) -> str:
    """Put the history into a page of `html_page`, and warnings of drift, if there are any, below its answer."""
    warnings = drift_warnings(comparison)
    if warnings:
        box = rendered("drift.html.j2", {"title": DRIFT_TITLE, "warnings": warnings})
        page = _inserted(page, PAGE_RESULTS, box)
    section = rendered(
        "history.html.j2",
        {
            "title": HISTORY_TITLE,
            "history": history_findings(comparison),
            "caption": HISTORY_CAPTION,
            "headings": history_headings(comparison),
            "rows": history_rows(comparison),
            "plots": pictures_by_section(plots),
        },
    )
    return _inserted(page, PAGE_DISCUSSION, section)


def markdown_with_history(markdown: str, comparison: Comparison, plots: Sequence[Plot]) -> str:
    """The same with a document of `markdown_report`, its pictures as links into the report's folder."""
    warnings = drift_warnings(comparison)
    if warnings:
        markdown = _inserted(markdown, MARKDOWN_RESULTS, f"## {DRIFT_TITLE}\n\n{bullets(warnings)}\n\n")
    rows = told(
        f"## {HISTORY_TITLE}",
        history_findings(comparison),
        history_headings(comparison),
        history_rows(comparison),
        HISTORY_CAPTION,
    )
    return _inserted(markdown, MARKDOWN_DISCUSSION, "\n\n".join([*rows, *pictures(plots, "history", linked)]) + "\n\n")


def _inserted(document: str, line: str, block: str) -> str:
    """Put a block before the first line that is, or begins with, `line`."""
    head, found, tail = document.partition(f"\n{line}")
    if not found:
        raise ValueError(f"the report has no line {line.strip()}")
    return f"{head}\n{block}{line}{tail}"
