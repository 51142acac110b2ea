import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from flows.forecast import START_SECONDS, Expected, Forecast
from flows.plan import Planned
from flows.screen import about, show_header, show_plan
from flows.terminal import TaskLines
from flows.time_left import TimeLeft
from recsys.data.source import Source
from recsys.settings import DataSettings, Settings
from tasks.progress import Event

NOTHING = Forecast()


def shown(*events: Event, terminal: bool, expected: Forecast = NOTHING) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    lines = TaskLines(console, TimeLeft(expected))
    for event in events:
        lines.hear(event)
    if terminal:
        console.print(lines)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_a_bar_for_work_that_is_under_way() -> None:
    text = shown(Event("ingest", "running"), Event("ingest", "running", "50 rows read", 5, 10), terminal=True)
    assert "━" * 20 in text
    assert "50%  50 rows read" in text


def test_a_pipe_gets_a_line_for_each_beginning_and_end_and_not_for_each_epoch() -> None:
    epochs = [Event("train_mf", "running", f"epoch {epoch}/9", epoch, 9) for epoch in range(1, 10)]
    text = shown(Event("train_mf", "running"), *epochs, Event("train_mf", "done"), terminal=False)
    assert text.count("\n") == 2
    assert text.splitlines()[1].endswith("epoch 9/9")


def test_ends_are_named() -> None:
    text = shown(Event("split", "cached"), Event("train_mf", "failed", "it broke"), terminal=False)
    assert "split" in text.splitlines()[0]
    assert text.splitlines()[0].endswith("cached")
    assert text.splitlines()[1].endswith("failed: it broke")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_model_that_is_left_out_is_named_with_the_reason(*, terminal: bool) -> None:
    text = shown(Event("train_towers", "left out", "It takes hours."), terminal=terminal)
    assert "– train_towers" in text
    assert text.splitlines()[0].rstrip().endswith("left out: It takes hours.")


@pytest.mark.parametrize("terminal", [True, False])
def test_events_of_many_threads_are_all_counted(*, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.terminal.SECONDS_BETWEEN_LINES", 0.0)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    lines = TaskLines(console, TimeLeft(NOTHING))
    tasks = [f"task_{number}" for number in range(400)]

    def report(task: str) -> None:
        for status in ("waiting", "waiting", "running", "done", "done"):
            lines.hear(Event(task, status))
            if terminal:
                console.print(lines)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(report, tasks[:40] if terminal else tasks))
    finally:
        sys.setswitchinterval(before)
    assert {(line.runs, line.ended) for line in lines.lines.values()} == {(2, 2)}


def test_no_time_is_left_for_a_model_that_is_left_out() -> None:
    left = TimeLeft(Forecast(START_SECONDS + 60.0, 900.0, 1.0, {"train_towers": Expected(1, 60.0, 900.0)}))
    left.hear(Event("ingest", "running"))
    assert left.seconds()
    left.hear(Event("train_towers", "left out"))
    assert left.seconds() is None


def test_the_header_names_the_data_their_licence_and_the_work_ahead() -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    source = Source("ml-1m", "MovieLens 1M", "Free for research.", Path("ratings.dat"), None, DataSettings())
    show_header(console, Settings(seed=7), source, "user is column 1 (by position)", tasks=2, cached=1)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "MovieLens 1M · protocol fair · seed 7",
        "Columns: user is column 1 (by position)",
        "Free for research.",
        "2 tasks: 1 cached, 1 to run",
    ]


def test_markup_in_a_message_is_only_text() -> None:
    assert "[bold]x[/bold]" in shown(Event("ingest", "failed", "[bold]x[/bold]"), terminal=False)


def lines_of_plan(expected: Forecast) -> list[str]:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    show_plan(console, [Planned("ingest", ""), Planned("train_mf", "first run", runs=3)], expected)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_plan_says_what_each_task_and_all_will_take_and_how_that_is_known() -> None:
    tasks = {"train_mf": Expected(3, 130.0, 1440.0)}
    assert lines_of_plan(Forecast(140.0, 1440.0, 0.0, tasks))[1:] == [
        "train_mf        to run: first run · about 2 min 10 s, 1.4 GB",
        "About 2 min 20 s, 1.4 GB (from the shipped figures)",
    ]
    assert lines_of_plan(Forecast(140.0, 1440.0, 1.0, tasks))[-1].endswith("(from past runs in this store)")
    assert "60%" in lines_of_plan(Forecast(140.0, 1440.0, 0.6, tasks))[-1]


def test_a_plan_of_cached_tasks_takes_nothing() -> None:
    assert lines_of_plan(Forecast())[-1] == "Nothing to compute."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "1 s"),
        (3.3, "3 s"),
        (43, "45 s"),
        (200, "3 min 20 s"),
        (700, "12 min"),
        (3600, "1 h"),
        (6100, "1 h 40 min"),
    ],
)
def test_an_estimate_is_not_said_more_exactly_than_it_is_known(value: float, text: str) -> None:
    assert about(value) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_time_left_is_shown_while_tasks_run(*, terminal: bool) -> None:
    expected = Forecast(START_SECONDS + 60.0, 900.0, 1.0, {"train_mf": Expected(1, 60.0, 900.0)})
    text = shown(Event("train_mf", "running"), Event("train_mf", "running"), terminal=terminal, expected=expected)
    assert text.count("about 60 s left") == 1
    done = shown(Event("train_mf", "running"), Event("train_mf", "done"), terminal=True, expected=expected)
    assert "left" not in done
    assert "left" not in shown(Event("train_mf", "cached"), terminal=terminal)
