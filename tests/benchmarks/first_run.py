"""Benchmark: where the seconds go from the command to the start of the first task.

    python -m tests.benchmarks.first_run

Of runs on the embedded sample with an empty store, each ended once its first task has started: the very first, for
which Prefect's server makes its database, and later ones. Each row of the table is a moment, with the seconds since the
command.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

from flows.server import is_healthy
from tests.benchmarks.measuring import ROOT, report
from tests.processes import kill, until

ROUNDS = 5

BEGUN = "its server is begun"
EXPLAINED = "Prefect is imported, the ratings are looked at and the run is planned"
ANSWERS = "its server answers"
STARTED = "the first task starts"


def main() -> None:
    """Begin the runs and print the moments of each."""
    with tempfile.TemporaryDirectory() as place:
        first = moments(Path(place))
        later = [moments(Path(place)) for _ in range(ROUNDS)]
    rows = [
        {"moment": moment, "first run ever s": seconds, "later runs s": median(one[moment] for one in later)}
        for moment, seconds in first.items()
    ]
    report("first_run", rows, rounds=ROUNDS)


def moments(place: Path) -> dict[str, float]:
    """Begin a run with a new store and the Prefect home in `place`, and return when it came to each moment."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=place) as new:
        start = time.perf_counter()
        run = subprocess.Popen(
            [sys.executable, "flows/compare.py", "--store", f"{new}/store", "--reports", f"{new}/reports"],
            cwd=ROOT,
            env={**os.environ, "PREFECT_HOME": str(place / "prefect"), "PREFECT_API_URL": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

        def read() -> None:
            assert run.stdout
            for line in run.stdout:
                if b" to run" in line:
                    found[EXPLAINED] = time.perf_counter() - start
                if line.startswith("▸".encode()):
                    found.setdefault(STARTED, time.perf_counter() - start)

        reading = threading.Thread(target=read)
        reading.start()
        try:
            port = until(lambda: next(_ports(run.pid), None), BEGUN)
            found[BEGUN] = time.perf_counter() - start
            until(lambda: is_healthy(f"http://127.0.0.1:{port}/api"), ANSWERS)
            found[ANSWERS] = time.perf_counter() - start
            until(lambda: STARTED in found, STARTED)
        finally:
            kill(run)
            reading.join()
    return dict(sorted(found.items(), key=lambda moment: moment[1]))


def _ports(run: int) -> Iterator[str]:
    """Of the servers that a run has started."""
    for child in psutil.Process(run).children():
        command = child.cmdline()
        if "flows.server" in command:
            yield command[-1]


if __name__ == "__main__":
    main()
