"""Benchmark: what commands that compute nothing take, beside a Python that does nothing.

    python -m tests.benchmarks.start_up

By turns; of each the median of the wall-clock time and of the processor time of its process and of those that it
starts. The server of the last row is not among these.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import ROOT, report, run
from tests.processes import PrefectServer

ROUNDS = 5

PATIENCE = 120.0
"""Seconds in which each of the commands ends."""

NOTHING = "python -c pass"


def main() -> None:
    """Fill a store, call all commands by turns and print what they take."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place, "prefect")
        home.mkdir()
        server = PrefectServer(home)
        alone = {"PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
        where = ("--reports", f"{place}/reports")
        ours = ("flows/compare.py", *where, "--store", f"{place}/store")
        run(*ours, **alone)
        commands = {
            NOTHING: (("-c", "pass"), 0),
            "--help": (("flows/compare.py", "--help"), 0),
            "an unknown option": ((*ours, "--nonsense"), 2),
            "a value out of range": ((*ours, "--test-size", "2"), 2),
            "a file that does not exist": ((*ours, "--ratings", "absent.csv"), 2),
            "--plan, all to compute": (("flows/compare.py", *where, "--store", f"{place}/empty", "--plan"), 0),
            "--plan, all cached": ((*ours, "--plan"), 0),
            "a run, all cached": (ours, 0),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, (arguments, code) in commands.items():
                found[name].append(taken(arguments, code, alone))
        server.start()
        try:
            found["a run, all cached, with a server"] = [taken(ours, 0, server.environment) for _ in range(ROUNDS)]
        finally:
            server.kill()
    nothing = median(seconds for seconds, _ in found[NOTHING])
    rows = [
        {
            "command": name,
            "seconds": (seconds := median(wall for wall, _ in each)),
            "processor seconds": median(used for _, used in each),
            "times python -c pass": seconds / nothing,
        }
        for name, each in found.items()
    ]
    report("start_up", rows, rounds=ROUNDS)


def taken(arguments: tuple[str, ...], code: int, environment: dict[str, str]) -> tuple[float, float]:
    """Run this Python; return the wall-clock seconds and the processor seconds, or raise if it ends otherwise."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
