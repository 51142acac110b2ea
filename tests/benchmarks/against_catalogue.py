"""Benchmark 2: what a training step costs as the catalogue grows, Keras's `fit` and ours.

python -m tests.benchmarks.against_catalogue
"""

from recsys.settings import Engine
from tests.benchmarks.measuring import report
from tests.benchmarks.stepping import step_milliseconds

MODELS = ("mf", "dnn")
TABLE_ROWS = (1_000, 10_000, 100_000, 1_000_000)
STEPS: dict[Engine, int] = {"compiled": 20_000, "keras": 15}
ROUNDS: dict[Engine, int] = {"compiled": 3, "keras": 1}
"""How often all sizes are measured in turn, of which the least counts: other work makes a measurement too long, never
too short, and a slow minute must not fall on one size alone."""


def main() -> None:
    """Measure and print."""
    least: dict[tuple[int, str, Engine], float] = {}
    for engine, rounds in ROUNDS.items():
        for _ in range(rounds):
            for table_rows in TABLE_ROWS:
                users = table_rows * 5 // 6
                for model in MODELS:
                    taken = step_milliseconds(model, users, table_rows - users, engine, STEPS[engine])
                    case = table_rows, model, engine
                    least[case] = min(taken, least.get(case, taken))
    rows = [
        {"rows in the tables": table_rows}
        | {f"{model} {engine} ms": least[table_rows, model, engine] for model in MODELS for engine in STEPS}
        for table_rows in TABLE_ROWS
    ]
    small, large = rows[1], rows[-1]
    growth = {
        f"{model} {engine}: growth from 10 thousand to 1 million rows": large[f"{model} {engine} ms"]
        / small[f"{model} {engine} ms"]
        for model in MODELS
        for engine in STEPS
    }
    report("against_catalogue", rows, **growth)


if __name__ == "__main__":
    main()
