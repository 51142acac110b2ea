"""Benchmark 1: the notebook's script against our flow, whole process and trainings, on the sample.

python -m tests.benchmarks.against_notebook
"""

import json
import tempfile

from recsys.data.sources import locate
from recsys.settings import DataSettings
from tests.benchmarks.measuring import report, run


def main() -> None:
    """Run both and print the ratios."""
    sample = locate(DataSettings()).ratings
    theirs = run("-m", "tests.benchmarks.notebook", str(sample))
    with tempfile.TemporaryDirectory() as place:
        where = ("--store", f"{place}/store", "--reports", f"{place}/reports")
        ours = run("flows/compare.py", "--protocol", "notebook", "--json", *where)
    notebook = json.loads(theirs.output.splitlines()[-1])
    models = {model["name"]: model for model in json.loads(ours.output)["models"]}
    rows = [
        {
            "model": name,
            "notebook s": notebook["fit_seconds"][name],
            "ours s": model["fit_seconds"],
            "ratio": notebook["fit_seconds"][name] / model["fit_seconds"],
            "notebook MSE": notebook["mse"][name],
            "our MSE": model["mse"],
        }
        for name, model in models.items()
    ]
    fits = [sum(row[side] for row in rows) for side in ("notebook s", "ours s")]
    report(
        "against_notebook",
        rows,
        training_ratio=fits[0] / fits[1],
        process_ratio=theirs.seconds / ours.seconds,
        notebook_process_seconds=theirs.seconds,
        our_process_seconds=ours.seconds,
        notebook_peak_mb=theirs.peak_mb,
        our_peak_mb=ours.peak_mb,
    )


if __name__ == "__main__":
    main()
