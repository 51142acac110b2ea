"""The report as Markdown: for the Prefect UI, and for a reader without a browser."""

import base64
import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from recsys.evaluation.results import Comparison
from recsys.report.outcomes import in_order
from recsys.report.section import Finding, Plot, Table
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
    Cell,
    Column,
    ranking_rows,
    shown_columns,
    shown_rows,
    subset_rows,
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
from recsys.text import printable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|~$!])")
_OWN_PLOT = re.compile(r"\]\((plots/[A-Za-z0-9-]+\.png)\)")


def markdown_report(comparison: Comparison, plots: Sequence[Plot], *, embedded: bool = True) -> str:
    """Write the report as Markdown.

    Args:
        comparison: what the run found.
        plots: the pictures, of `draw_plots`.
        embedded: pictures as `data:` URIs, as Prefect shows them; else links into the report's folder.
    """
    link: Callable[[Plot], str] = _embedded if embedded else linked
    blocks = [
        f"# {escaped(headline(comparison))}.",
        bullets(verdict(comparison)),
        *pictures(plots, "answer", link),
        "## Results",
        _scores(shown_columns(comparison), shown_rows(comparison)),
        *[
            f"- **{escaped(row.title)}** has no score: {escaped(row.reason)}"
            for row in in_order([*comparison.failed, *comparison.skipped])
        ],
        f"## {EVIDENCE_TITLE}" if evidence_findings(comparison) else "",
        bullets(evidence_findings(comparison)),
        _texts(DIFFERENCE_HEADINGS, difference_rows(comparison)),
        *pictures(plots, "evidence", link),
        *told("## Seeds", seed_findings(comparison), SEED_HEADINGS, seed_rows(comparison)),
        *told(
            f"## {OTHER_SPLITS_TITLE}",
            other_split_findings(comparison),
            split_headings(comparison),
            split_rows(comparison),
            OTHER_SPLITS_CAPTION,
        ),
        *told("## What it costs", [], COST_HEADINGS, cost_rows(comparison), COST_CAPTION),
        *pictures(plots, "costs", link),
        "## Ranking" if comparison.ranking else "",
        _scores(RANKING_COLUMNS, ranking_rows(comparison)),
        bullets(top_ten_findings(comparison)),
        "## Discussion",
        *[f"### {heading}\n\n{bullets(findings)}" for heading, findings in discussion(comparison).items()],
        _subsets(comparison),
        f"### {procedure_title(comparison)}",
        bullets(procedure_findings(comparison)),
        "### What this run does not settle" if unsettled_findings(comparison) else "",
        bullets(unsettled_findings(comparison)),
        *_searches(comparison, plots, link),
        "## The ratings",
        _pairs(data_facts(comparison)),
        *pictures(plots, "data", link),
        *_section("## Loss per epoch", plots, "loss", link),
        *_section("## Predicted against actual", plots, "predicted", link),
        *_section("## Where the errors are", plots, "activity", link),
        *_section("## Do predictions mean what they say?", plots, "calibration", link),
        "## The models" if comparison.models else "",
        *[_model(model.title, model.settings, model.summary) for model in in_order(comparison.models)],
        "## How to read this, and how it was made",
        _pairs(notes(comparison)),
        _pairs(provenance(comparison)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def embedded_markdown(folder: Path) -> str:
    """The report.md of a finished report, with its pictures in it, for the Prefect UI."""

    def inlined(match: re.Match[str]) -> str:
        return f"]({_data_uri((folder / match.group(1)).read_bytes())})"

    return _OWN_PLOT.sub(inlined, (folder / "report.md").read_text(encoding="utf-8"))


def escaped(text: str) -> str:
    """A text that neither Markdown nor HTML takes for anything else, on one line."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(printable(text).split()), quote=False))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _embedded(plot: Plot) -> str:
    return _data_uri(plot.png)


def linked(plot: Plot) -> str:
    """Where a picture is, seen from the report's folder."""
    return f"plots/{plot.name}.png"


def pictures(plots: Sequence[Plot], section: str, link: Callable[[Plot], str]) -> list[str]:
    """The pictures of a section with their captions."""
    return [
        f"{escaped(plot.caption)}\n\n![{escaped(plot.alt)}]({link(plot)})" for plot in plots if plot.section == section
    ]


def _section(heading: str, plots: Sequence[Plot], section: str, link: Callable[[Plot], str]) -> list[str]:
    shown = pictures(plots, section, link)
    return [heading, *shown] if shown else []


def bullets(findings: Sequence[Finding]) -> str:
    """Sentences as a list."""
    return "\n".join(f"- {escaped(finding.text)}" for finding in findings)


def _scores(columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> str:
    rows = [[f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in row] for row in cells]
    return _table([column.heading for column in columns], rows) if rows else ""


def told(
    heading: str, findings: Sequence[Finding], headings: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
) -> list[str]:
    """A section of sentences and a table; nothing where the table is empty."""
    return [heading, bullets(findings), _texts(headings, rows), escaped(note)] if rows else []


def _texts(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[escaped(cell) for cell in row] for row in rows]
    return _table([escaped(heading) for heading in headings], cells) if cells else ""


def _searches(comparison: Comparison, plots: Sequence[Plot], link: Callable[[Plot], str]) -> list[str]:
    if not comparison.tuning:
        return []
    shape = network_shape.section(comparison, [])
    return [
        f"## {tuning.TITLE}",
        bullets([*tuning.search_findings(comparison), *tuning.search_warnings(comparison)]),
        _text_table(tuning.budget_table(comparison)),
        *pictures(plots, "search", link),
        *([f"### {shape.title}", bullets(shape.findings), *map(_text_table, shape.tables)] if shape else []),
        *pictures(plots, "shape", link),
        *[f"### {escaped(table.title)}\n\n{_text_table(table)}" for table in tuning.trial_tables(comparison)],
    ]


def _text_table(table: Table) -> str:
    return _texts([heading.text for heading in table.headings], [[cell.text for cell in row] for row in table.rows])


def _subsets(comparison: Comparison) -> str:
    if not comparison.data.cold_test_rows:
        return ""
    return _texts(["Model", "MSE, warm", "MSE, cold"], subset_rows(comparison))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{escaped(name)}**: {escaped(text)}" for name, text in pairs)


def _model(title: str, settings: dict[str, int | float | str | list[int]], summary: str) -> str:
    chosen = "\n".join(f"- {escaped(name)}: {escaped(str(value))}" for name, value in settings.items())
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", summary)), default=0))
    return f"### {escaped(title)}\n\n{chosen}\n\n{fence}text\n{printable(summary)}\n{fence}"
