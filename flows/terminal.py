"""The progress of a run, as the user of the command line sees it."""

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from flows.forecast import Forecast
from flows.screen import about, plain
from flows.time_left import TimeLeft
from recsys.text import escaped
from tasks.progress import LISTENERS, Event, Status

MARKS = {"waiting": "·", "running": "▸", "cached": "✓", "done": "✓", "failed": "✗", "left out": "–"}
STYLES = {
    "waiting": "dim",
    "running": "cyan",
    "cached": "dim",
    "done": "green",
    "failed": "bold red",
    "left out": "yellow",
}

WORSE: tuple[Status, ...] = ("cached", "done", "failed")
"""How a run may end; of several runs the last of these counts."""

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
    """One line a task, and the time left: redrawn on a terminal, printed as things happen in a pipe.

    Any thread may report an event, and another one draw.
    """

    console: Console
    left: TimeLeft = field(default_factory=lambda: TimeLeft(Forecast()))
    lines: dict[str, Line] = field(default_factory=dict)
    said_left: tuple[float, float] = (-math.inf, math.inf)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, event: Event) -> None:
        """Take an event of a task."""
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
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
        ended = line.ended >= line.runs > 0 or event.status in {*WORSE, "left out"}
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
        with self._lock:
            for line in self.lines.values():
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
        if event.status in {"cached", "waiting", "failed", "left out"}:
            row.append(event.status + (": " if event.text else ""))
        return row.append(escaped(event.text))


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


def _left(left: float) -> Text:
    return Text(f"about {about(left)} left", "dim")
