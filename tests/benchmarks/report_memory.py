"""Benchmark: the memory of a report's tables and baselines, from 5 to 80 million ratings of as many users and items.

    python -m tests.benchmarks.report_memory [ratings ...]

Each size is a process of its own, which evaluates the baselines of made ratings, draws their plots and writes the
predictions, all under protocol `notebook`, whose test set is the larger one. Private memory is what the process alone
can return; mapped files are pages that the kernel can drop.
"""

import re
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.measuring import report, run

USERS, ITEMS = 100_000, 20_000
SIZES = 5_000_000, 20_000_000, 80_000_000
STEP = 7919
"""Items between two of a user, which has no divisor in common with ITEMS: no pair repeats."""

BLOCK = 1 << 20
SECONDS_BETWEEN_SAMPLES = 0.02


def write(folder: Path, rows: int) -> None:
    """Write encoded ratings, and a random split, into `folder`."""
    random = np.random.default_rng(0)
    bias = random.normal(0, 0.4, USERS), random.normal(0, 0.4, ITEMS)
    columns = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (rows,))
        for name, dtype in (("user", np.int32), ("item", np.int32), ("rating", np.float32))
    }
    for start in range(0, rows, BLOCK):
        block = slice(start, min(start + BLOCK, rows))
        many = block.stop - start
        place, user = np.divmod(np.arange(block.start, block.stop), USERS)
        item = (user * 31 + place * STEP) % ITEMS
        columns["user"][block], columns["item"][block] = user, item
        noisy = 3.4 + bias[0][user] + bias[1][item] + random.normal(0, 0.8, many)
        columns["rating"][block] = np.clip(np.round(2 * noisy) / 2, 0.5, 5)
    order = random.permutation(rows).astype(np.int32)
    for name, part in (("test", order[: rows // 5]), ("train", order[rows // 5 :])):
        np.save(folder / f"{name}.npy", part)
    for name, size in (("users", USERS), ("items", ITEMS)):
        pq.write_table(pa.table({"code": range(size), "id": range(size)}), folder / f"{name}.parquet")


def measure(folder: Path) -> None:
    """Make the report's tables, and print the peaks of private memory and of mapped files, less those at its start."""
    from recsys.blocks import Scratch
    from recsys.evaluation.evaluate import evaluate
    from recsys.evaluation.inputs import Ratings
    from recsys.report.build import write_predictions, write_report
    from recsys.settings import EvidenceSettings, RankingSettings, SplitSettings

    names = "user", "item", "rating", "train", "test"
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    ratings = Ratings(
        **arrays,
        validation=arrays["test"],
        users=folder / "users.parquet",
        items=folder / "items.parquet",
        repeats=False,
    )
    facts: dict[str, Any] = {"source": "", "licence": None, "duplicates": "keep", "ignored_columns": []}
    samples, ended = [held()], threading.Event()

    def sample() -> None:
        while not ended.wait(SECONDS_BETWEEN_SAMPLES):
            samples.append(held())

    sampler = threading.Thread(target=sample)
    sampler.start()
    comparison, predictions = evaluate(
        ratings,
        {},
        {},
        protocol="notebook",
        seed=1,
        split=SplitSettings(),
        evidence=EvidenceSettings(),
        ranking=RankingSettings(),
        data={**facts, "quarantined_rows": 0, "repeated_pairs": 0},
        winners={},
        scratch=Scratch(folder),
    )
    write_report(comparison, predictions, folder)
    write_predictions(predictions, folder / "predictions.parquet")
    ended.set()
    sampler.join()
    print(*(max(values) - values[0] for values in zip(*samples, strict=True)))


def held() -> tuple[float, float]:
    """Private memory and mapped files of this process, in MB."""
    status = Path("/proc/self/smaps_rollup").read_text()
    private, mapped = (
        float(re.search(rf"{kind}:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]
        for kind in ("Pss_Anon", "Pss_File")
    )
    return private, mapped


def main(*sizes: str) -> None:
    """Measure each size, and print what a further rating takes."""
    rows: list[dict[str, Any]] = []
    for ratings in map(int, sizes or map(str, SIZES)):
        with tempfile.TemporaryDirectory() as place:
            run("-c", f"from tests.benchmarks.report_memory import *; write(Path({place!r}), {ratings})")
            measured = run("-c", f"from tests.benchmarks.report_memory import *; measure(Path({place!r}))")
        private, mapped = map(float, measured.output.split())
        found: dict[str, Any] = {"ratings": ratings, "private MB": private, "mapped MB": mapped}
        for kind in ("private", "mapped"):
            before = rows[-1] if rows else None
            more = 1e6 * (found[f"{kind} MB"] - before[f"{kind} MB"]) / (ratings - before["ratings"]) if before else ""
            found[f"{kind} bytes a further rating"] = more
        rows.append({**found, "seconds": measured.seconds})
    report("report_memory", rows, users=USERS, items=ITEMS)


if __name__ == "__main__":
    main(*sys.argv[1:])
