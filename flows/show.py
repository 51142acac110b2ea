"""Reports that are there already, in the terminal.

What shows a run loads Prefect, which takes seconds that the comparison of two reports does not need.
"""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from recsys.errors import BadManifest
from recsys.report.manifest import read_comparison
from recsys.report.section import Report, Section
from recsys.report.section import Table as Cells
from recsys.text import escaped

CARD = "winner/card.md"


def show(console: Console, report: Path) -> None:
    """Print the table and the verdict of a report, and the card of its model to use if there is one.

    Raises:
        BadManifest: the folder is not that of a report, or a file of it cannot be read.
    """
    comparison = read_comparison(report)
    from flows.screen import show_comparison
    from recsys.report.publish import model_used

    show_comparison(console, comparison, model_used(report))
    card = report / CARD
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines() if card.exists() else []
    except OSError as error:
        raise BadManifest(f"{card} cannot be read ({error.strerror}): repeat the run, which writes it anew.") from error
    if lines:
        console.print(Text(), Markdown("\n".join(map(escaped, lines)), hyperlinks=False))


def show_report(console: Console, report: Report) -> None:
    """Print a report without plots, such as that of `recsys.report.diff.diff`; tables that are folded are left out."""
    console.print(_plain(report.subtitle, "dim"), soft_wrap=True)
    console.print(_plain(f"{report.answer.title}.", "bold"), soft_wrap=True)
    _show_content(console, report.answer)
    for section in report.sections:
        _show_section(console, section)


def _plain(text: str, style: str = "") -> Text:
    return Text(escaped(text), style)


def _show_section(console: Console, section: Section) -> None:
    console.print(Text(), _plain(section.title, "bold"), sep="\n", soft_wrap=True)
    _show_content(console, section)


def _show_content(console: Console, section: Section) -> None:
    for name, text in section.facts:
        console.print(_plain(f"{name}: {text}"), soft_wrap=True)
    for finding in section.findings:
        console.print(_plain(finding.text), soft_wrap=True)
    for table in section.tables:
        if not table.folded:
            console.print(_plain(table.caption, "dim"), soft_wrap=True)
            console.print(_drawn(table))
    for part in section.parts:
        _show_section(console, part)


def _drawn(table: Cells) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(table.headings):
        drawn.add_column(_plain(heading.text), justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_plain(cell.text, "bold green" if cell.best else "") for cell in row))
    return drawn
