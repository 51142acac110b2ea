"""A report as Markdown: for the Prefect UI, and for a reader without a browser."""

import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from recsys.report.section import Report, Section, Table
from recsys.text import printable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|~$!])")
_OWN_PLOT = re.compile(r"\]\((plots/[A-Za-z0-9-]+\.png)\)")


def markdown_report(report: Report) -> str:
    """Return the document; its plots are links into the report's folder."""
    blocks = [f"# {escaped(report.answer.title)}.", *_content(report.answer, level=1)]
    for section in report.sections:
        blocks += [f"## {escaped(section.heading)}", *_content(section, level=2)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def embedded_markdown(folder: Path) -> str:
    """The report.md of a finished report, with its plots in it, for the Prefect UI."""

    def inlined(match: re.Match[str]) -> str:
        png = base64.b64encode((folder / match.group(1)).read_bytes()).decode()
        return f"](data:image/png;base64,{png})"

    return _OWN_PLOT.sub(inlined, (folder / "report.md").read_text(encoding="utf-8"))


def escaped(text: str) -> str:
    """A text that neither Markdown nor HTML takes for anything else, on one line."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(printable(text).split()), quote=False))


def _content(section: Section, level: int) -> Iterator[str]:
    heading = "#" * (level + 1)
    yield "\n".join(f"- **{escaped(name)}**: {escaped(text)}" for name, text in section.facts)
    yield " · ".join(f"{escaped(share.label)} {escaped(share.text)}" for share in section.shares)
    yield "\n".join(f"- {escaped(finding.text)}" for finding in section.findings)
    yield _fenced(section.listing)
    yield from (_table(table) for table in section.tables if not table.folded)
    yield from (f"{escaped(plot.caption)}\n\n![{escaped(plot.alt)}](plots/{plot.name}.png)" for plot in section.plots)
    for part in section.parts:
        yield f"{heading} {escaped(part.title)}"
        yield from _content(part, level + 1)
    yield from (f"{heading} {escaped(table.title)}\n\n{_table(table)}" for table in section.tables if table.folded)


def _table(table: Table) -> str:
    headings = [escaped(heading.text) for heading in table.headings]
    rows = [[f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in row] for row in table.rows]
    lines: list[Sequence[str]] = [headings, [":--", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{escaped(table.caption)}"


def _fenced(text: str) -> str:
    if not text:
        return ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{printable(text)}\n{fence}"
