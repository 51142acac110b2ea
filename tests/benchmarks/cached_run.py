"""Benchmark 7: an empty Prefect flow against our default run, all of it cached, whole processes.

    python -m tests.benchmarks.cached_run

By turns, first without a running server, where the empty flow starts one for itself and our run needs no Prefect, then
with one.
"""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.measuring import report, run
from tests.processes import PrefectServer

ROUNDS = 7

EMPTY = """
from prefect import flow

@flow
def empty() -> None:
    pass

empty()
"""


def main() -> None:
    """Fill a store, run both by turns and print the differences."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place, "prefect")
        home.mkdir()
        server = PrefectServer(home)
        ours = ("flows/compare.py", "--store", f"{place}/store", "--reports", f"{place}/reports")
        server.start()
        try:
            run(*ours, **server.environment)
            with_server = _by_turns(ours, server.environment)
        finally:
            server.kill()
        alone = _by_turns(ours, {"PREFECT_HOME": str(home)})
    rows = [{"Prefect's server": "none", **alone}, {"Prefect's server": "running", **with_server}]
    report("cached_run", rows, rounds=ROUNDS)


def _by_turns(ours: tuple[str, ...], environment: dict[str, str]) -> dict[str, Any]:
    """Run both so many times; return the medians of their seconds, and of the difference within a round."""
    pairs: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        again = run(*ours, **environment)
        if "Every task was cached" not in again.output:
            raise RuntimeError(f"something was computed:\n{again.output}")
        pairs.append((run("-c", EMPTY, **environment).seconds, again.seconds))
    differences = [cached - empty for empty, cached in pairs]
    return {
        "empty flow s": median(empty for empty, _ in pairs),
        "cached run s": median(cached for _, cached in pairs),
        "more s": median(differences),
        "least more s": min(differences),
        "most more s": max(differences),
        "ratio": median(cached / empty for empty, cached in pairs),
    }


if __name__ == "__main__":
    main()
