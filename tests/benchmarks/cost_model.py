"""Benchmark: what each task costs from 100,000 to 100 million ratings, and how well that can be told beforehand.

    python -m tests.benchmarks.cost_model [ratings ...]

Without sizes those of 0.1, 1, 20 and 100 million that it has no results of: two hours on 2 cores, half an hour of
which only make the largest file. Protocol `notebook` with 2 epochs and, for the networks, batches of 4096. A cost is a
constant and so much for each rating, fitted to relative errors; each size is told from the others, and by a plan that
knows of no past runs.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from flows.compare import wire
from flows.forecast import forecast
from flows.plan import Planner
from recsys.data.source import locate
from recsys.settings import Settings
from recsys.store.costs import Costs as PastCosts
from recsys.store.store import Store
from tests.benchmarks.made_ratings import ROWS, made_ratings
from tests.benchmarks.measuring import RESULTS, report
from tests.benchmarks.whole_flow import watched

SIZES = 100_000, 1_000_000, ROWS, 100_000_000
NETWORK = {"epochs": 2, "batch_size": 4096}
SETTINGS = {"protocol": "notebook", "mf": {"epochs": 2}, "dnn": NETWORK, "dnn_tuned": NETWORK}

Costs = dict[str, dict[str, float]]
"""Task, or `whole run` -> seconds and peak MB."""


def measured(rows: int) -> Costs:
    """Run the flow on so many made ratings, with an empty store."""
    with tempfile.TemporaryDirectory() as place:
        config = Path(place, "settings.yaml")
        config.write_text(json.dumps(SETTINGS))
        where = ("--store", f"{place}/store", "--reports", f"{place}/reports")
        run = watched("--config", str(config), "--ratings", str(made_ratings(rows)), *where)
    costs = {task: {"seconds": run.ended[task] - run.begun[task], "MB": run.peak_mb(task)} for task in run.ended}
    return {**costs, "whole run": {"seconds": run.seconds, "MB": run.peak_mb()}}


def planned(rows: int) -> Costs:
    """What a plan with an empty store says of the same run, by the shipped figures."""
    with tempfile.TemporaryDirectory() as store:
        any_file = str(made_ratings(SIZES[0]))  # costs are told by the number of ratings
        settings = Settings.model_validate({**SETTINGS, "data": {"ratings": any_file}})
        planner = Planner(store)
        wire(settings, locate(settings.data), planner)
        expected = forecast(planner.to_run, rows, PastCosts(Store(store)), workers=2)
    costs = {task: {"seconds": cost.seconds, "MB": cost.megabytes} for task, cost in expected.tasks.items()}
    return {**costs, "whole run": {"seconds": expected.seconds, "MB": expected.megabytes}}


def line(millions: npt.NDArray[np.float64], costs: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the constant and what a million ratings add, none below 0, of the least relative errors."""
    found, _ = nnls(np.stack([1 / costs, millions / costs], axis=1), np.ones(len(costs)))
    return float(found[0]), float(found[1])


def main(*sizes: str) -> None:
    """Measure the sizes that are asked for, and print the lines and their errors with all that have been measured."""
    results = RESULTS / "cost_model_runs.json"
    runs: dict[str, Costs] = json.loads(results.read_text()) if results.exists() else {}
    for rows in map(int, sizes) if sizes else [rows for rows in SIZES if str(rows) not in runs]:
        runs[str(rows)] = measured(rows)
        RESULTS.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(runs, indent=1) + "\n")
    of_size = sorted((int(rows), costs) for rows, costs in runs.items())
    millions = np.array([rows / 1e6 for rows, _ in of_size])
    plans = [planned(rows) for rows, _ in of_size]
    table = []
    for task in of_size[-1][1]:
        for unit in ("seconds", "MB"):
            costs = np.array([run[task][unit] for _, run in of_size])
            constant, slope = line(millions, costs)
            row = {"task": task, "unit": unit, "constant": constant, "per million": slope}
            for size in range(len(millions)):
                others = np.arange(len(millions)) != size
                from_others = np.dot(line(millions[others], costs[others]), [1, millions[size]])
                errors = [told / costs[size] - 1 for told in (from_others, plans[size][task][unit])]
                row[f"{millions[size]:.3g} M (others, plan)"] = (
                    f"{costs[size]:,.4g} ({errors[0]:+.0%}, {errors[1]:+.0%})"
                )
            table.append(row)
    report("cost_model", table, settings=json.dumps(SETTINGS))


if __name__ == "__main__":
    main(*sys.argv[1:])
