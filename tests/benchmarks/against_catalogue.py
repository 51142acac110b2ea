"""Benchmark 2: what a training step costs as the catalogue grows, Keras's `fit` and ours.

python -m tests.benchmarks.against_catalogue
"""

import numpy as np

from recsys.models.dnn import build_dnn
from recsys.models.mf import build_mf
from recsys.settings import DNNSettings, Engine, FitSettings, MFSettings
from recsys.training.fit import FitData
from recsys.training.train import train
from tests.benchmarks.measuring import report

TABLE_ROWS = (1_000, 10_000, 100_000, 1_000_000)
STEPS: dict[Engine, int] = {"compiled": 20_000, "keras": 100}
"""Steps an epoch; at the end of ours, all rows catch up, which 20,000 steps of 64 ratings make light of."""


def step_milliseconds(model: str, table_rows: int, engine: Engine) -> float:
    """Return the time of one step of 64 ratings, without compilation: the second and third epoch's."""
    random = np.random.default_rng(0)
    users, items, rows = table_rows * 5 // 6, table_rows - table_rows * 5 // 6, STEPS[engine] * 64
    data = FitData(
        random.integers(users, size=rows + 64).astype(np.int32),
        random.integers(items, size=rows + 64).astype(np.int32),
        random.integers(1, 6, size=rows + 64).astype(np.float32),
        np.arange(rows),
        np.arange(rows, rows + 64),
    )

    def seconds(epochs: int) -> float:
        settings: FitSettings
        if model == "mf":
            settings = MFSettings(epochs=epochs)
            built = build_mf(users, items, settings, 1)
        else:
            settings = DNNSettings(epochs=epochs)
            built = build_dnn(users, items, settings, 1)
        return train(built, data, settings, 1, engine=engine).seconds

    seconds(1)  # compiles
    return 1000 * (seconds(3) - seconds(1)) / (2 * STEPS[engine])


def main() -> None:
    """Measure and print."""
    rows = []
    for table_rows in TABLE_ROWS:
        row: dict[str, float | int] = {"rows in the tables": table_rows}
        for model in ("mf", "dnn"):
            row[f"{model} keras ms"] = step_milliseconds(model, table_rows, "keras")
            row[f"{model} ours ms"] = step_milliseconds(model, table_rows, "compiled")
        rows.append(row)
    growth = {
        f"{model}_{engine}_growth_from_10_thousand_to_1_million": rows[3][f"{model} {engine} ms"]
        / rows[1][f"{model} {engine} ms"]
        for model in ("mf", "dnn")
        for engine in ("keras", "ours")
    }
    report("against_catalogue", rows, **growth)


if __name__ == "__main__":
    main()
