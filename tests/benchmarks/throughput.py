"""Benchmark 3: ratings per second against batch size, on the sample's tables and on MovieLens-20M's.

python -m tests.benchmarks.throughput
"""

from tests.benchmarks.measuring import report
from tests.benchmarks.stepping import copied_ratings_a_second, step_milliseconds

TABLES = {"sample": (671, 9_066), "ml-20m": (138_493, 26_744)}
BATCHES = (64, 512, 4096, 16_384)
RATINGS = {"compiled": 512_000, "keras": 4_000}


def main() -> None:
    """Measure and print."""
    rows: list[dict[str, str | float | int]] = []
    for tables, (users, items) in TABLES.items():
        for batch in BATCHES:
            row: dict[str, str | float | int] = {"tables": tables, "batch": batch}
            for model in ("mf", "dnn"):
                speeds = {}
                for engine in ("keras", "compiled"):
                    steps = max(8, RATINGS[engine] // batch)
                    speeds[engine] = 1000 * batch / step_milliseconds(model, users, items, engine, steps, batch)
                    row[f"{model} {engine} ratings/s"] = round(speeds[engine])
                row[f"{model} ratio"] = speeds["compiled"] / speeds["keras"]
            row["mf rows copied, ratings/s"] = round(copied_ratings_a_second(users, items, batch, RATINGS["compiled"]))
            rows.append(row)
    report("throughput", rows)


if __name__ == "__main__":
    main()
