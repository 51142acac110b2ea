"""What the user of the command line sees."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import compress

from rich.console import Console, Group
from rich.live import Live
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from flows.forecast import Forecast
from flows.plan import Planned
from flows.time_left import TimeLeft
from recsys.data.source import Source
from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.checks import unmuted
from recsys.report.drift import drift_warnings
from recsys.report.sections.checks import checks_summary
from recsys.report.sections.first_screen import figures, shares, warnings
from recsys.report.sections.results import shown_columns, shown_rows
from recsys.settings import Settings
from recsys.text import escaped, seconds, size
from tasks.progress import LISTENERS, Event, Status

MARKS = {"waiting": "·", "running": "▸", "cached": "✓", "done": "✓", "failed": "✗"}
STYLES = {"waiting": "dim", "running": "cyan", "cached": "dim", "done": "green", "failed": "bold red"}

WORSE: tuple[Status, ...] = ("cached", "done", "failed")
"""How a run may end; of several runs the last of these counts."""

WIDEST_TITLE = 16
"""Characters of a row's title beside the numbers; a longer one takes several lines."""

WIDEST_HEADING = 10

BAR = 20
"""Characters of a progress bar."""

SECONDS_BETWEEN_LINES = 15.0
"""How often a running task says how far it is where there is no terminal to redraw, and a run what is left."""

MUCH = 0.2
"""The time left is said again once it has changed by this share."""


@dataclass
class Line:
    """The state of one task on the terminal, of which there may be several runs."""

    event: Event
    since: float
    until: float | None = None
    said_at: float = 0.0
    runs: int = 0
    ended: int = 0
    worst: Status = "cached"

    def end(self, event: Event) -> Event:
        """Count a run that has ended; return what there is to show of the task."""
        self.ended += 1
        self.worst = max(self.worst, event.status, key=WORSE.index)
        if self.ended < self.runs:
            return Event(event.task, "running", self.event.text, self.event.done, self.event.total)
        text = event.text or (self.event.text if self.worst == "done" and self.event.status == "running" else "")
        return Event(event.task, self.worst, text)


@dataclass
class TaskLines:
    """One line a task, and the time left: redrawn on a terminal, printed as things happen in a pipe."""

    console: Console
    left: TimeLeft = field(default_factory=lambda: TimeLeft(Forecast()))
    lines: dict[str, Line] = field(default_factory=dict)
    said_left: tuple[float, float] = (-math.inf, math.inf)

    def hear(self, event: Event) -> None:
        """Take an event of a task."""
        now = time.monotonic()
        self.left.hear(event)
        line = self.lines.setdefault(event.task, Line(event, now))
        line.runs += event.status == "waiting"
        if event.status == "waiting" and line.event.status == "running":
            return  # others of the task's runs are under way
        if line.event.status == "waiting" and event.status == "running" and not line.ended:
            line.since = now
        if event.status in WORSE:
            event = line.end(event)
        ended = line.ended >= line.runs > 0 or event.status in WORSE
        news = ended or event.status != line.event.status or now - line.said_at >= SECONDS_BETWEEN_LINES
        line.until = now if ended else None
        line.event = event
        if news and not self.console.is_terminal and event.status != "waiting":
            line.said_at = now
            self.console.print(self._row(line), soft_wrap=True)
        if not self.console.is_terminal:
            self._say_left(now)

    def _say_left(self, now: float) -> None:
        """Print the time left now and then, if it has changed much."""
        left = self.left.seconds()
        when, said = self.said_left
        if left is None or now - when < SECONDS_BETWEEN_LINES or abs(left - said) < MUCH * said < math.inf:
            return
        self.said_left = now, left
        self.console.print(_left(left), soft_wrap=True)

    def __rich__(self) -> Table:
        """Draw all lines."""
        table = Table.grid(padding=(0, 1))
        for line in list(self.lines.values()):
            table.add_row(self._row(line))
        if (left := self.left.seconds()) is not None:
            table.add_row(_left(left))
        return table

    def _row(self, line: Line) -> Text:
        event = line.event
        elapsed = (line.until or time.monotonic()) - line.since
        took = f"{elapsed:6.1f} s" if event.status in {"running", "done"} else " " * 8
        share = event.done / event.total if event.status == "running" and event.total else None
        row = Text(f"{MARKS[event.status]} {event.task:<16}{took}  ", style=STYLES[event.status])
        if line.runs > 1:
            row.append(f"{line.ended}/{line.runs}  ")
        if share is not None and self.console.is_terminal:
            row.append("━" * round(BAR * share)).append("━" * (BAR - round(BAR * share)), "bright_black")
        if share is not None:
            row.append(f"{share:4.0%}  ")
        if event.status in {"cached", "waiting", "failed"}:
            row.append(event.status + (": " if event.text else ""))
        return row.append(escaped(event.text))


