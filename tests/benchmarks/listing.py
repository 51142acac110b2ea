"""Benchmark: the lists of all users of data as large as MovieLens 1M and 20M, of a made model with 32 factors.

    python -m tests.benchmarks.listing

The lists are written by `mf-or-dnn recommend`, whose time and memory are those of a whole process.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.models.baselines import Baseline
from recsys.models.factor_model import factor_model
from recsys.models.factors import Factors
from recsys.models.keras_predictor import KerasPredictor
from recsys.winner.packing import write_winner
from tests.benchmarks.measuring import ROOT, report, run

SIZES = {"MovieLens 1M": (6_040, 3_706, 1_000_209), "MovieLens 20M": (138_493, 26_744, 20_000_263)}
"""Users, items and ratings."""

FACTORS = 32


def write_made_winner(folder: Path, users: int, items: int, ratings: int) -> None:
    """Write the folder of a model whose vectors are drawn at random, fitted to as many random ratings."""
    random = np.random.default_rng(1)

    def normal(*shape: int) -> np.typing.NDArray[np.float32]:
        return random.normal(scale=0.1, size=shape).astype(np.float32)

    source = folder.with_name("source")
    for place in (folder, source):
        place.mkdir()
    factors = Factors(normal(users, FACTORS), normal(items, FACTORS), normal(users), normal(items), 3.5)
    KerasPredictor(factor_model(factors, "mf_tuned")).save(source / "model.keras")
    pq.write_table(pa.table({"code": range(users), "id": range(users)}), source / "users.parquet")
    titles = pa.nulls(items, pa.string())
    pq.write_table(pa.table({"code": range(items), "id": range(items), "title": titles}), source / "items.parquet")
    user, item = (random.integers(count, size=ratings).astype(np.int32) for count in (users, items))
    rating = random.integers(1, 6, size=ratings).astype(np.float32)
    write_winner(
        folder,
        {"model.keras": source / "model.keras"},
        {"name": "mf_tuned", "title": "tuned MF", "reason": "", "refitted": True, "seed": 1, "settings": {}},
        (user, item, rating),
        Baseline(3.5, np.zeros(users), np.zeros(items), 0, 0.0),
        (source / "users.parquet", source / "items.parquet"),
    )


def main() -> None:
    """Write the lists, and print what that took."""
    rows: list[dict[str, Any]] = []
    for name, (users, items, ratings) in SIZES.items():
        with tempfile.TemporaryDirectory() as temporary:
            winner, out = Path(temporary, "winner"), Path(temporary, "lists.parquet")
            write_made_winner(winner, users, items, ratings)
            command = [str(ROOT / "flows" / "compare.py"), "recommend", "--winner", str(winner), "--out", str(out)]
            done = run(*command)
        pairs = users * items / done.seconds
        rows.append(
            {
                "size": name,
                "users": f"{users:,}",
                "items": f"{items:,}",
                "seconds": f"{done.seconds:.1f}",
                "pairs a second": f"{pairs:,.0f}",
                "peak MB": f"{done.peak_mb:,.0f}",
            }
        )
    report("listing", rows)


if __name__ == "__main__":
    main()
