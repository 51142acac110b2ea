"""Ids, columns, names and bad rows that would be markup, formulas or commands, through a whole run."""

import csv
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from flows.session import Session
from flows.terminal import TaskLines
from recsys.settings import Settings
from recsys.text import FORMULA_STARTS
from tasks.progress import Event
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.interrupting import Run

pytestmark = [pytest.mark.faults, pytest.mark.quick]

MARKUP = "<img src=x onerror=alert(1)>"
FORMULA = "=HYPERLINK(A1)"
ESCAPES = "\x1b]0;taken\x07\u202e[red][link=x]"
FILE = f"{ESCAPES}{MARKUP}![x](y)|`.csv"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    place = tmp_path_factory.mktemp("hostile")
    head = [f"{FORMULA}{MARKUP}", f"{MARKUP}|![x](y)", "rating", f"{MARKUP}{ESCAPES}"]
    rows = [f"{MARKUP}{user},{FORMULA}{item},{1 + (user * item) % 5},x" for user in range(20) for item in range(20)]
    bad = [f"{start}1+cmd,2,{FORMULA},x" for start in (*FORMULA_STARTS, " =", "\t=")]
    (place / FILE).write_text("\n".join([",".join(head), *rows, *bad]) + "\n")
    data = {"bad_rows": "quarantine", "user_column": head[0], "item_column": head[1]}
    return small_settings(place / FILE, place, protocol="notebook", data=data, output={"plots": True})


@pytest.fixture(scope="module")
def report(settings: Settings, prefect_server: str) -> Path:
    run = Run(settings, {"PREFECT_API_URL": prefect_server})
    assert run.ends() == 0, run.said()
    return Path(settings.output.reports) / "run"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_becomes_markup(report: Path, tell: Tell) -> None:
    page = (report / "report.html").read_text()
    tags = Tags(page).found
    assert "onerror=alert(1)" in page, "the value should be there, as text"
    assert [tag for tag, _ in tags if tag in ("img", "script")] == ["script"]  # its own
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    pictures = list((report / "plots").glob("*.svg"))
    for picture in pictures:
        names = {element.tag.rpartition("}")[2] for element in ElementTree.parse(picture).iter()}
        assert not names & {"img", "image", "script", "a", "foreignObject"}, picture
    markdown = (report / "report.md").read_text()
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", markdown)
    assert "<img" not in outside
    assert "](y)" not in outside
    tell(
        "hostile ids, columns and file name through a run", f"0 became markup in {len(tags)} tags, {len(pictures)} SVGs"
    )


def test_no_cell_is_a_formula_and_numbers_stay_numbers(report: Path, tell: Tell) -> None:
    cells = 0
    for path in report.glob("*.csv"):
        for row in csv.reader(StringIO(path.read_text(), newline="")):
            for cell in row:
                cells += 1
                assert not cell.lstrip().startswith(FORMULA_STARTS) or float(cell) is not None, (path.name, cell)
    (set_aside,) = report.glob("quarantine.csv")
    lines = list(csv.DictReader(StringIO(set_aside.read_text())))
    assert len(lines) == len(FORMULA_STARTS) + 2
    assert all(line["text"].startswith("'") and int(line["line"]) for line in lines)
    tell("rows of formulas set aside", f"0 of {cells} cells of the CSV files is a formula")


def test_no_text_moves_the_terminal(
    settings: Settings, report: Path, capsys: pytest.CaptureFixture[str], tell: Tell
) -> None:
    session = Session(settings)
    session.console = Console(force_terminal=True, width=200, highlight=False, color_system=None)
    session.explain()
    from flows.screen import show_header, show_result
    from recsys.data.source import locate

    show_header(session.console, settings, locate(settings.data), ESCAPES, tasks=0, cached=0)
    lines = TaskLines(session.console)
    for status in ("waiting", "failed"):
        lines.hear(Event("ingest", status, f"[/red]{ESCAPES}"))
    session.console.print(lines)
    show_result(session.console, report, settings)
    shown = capsys.readouterr().out
    assert "\\x1b]0;taken\\x07\\u202e[red][link=x]" in shown
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    assert not set(settings.title) & {"\x1b", "\x07", "\u202e"}
    tell("escape sequences and rich's markup as names", f"0 control characters in {len(shown):,} on the terminal")
