"""Benchmark 1: the notebook's script against ours, trainings and whole process, on the sample.

    python -m tests.benchmarks.against_notebook

Ours is measured three times: as a script that does with the library what the notebook's does and no more, and as the
flow, with its server, baselines, rankings and report; once starting that server, once telling one that is running.

Both print the test MSE of protocol `notebook`. A network's depends on its first weights by some 2 %, and
the script draws others than ours does; so equality is shown twice more: against Keras's own `fit` with
our first weights and order, and as the mean and sd of other seeds.
"""

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.data.source import locate
from recsys.settings import DataSettings, Engine
from tests.benchmarks.measuring import Process, report, run
from tests.benchmarks.seeds import spread_of_seeds
from tests.processes import PrefectServer


def main() -> None:
    """Run both and print the ratios."""
    sample = locate(DataSettings()).ratings
    theirs = run("-m", "tests.benchmarks.notebook", str(sample))
    script = run("-m", "tests.benchmarks.our_notebook", str(sample))
    ours, models = _compare("compiled")
    with tempfile.TemporaryDirectory() as home:
        server = PrefectServer(Path(home))
        server.start()
        try:
            served, _ = _compare("compiled", **server.environment)
        finally:
            server.kill()
    _, reference = _compare("keras")
    seeds = spread_of_seeds(sample)
    notebook = json.loads(theirs.output.splitlines()[-1])
    rows = [
        {
            "model": name,
            "notebook s": notebook["fit_seconds"][name],
            "ours s": model["fit_seconds"],
            "notebook MSE": notebook["mse"][name],
            "our MSE": model["mse"],
            "Keras MSE, our weights": reference[name]["mse"],
            "our mean": seeds[name][0],
            "our sd": seeds[name][1],
        }
        for name, model in models.items()
    ]
    training = sum(notebook["fit_seconds"].values())
    report(
        "against_notebook",
        rows,
        notebook_training_seconds=training,
        our_training_seconds=_training_seconds(models),
        training_ratio=training / _training_seconds(models),
        notebook_process_seconds=theirs.seconds,
        our_process_seconds=script.seconds,
        process_ratio=theirs.seconds / script.seconds,
        our_flow_seconds=ours.seconds,
        flow_ratio=theirs.seconds / ours.seconds,
        our_flow_seconds_with_a_running_server=served.seconds,
        flow_ratio_with_a_running_server=theirs.seconds / served.seconds,
        largest_mse_difference_from_keras=max(abs(m["mse"] / reference[n]["mse"] - 1) for n, m in models.items()),
        notebook_peak_mb=theirs.peak_mb,
        our_peak_mb=script.peak_mb,
        our_flow_peak_mb=ours.peak_mb,
    )


def _compare(engine: Engine, **environment: str) -> tuple[Process, dict[str, Any]]:
    """Run our flow on an empty store; return the process and its models by name."""
    with tempfile.TemporaryDirectory() as place:
        where = ("--store", f"{place}/store", "--reports", f"{place}/reports")
        process = run("flows/compare.py", "--protocol", "notebook", "--engine", engine, "--json", *where, **environment)
    return process, {model["name"]: model for model in json.loads(process.output)["models"]}


def _training_seconds(models: dict[str, Any]) -> float:
    """From the first training's begin to the last one's end: they run side by side."""
    times = [[datetime.fromisoformat(model[when]) for model in models.values()] for when in ("started", "ended")]
    return (max(times[1]) - min(times[0])).total_seconds()


if __name__ == "__main__":
    main()
