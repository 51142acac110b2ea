"""Benchmark: what share of a fit of the two towers and of AutoRec are matrix products, on the embedded sample.

    python -m tests.benchmarks.products

A product with the matrix of ratings or histories, of which only the cells that are there are stored, is a sparse one:
the sums over a history, the codes of AutoRec, its outputs, and the gradients of these. The rest is functions of single
numbers and copies. The time is that of the compiled
functions, as Python's profiler has it, in a fit after the one that reads them from disk.
"""

import cProfile
import pstats
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data.source import locate
from recsys.models.specs import MODEL
from recsys.settings import DataSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_model
from tests.benchmarks.against_peers import rows_of
from tests.benchmarks.measuring import report

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "towers": {
        "dense products": ("product", "outer_sum"),
        "sparse products": ("history_sums", "step_tables", "error_gradient"),
        "Adam": ("adam",),
    },
    "autorec": {
        "sparse products": ("encode", "add_gradients"),
        "Adam": ("adam_step",),
    },
}
"""The compiled functions of each part; the towers' `step_tables` also has their Adam."""

MODULES = {"towers": ("history_steps.py", "histories.py"), "autorec": ("autorec_step.py",)}
EPOCHS = {"towers": 24, "autorec": 40}


def main() -> None:
    """Fit, measure and print."""
    with tempfile.TemporaryDirectory() as place:
        rows = np.load(rows_of(locate(DataSettings()).ratings, 100_000, Path(place, "sample")))
        columns = [rows[f"t_{name}"] for name in ("user", "item", "rating")]
    user, item, rating = columns
    data = FitData(user, item, rating, np.arange(len(rating)), np.arange(0))
    report("products", [_shares(name, data) for name in PARTS])


def _shares(name: str, data: FitData) -> dict[str, Any]:
    spec = MODEL[name]
    sizes = int(data.user.max()) + 1, int(data.item.max()) + 1

    def fit(epochs: int) -> float:
        given = {"epochs": epochs} | ({"patience": 0} if "patience" in spec.settings.model_fields else {})
        settings = spec.settings.model_validate(given)
        return fit_model(name, spec.build, spec.fit, *sizes, data, settings, 1, standardised=True)[1].seconds

    fit(1)
    profile = cProfile.Profile()
    seconds = profile.runcall(fit, EPOCHS[name])
    spent: dict[str, float] = {}
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if Path(file).name in MODULES[name]:
            spent[function] = spent.get(function, 0.0) + own
    shares = {part: sum(spent[function] for function in functions) / seconds for part, functions in PARTS[name].items()}
    return {
        "model": spec.title,
        "seconds": seconds,
        "dense products": shares.get("dense products", 0.0),
        "sparse products": shares["sparse products"],
        "Adam": shares["Adam"],
    }


if __name__ == "__main__":
    main()