def plain(text: str, style: str = "") -> Text:
    """A text as it stands: no markup of rich's, and nothing that a terminal obeys."""
    return Text(escaped(text), style)


def asks(console: Console, question: str) -> bool:
    """Ask the user, whose answer is yes unless it is no; where nobody can answer, it is no."""
    try:
        answerable = console.is_terminal and sys.stdin.isatty()
        return answerable and Confirm.ask(plain(question), console=console, default=True)
    except EOFError:
        return False


@contextmanager
def watching(console: Console, expected: Forecast) -> Iterator[None]:
    """Show the progress of all tasks and the time left, of what is expected, while the block runs."""
    lines = TaskLines(console, TimeLeft(expected))
    LISTENERS.append(lines.hear)
    try:
        with Live(lines, console=console, refresh_per_second=4) if console.is_terminal else nullcontext():
            yield
    finally:
        LISTENERS.remove(lines.hear)


def show_header(console: Console, settings: Settings, source: Source, columns: str, plan: list[Planned]) -> None:
    """Print what is compared, which column holds what, how, and how much is to be computed."""
    cached = sum(planned.cached for planned in plan)
    console.print(plain(source.label, "bold"), Text(f"· protocol {settings.protocol} · seed {settings.seed}"))
    show_columns(console, columns)
    if source.licence:
        console.print(Text(source.licence, "dim"), soft_wrap=True)
    console.print(Text(f"{len(plan)} tasks: {cached} cached, {len(plan) - cached} to run", "dim"))


def show_columns(console: Console, columns: str) -> None:
    """Print which column of the ratings holds what, and why."""
    console.print(plain(f"Columns: {columns}", "dim"), soft_wrap=True)


def show_plan(console: Console, plan: list[Planned], expected: Forecast) -> None:
    """Print for each task whether it is cached or has to run, why, and what it will take; then what all will take."""
    for planned in plan:
        some = f"{planned.cached_runs} of {planned.runs} cached, " if planned.cached_runs else ""
        why = "cached" if planned.cached else f"{some}to run: {escaped(planned.why)}"
        text = Text(f"{planned.task:<16}").append(why, "dim" if planned.cached else "cyan")
        if task := expected.tasks.get(planned.task):
            text.append(f" · about {about(task.seconds)}, {size(task.megabytes * 1e6)}", "bold")
        console.print(text, soft_wrap=True)
    console.print(Text(_total(expected), "bold"), soft_wrap=True)


def _total(expected: Forecast) -> str:
    if not expected.tasks:
        return "Nothing to compute."
    share, past, shipped = expected.measured, "from past runs in this store", "from the shipped figures"
    some = f"{share:.0%} {past}, the rest {shipped}"
    basis = shipped if share < 0.005 else past if share > 0.995 else some
    return f"About {about(expected.seconds)}, {size(expected.megabytes * 1e6)} ({basis})"


def _left(left: float) -> Text:
    return Text(f"about {about(left)} left", "dim")


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
