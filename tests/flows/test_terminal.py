import io
from pathlib import Path

from rich.console import Console

from flows.plan import Planned
from flows.terminal import TaskLines, show_header
from recsys.data.source import Source
from recsys.settings import DataSettings, Settings
from tasks.progress import Event


def shown(*events: Event, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    lines = TaskLines(console)
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


def test_the_header_names_the_data_their_licence_and_the_work_ahead() -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    source = Source("ml-1m", "MovieLens 1M", "Free for research.", Path("ratings.dat"), None, DataSettings())
    show_header(console, Settings(seed=7), source, [Planned("ingest", ""), Planned("encode", "first run")])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "MovieLens 1M · protocol fair · seed 7",
        "Free for research.",
        "2 tasks: 1 cached, 1 to run",
    ]


def test_markup_in_a_message_is_only_text() -> None:
    assert "[bold]x[/bold]" in shown(Event("ingest", "failed", "[bold]x[/bold]"), terminal=False)
