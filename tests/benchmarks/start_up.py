"""Benchmark: what the command line takes where there is nothing to compute, beside Python alone.

    python -m tests.benchmarks.start_up

By turns: `python -c pass`, the help, a wrong option, a missing file, a plan of what is cached, and the run of it, first
without a server and then with one. Times of the processor are those of the whole process.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.made_ratings import write_ratings
from tests.benchmarks.measuring import Process, report, run, run_to
from tests.processes import PrefectServer

ROUNDS = 5

ROWS = 10_000

QUICK = ("--budget", "0", "--seeds", "1", "--models", "mf_tuned", "--models", "dnn_tuned")


def main() -> None:
    """Compare once, then measure each command by turns and print the medians."""
    with tempfile.TemporaryDirectory() as place:
        ratings, home = f"{place}/ratings.csv", Path(place, "prefect")
        home.mkdir()
        write_ratings(Path(ratings), ROWS)
        places = ("--store", f"{place}/store", "--reports", f"{place}/reports")
        compare = ("flows/compare.py", "--ratings", ratings, *QUICK, *places)
        alone = {"PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
        server = PrefectServer(home)
        server.start()
        try:
            run(*compare, **server.environment)
            commands: dict[str, tuple[Sequence[str], int, dict[str, str]]] = {
                "python -c pass": (("-c", "pass"), 0, alone),
                "--help": (("flows/compare.py", "--help"), 0, alone),
                "a wrong option": (("flows/compare.py", "--budget", "none"), 2, alone),
                "a missing file": (("flows/compare.py", "--ratings", f"{place}/absent.csv"), 2, alone),
                "--plan, all cached": ((*compare, "--plan"), 0, alone),
                "all cached": (compare, 0, alone),
                "all cached, with a server": (compare, 0, server.environment),
            }
            rounds = [
                {name: run_to(code, *given, **environment) for name, (given, code, environment) in commands.items()}
                for _ in range(ROUNDS)
            ]
        finally:
            server.kill()
    report("start_up", [_row(name, [found[name] for found in rounds]) for name in commands], rounds=ROUNDS)


def _row(name: str, found: Sequence[Process]) -> dict[str, Any]:
    return {
        "command": name,
        "s": median(one.seconds for one in found),
        "CPU s": median(one.cpu_seconds for one in found),
        "peak MB": median(one.peak_mb for one in found),
    }


if __name__ == "__main__":
    main()
