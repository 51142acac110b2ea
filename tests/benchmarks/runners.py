"""Benchmark: the same comparison with threads and with two worker processes of Dask, with trainings of minutes.

    python -m tests.benchmarks.runners [ratings] [options of flows/compare.py]

Without options: protocol `notebook`. Two tasks at a time, an empty store each; ten minutes with 2 million ratings on 2
cores.
"""

import sys
import tempfile

from tests.benchmarks.made_ratings import made_ratings
from tests.benchmarks.measuring import report
from tests.benchmarks.whole_flow import watched

RUNNERS = "threads", "dask"


def main(ratings: str = "2000000", *options: str) -> None:
    """Run both and print what their tasks took."""
    options = options or ("--protocol", "notebook")
    file = str(made_ratings(int(ratings)))
    runs = {}
    for runner in RUNNERS:
        with tempfile.TemporaryDirectory() as place:
            where = ("--store", f"{place}/store", "--reports", f"{place}/reports")
            runs[runner] = watched("--ratings", file, *options, "--runner", runner, "--workers", "2", *where)
    table = [
        {"task": task, **{runner: run.ended[task] - run.begun[task] for runner, run in runs.items()}}
        for task in runs["threads"].ended
    ]
    whole = {"task": "whole run", **{runner: run.seconds for runner, run in runs.items()}}
    threads, dask = (runs[runner].seconds for runner in RUNNERS)
    facts = {"ratings": int(ratings), "options": " ".join(options), "seconds_of_dask_over_threads": dask / threads}
    report("runners", [*table, whole], **facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
