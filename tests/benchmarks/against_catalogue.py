"""Benchmark 2: what a training step costs as the catalogue grows, Keras's `fit` and ours.

python -m tests.benchmarks.against_catalogue
"""

from recsys.settings import Engine
from tests.benchmarks.measuring import report
from tests.benchmarks.stepping import step_milliseconds

TABLE_ROWS = (1_000, 10_000, 100_000, 1_000_000)
STEPS: dict[Engine, int] = {"compiled": 20_000, "keras": 15}


def main() -> None:
    """Measure and print."""
    rows: list[dict[str, float | int]] = []
    for table_rows in TABLE_ROWS:
        users = table_rows * 5 // 6
        row: dict[str, float | int] = {"rows in the tables": table_rows}
        for model in ("mf", "dnn"):
            for engine, steps in STEPS.items():
                row[f"{model} {engine} ms"] = step_milliseconds(model, users, table_rows - users, engine, steps)
        rows.append(row)
    small, large = rows[1], rows[-1]
    growth = {
        f"{model} {engine}: growth from 10 thousand to 1 million rows": large[f"{model} {engine} ms"]
        / small[f"{model} {engine} ms"]
        for model in ("mf", "dnn")
        for engine in STEPS
    }
    report("against_catalogue", rows, **growth)


if __name__ == "__main__":
    main()
