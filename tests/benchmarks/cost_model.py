"""Benchmark: what each task costs from 100,000 to 100 million ratings, and how well a line foretells it.

    python -m tests.benchmarks.cost_model [ratings ...]

Without sizes 0.1, 1, 20 and 100 million, two hours on 2 cores, half an hour of which only make the largest file.
Protocol `notebook` with 2 epochs and, for the networks, batches of 4096. A cost is a constant and so much for each
rating, fitted to relative errors; each size is foretold from the others. It takes the last results with it, so that one
size more costs no more than that size.
"""

import json
import sys
import tempfile

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from tests.benchmarks.made_ratings import ROWS, made_ratings
from tests.benchmarks.measuring import RESULTS, report
from tests.benchmarks.whole_flow import watched

SIZES = 100_000, 1_000_000, ROWS, 100_000_000
NETWORKS = "dnn", "dnn_tuned"
OPTIONS = (
    *("--protocol", "notebook", "--mf.epochs", "2"),
    *(option for name in NETWORKS for option in (f"--{name}.epochs", "2", f"--{name}.batch-size", "4096")),
)

Costs = dict[str, dict[str, float]]
"""Task, or `whole run` -> seconds and peak MB."""


def measured(rows: int) -> Costs:
    """Run the flow on so many made ratings, with an empty store."""
    with tempfile.TemporaryDirectory() as place:
        where = ("--store", f"{place}/store", "--reports", f"{place}/reports")
        run = watched("--ratings", str(made_ratings(rows)), *OPTIONS, *where)
    costs = {task: {"seconds": run.ended[task] - run.begun[task], "MB": run.peak_mb(task)} for task in run.ended}
    return {**costs, "whole run": {"seconds": run.seconds, "MB": run.peak_mb()}}


def line(millions: npt.NDArray[np.float64], costs: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the constant and what a million ratings add, none below 0, of the least relative errors."""
    found, _ = nnls(np.stack([1 / costs, millions / costs], axis=1), np.ones(len(costs)))
    return float(found[0]), float(found[1])


def main(*sizes: str) -> None:
    """Measure the sizes that are asked for, and print the lines and their errors with all that have been measured."""
    results = RESULTS / "cost_model_runs.json"
    runs: dict[str, Costs] = json.loads(results.read_text()) if results.exists() else {}
    for rows in map(int, sizes or map(str, SIZES)):
        runs[str(rows)] = measured(rows)
        RESULTS.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(runs, indent=1) + "\n")
    of_size = sorted((int(rows), costs) for rows, costs in runs.items())
    millions = np.array([rows / 1e6 for rows, _ in of_size])
    table = []
    for task in of_size[-1][1]:
        for unit in ("seconds", "MB"):
            costs = np.array([run[task][unit] for _, run in of_size])
            constant, slope = line(millions, costs)
            row = {"task": task, "unit": unit, "constant": constant, "per million": slope}
            for size in range(len(millions)):
                others = np.arange(len(millions)) != size
                foretold = np.dot(line(millions[others], costs[others]), [1, millions[size]])
                row[f"{millions[size]:.3g} M"] = f"{costs[size]:,.4g} ({foretold / costs[size] - 1:+.0%})"
            table.append(row)
    report("cost_model", table, options=" ".join(OPTIONS))


if __name__ == "__main__":
    main(*sys.argv[1:])
