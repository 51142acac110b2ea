"""What all faults share: one Prefect server, small ratings, and the table at the end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.factories import write_ratings
from tests.processes import ROOT, PrefectServer

FAULT = "fault"
RESULTS = ROOT / "build" / "faults.json"
TABLE_WIDTH = 160

Tell = Callable[[str, str], None]
"""From what was done and what came of it to a row of the table."""


@pytest.fixture
def tell(record_property: Callable[[str, Any], None]) -> Tell:
    """Return what writes a row of the table: what was done, how often, and what came of it."""
    return lambda done, result: record_property(FAULT, [done, result])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """Run one Prefect server for all faults."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small file of ratings."""
    return write_ratings(tmp_path_factory.mktemp("ratings") / "ratings.csv")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table, and write it to build/faults.json, where all faults were asked for."""
    if config.option.markexpr != "faults":
        return
    rows = [
        row
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        for row in _rows(outcome, report)
    ]
    table = Table("area", "what was done", "what came of it", "", title="Faults")
    for row in rows:
        table.add_row(*row)
    Console(width=TABLE_WIDTH).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def _rows(outcome: str, report: Any) -> list[tuple[str, str, str, str]]:
    file, _, name = report.nodeid.rpartition("::")
    area = Path(file).stem.removeprefix("test_").replace("_", " ")
    told = [value for key, value in report.user_properties if key == FAULT]
    if outcome == "skipped":
        told = [[name, str(report.longrepr[2])]]
    elif outcome != "passed" or not told:
        told = [*told, [name.removeprefix("test_").replace("_", " "), ""]]
    return [(area, done, result, outcome) for done, result in told]
