"""Running a process and knowing what it took; showing and keeping the results."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "benchmarks"


@dataclass(frozen=True)
class Process:
    """A finished process.

    Attributes:
        output: its standard output.
        seconds: wall-clock time.
        peak_mb: largest resident memory, in MB, of itself and of its largest child.
    """

    output: str
    seconds: float
    peak_mb: float


def run(*arguments: str, **environment: str) -> Process:
    """Run this Python with some arguments, and variables of the environment, from the project's root."""
    start = time.perf_counter()
    # a process of its own in between, because the kernel keeps the peak of all children that have ended
    watcher = (
        "import resource,subprocess,sys;code=subprocess.run(sys.argv[1:]).returncode;"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,file=sys.stderr);sys.exit(code)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", watcher, sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {finished.returncode}:\n{finished.stderr[-3000:]}")
    kilobytes = int(finished.stderr.strip().splitlines()[-1])
    return Process(finished.stdout, time.perf_counter() - start, kilobytes / 1024)


def report(name: str, rows: list[dict[str, Any]], **facts: Any) -> None:
    """Print the rows as a table and write them, with further facts, to build/benchmarks/<name>.json."""
    table = Table(title=name)
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:,.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact}: {value:,.4g}" if isinstance(value, float) else f"{fact}: {value}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"rows": rows, **facts, "cores": os.cpu_count()}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
