"""What is printed on the terminal beside the progress: what is compared, a plan, and the answer.

Nothing here loads Prefect.
"""

import sys
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from recsys.data.source import Source
from recsys.errors import ChecksFailed
from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.checks import unmuted
from recsys.report.drift import drift_warnings
from recsys.report.publish import SIGN, WINNER, model_used
from recsys.report.sections.checks import checks_summary
from recsys.report.sections.data import period
from recsys.report.sections.first_screen import figures, shares, warnings
from recsys.report.sections.results import shown_columns, shown_rows
from recsys.settings import Settings
from recsys.text import escaped, listing, seconds, size

if TYPE_CHECKING:
    from flows.forecast import Forecast
    from flows.plan import Planned

TEXT_WIDTH = 120
"""Columns of the output if it does not go to a terminal."""

WIDEST_TITLE = 16
"""Characters of a row's title beside the numbers; a longer one takes several lines."""

WIDEST_HEADING = 10


def console_for(*, as_json: bool) -> Console:
    """Return the console of standard output or, where that is kept for JSON, of standard error."""
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = TEXT_WIDTH
    return console


def plain(text: str, style: str = "") -> Text:
    """A text as it stands: no markup of rich's, and nothing that a terminal obeys."""
    return Text(escaped(text), style)


def show_header(console: Console, settings: Settings, source: Source, columns: str, tasks: int, cached: int) -> None:
    """Print what is compared, which column holds what, how, and how many of the tasks are cached."""
    console.print(plain(source.label, "bold"), Text(f"· protocol {settings.protocol} · seed {settings.seed}"))
    show_columns(console, columns)
    if source.licence:
        console.print(Text(source.licence, "dim"), soft_wrap=True)
    console.print(Text(f"{tasks} tasks: {cached} cached, {tasks - cached} to run", "dim"))


def show_columns(console: Console, columns: str) -> None:
    """Print which column of the ratings holds what, and why."""
    console.print(plain(f"Columns: {columns}", "dim"), soft_wrap=True)


def show_plan(console: Console, plan: "Sequence[Planned]", expected: "Forecast") -> None:
    """Print for each task whether it is cached or has to run, why, and what it will take; then what all will take."""
    for planned in plan:
        some = f"{planned.cached_runs} of {planned.runs} cached, " if planned.cached_runs else ""
        why = "cached" if planned.cached else f"{some}to run: {escaped(planned.why)}"
        text = Text(f"{planned.task:<16}").append(why, "dim" if planned.cached else "cyan")
        if task := expected.tasks.get(planned.task):
            text.append(f" · about {about(task.seconds)}, {size(task.megabytes * 1e6)}", "bold")
        console.print(text, soft_wrap=True)
    console.print(Text(_total(expected), "bold"), soft_wrap=True)


def _total(expected: "Forecast") -> str:
    if not expected.tasks:
        return "Nothing to compute."
    share, past, shipped = expected.measured, "from past runs in this store", "from the shipped figures"
    some = f"{share:.0%} {past}, the rest {shipped}"
    basis = shipped if share < 0.005 else past if share > 0.995 else some
    return f"About {about(expected.seconds)}, {size(expected.megabytes * 1e6)} ({basis})"


def about(value: float) -> str:
    """Format a duration as exactly as an estimate can be: 40 s, 3 min 20 s, 12 min, 1 h 40 min."""
    step = 1 if value < 10 else 5 if value < 60 else 10 if value < 300 else 60 if value < 3600 else 600
    rounded = max(1, step * round(value / step))
    return f"{rounded} s" if rounded < 10 else seconds(rounded).removesuffix(" 0 s").removesuffix(" 0 min")


def show_comparison(console: Console, comparison: Comparison, used: str | None = None) -> None:
    """Print the answer and its figures, the table of all rows, what moved since the runs before, and the checks.

    `used` is the row of the model to use, if there is one.
    """
    chances = " · ".join(f"{share.label} {share.text}" for share in shares(comparison))
    console.print(Text(), plain(f"{headline(comparison)}.", "bold"), sep="\n", soft_wrap=True)
    for line in [*([chances] if chances else []), *(finding.text for finding in warnings(comparison))]:
        console.print(plain(line), soft_wrap=True)
    for name, text in figures(comparison, used):
        console.print(plain(f"{name}: {text}"), soft_wrap=True)
    console.print(Group(Text(), _rows(comparison), Text()))
    for finding in drift_warnings(comparison):
        console.print(plain(finding.text), style="yellow", soft_wrap=True)
    if summary := checks_summary(comparison):
        console.print(plain(summary), style="bold red" if unmuted(comparison, "error") else "", soft_wrap=True)


def show_result(
    console: Console,
    folder: Path,
    settings: Settings,
    *,
    as_json: bool = False,
    strict: bool = False,
    failed: Sequence[str] = (),
    remark: str = "",
) -> None:
    """Print the comparison of a report's folder, and where that is; with `as_json`, as JSON on standard output.

    `failed` are the tasks that failed; the `remark` is about what was computed.

    Raises:
        ChecksFailed: it is to be `strict`, and a check of severity error fired that is not muted.
    """
    document = (folder / SIGN).read_bytes()
    comparison = Comparison.model_validate_json(document)
    if as_json:
        sys.stdout.buffer.write(document)  # JSON is UTF-8, whatever the terminal's encoding
    else:
        show_comparison(console, comparison, model_used(folder))
    if failed:
        console.print(plain(f"Failed: {', '.join(failed)}."), style="bold red", soft_wrap=True)
    if remark:
        console.print(plain(remark), style="dim", soft_wrap=True)
    if (folder / WINNER).is_dir():
        console.print(plain(f"Model to use: {folder / WINNER} (mf-or-dnn recommend --help)"), soft_wrap=True)
    read = period(comparison.data) if settings.split.by_time else None  # shows how the dates were read
    when = f" (ratings of {read})" if read else ""
    console.print(plain(f"Report: {folder / 'report.html'}{when}"), soft_wrap=True)
    if strict and (errors := unmuted(comparison, "error")):
        names = [f"{check.id} {check.name}" for check in errors]
        raise ChecksFailed(f"--strict: {listing(names)} fired; mute a check that is no concern with --mute.")


def _rows(comparison: Comparison) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    columns = shown_columns(comparison)
    shown = [column.in_terminal for column in columns]
    rows = [list(compress(row, shown)) for row in shown_rows(comparison)]
    for number, column in enumerate(compress(columns, shown)):
        widest = max((len(row[number].text) for row in rows), default=0)
        if number:
            table.add_column(column.heading, justify="right", min_width=widest, max_width=max(widest, WIDEST_HEADING))
        else:
            table.add_column(column.heading, min_width=min(widest, WIDEST_TITLE), max_width=WIDEST_TITLE)
    for row in rows:
        table.add_row(*(plain(cell.text, "bold green" if cell.best else "") for cell in row))
    return table
