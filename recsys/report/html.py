"""The page: one HTML file that needs nothing else."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from recsys.evaluation.results import Comparison, ModelResult
from recsys.report.outcomes import in_order
from recsys.report.section import Plot, Table
from recsys.report.sections import network_shape, tuning
from recsys.report.sections.cost import COST_CAPTION, COST_HEADINGS, cost_rows
from recsys.report.sections.data import data_facts
from recsys.report.sections.methodology import (
    notes,
    procedure_findings,
    procedure_title,
    provenance,
    unsettled_findings,
)
from recsys.report.sections.ranking import top_ten_findings
from recsys.report.sections.results import (
    RANKING_COLUMNS,
    ranking_rows,
    shown_columns,
    shown_rows,
    subset_rows,
    table_caption,
)
from recsys.report.sections.seeds import SEED_HEADINGS, seed_findings, seed_rows
from recsys.report.sections.significance import DIFFERENCE_HEADINGS, EVIDENCE_TITLE, difference_rows, evidence_findings
from recsys.report.sections.splits import (
    OTHER_SPLITS_CAPTION,
    OTHER_SPLITS_TITLE,
    other_split_findings,
    split_headings,
    split_rows,
)
from recsys.report.sections.verdict import discussion, headline, verdict
from recsys.report.style import DARK, LIGHT
from recsys.report.svg import themed
from recsys.text import opening, printable


def html_page(comparison: Comparison, plots: Sequence[Plot]) -> str:
    """Fill the template in; every text is escaped, the drawings alone are not."""
    return rendered("report.html.j2", _content(comparison, plots))


def rendered(template: str, content: dict[str, Any]) -> str:
    """Fill in a template of this package, escaping every text."""
    environment = Environment(
        loader=FunctionLoader(_shipped),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(content)


def pictures_by_section(plots: Sequence[Plot]) -> dict[str, list[dict[str, Any]]]:
    """The plots as the templates show them, in the colours of the page."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for plot in plots:
        sections.setdefault(plot.section, []).append({"caption": plot.caption, "svg": Markup(themed(plot.svg))})
    return sections


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shipped(name: str) -> str:
    return (files("recsys.report") / name).read_text(encoding="utf-8")


def _content(comparison: Comparison, plots: Sequence[Plot]) -> dict[str, Any]:
    return {
        "style": Markup(_theme() + _shipped("report.css")),
        "headline": headline(comparison),
        "verdict": [finding.text for finding in verdict(comparison)],
        "columns": shown_columns(comparison),
        "rows": shown_rows(comparison),
        "table_caption": table_caption(comparison),
        "ranking": top_ten_findings(comparison),
        "ranking_columns": RANKING_COLUMNS,
        "ranking_rows": ranking_rows(comparison),
        "failed": in_order([*comparison.failed, *comparison.skipped]),
        "discussion": discussion(comparison),
        "evidence_title": EVIDENCE_TITLE,
        "evidence": evidence_findings(comparison),
        "difference_headings": DIFFERENCE_HEADINGS,
        "differences": difference_rows(comparison),
        "seed_findings": seed_findings(comparison),
        "seed_headings": SEED_HEADINGS,
        "seeds": seed_rows(comparison),
        "cost_caption": COST_CAPTION,
        "cost_headings": COST_HEADINGS,
        "costs": cost_rows(comparison),
        "splits_title": OTHER_SPLITS_TITLE,
        "splits_caption": OTHER_SPLITS_CAPTION,
        "splits_findings": other_split_findings(comparison),
        "split_headings": split_headings(comparison),
        "splits": split_rows(comparison),
        "subsets": subset_rows(comparison) if comparison.data.cold_test_rows else [],
        "protocol": comparison.protocol,
        "procedure_title": procedure_title(comparison),
        "procedure": procedure_findings(comparison),
        "unsettled": unsettled_findings(comparison),
        "search": _search(comparison),
        "facts": data_facts(comparison),
        "models": [_details(model) for model in in_order(comparison.models)],
        "notes": notes(comparison),
        "provenance": provenance(comparison),
        "plots": pictures_by_section(plots),
        "source": comparison.data.source,
    }


def _search(comparison: Comparison) -> dict[str, Any] | None:
    if not comparison.tuning:
        return None
    shape = network_shape.section(comparison, [])
    return {
        "title": tuning.TITLE,
        "findings": tuning.search_findings(comparison),
        "warnings": tuning.search_warnings(comparison),
        "budget": _texts(tuning.budget_table(comparison)),
        "trials": [_texts(table) for table in tuning.trial_tables(comparison)],
        "shape": shape,
        "shape_table": _texts(shape.tables[0]) if shape else None,
    }


def _texts(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "caption": table.caption,
        "headings": [heading.text for heading in table.headings],
        "rows": [[cell.text for cell in row] for row in table.rows],
    }


def _details(model: ModelResult) -> dict[str, Any]:
    settings = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in model.settings.items()
    ]
    return {
        "title": opening(model.title),
        "settings": [*settings, ("engine", model.engine), ("device", model.device)],
        "summary": model.summary,
    }


def _theme() -> str:
    """The palette as CSS variables: light, and dark on screens that ask for it."""
    light = "".join(f"--{role}: {colour}; " for role, colour in LIGHT.items())
    dark = "".join(f"--{role}: {colour}; " for role, colour in DARK.items())
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
    )
