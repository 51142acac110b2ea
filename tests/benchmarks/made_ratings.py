"""A ratings file shaped like MovieLens-20M, made from a seed.

    python -m tests.benchmarks.made_ratings ratings.csv [--rows 20000263]

138,493 users with at least 20 ratings each and a long tail, 26,744 items of very unequal popularity,
half stars from 0.5 to 5, grouped by user. The ratings have something to learn: a mean, biases, factors
and noise, in proportions that leave bias-only and factors about where MovieLens has them.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from tests.benchmarks.measuring import RESULTS

Strengths = npt.NDArray[np.float32]

ROWS, USERS, ITEMS, LARGEST_ID = 20_000_263, 138_493, 26_744, 131_262
FEWEST = 20
"""Ratings of the least active user."""

USERS_AT_ONCE = 8192

EQUAL: Strengths = np.full(10, 0.12, np.float32)
"""Standard deviation of what each factor adds to the ratings."""

FALLING: Strengths = (0.26 * np.arange(1, 65) ** -0.75).astype(np.float32)
"""As Bayesian MF finds them in the ratings of the sample: 0.26, 0.19, 0.13, 0.10 and so on, 0.04 for the tenth."""


def write_ratings(path: Path, rows: int = ROWS, seed: int = 20, strengths: Strengths = EQUAL) -> None:
    """Write `rows` ratings to a .csv file with MovieLens's header; users and items shrink with the rows."""
    users, items = max(2, USERS * rows // ROWS), max(50, round(ITEMS * min(1, rows / ROWS) ** 0.5))
    random = np.random.default_rng(seed)
    counts = _activity(random, rows, users, items)
    popularity = (np.arange(items) + 20.0) ** -0.9
    cumulated = np.cumsum(popularity / popularity.sum())
    ids = np.sort(random.choice(LARGEST_ID, items, replace=False))[random.permutation(items)] + 1
    item_bias = 0.45 * random.normal(size=items) + 0.25 - 0.6 * np.arange(items) / items
    item_factors = random.normal(size=(items, len(strengths))).astype(np.float32)
    forced = np.sort(random.integers(users, size=items))  # every item has a rating
    part = path.with_name(f".{path.name}.part")
    schema = pa.schema({"userId": pa.int32(), "movieId": pa.int32(), "rating": pa.float64(), "timestamp": pa.int64()})
    with pa.csv.CSVWriter(part, schema, write_options=pa.csv.WriteOptions(quoting_style="none")) as writer:
        for first in range(0, users, USERS_AT_ONCE):
            block = counts[first : first + USERS_AT_ONCE]
            own = np.arange(*np.searchsorted(forced, [first, first + len(block)]))
            user, item = _pairs(random, block, cumulated, forced[own] - first, own)
            user_bias = 0.45 * random.normal(size=len(block))
            factors = strengths * random.normal(size=(len(block), len(strengths))).astype(np.float32)
            taste = np.einsum("rf,rf->r", factors[user], item_factors[item])
            rating = 3.35 + user_bias[user] + item_bias[item] + taste + 0.78 * random.normal(size=len(user))
            columns = {
                "userId": (user + first + 1).astype(np.int32),
                "movieId": ids[item].astype(np.int32),
                "rating": np.clip(np.round(2 * rating) / 2, 0.5, 5),
                "timestamp": random.integers(789_652_009, 1_427_784_002, size=len(user)),
            }
            writer.write_table(pa.table(columns, schema=schema))
    os.replace(part, path)


def made_ratings(rows: int = ROWS) -> Path:
    """Return the path of so many ratings in build/benchmarks, writing them the first time (20 million: minutes)."""
    path = RESULTS / f"made-{rows}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ratings(path, rows)
    return path


def _activity(random: np.random.Generator, rows: int, users: int, items: int) -> npt.NDArray[np.int64]:
    """Ratings of each user, `rows` in all."""
    fewest = min(FEWEST, rows // users)
    share: npt.NDArray[np.float64] = random.lognormal(0, 1.25, users)
    counts: npt.NDArray[np.int64] = fewest + np.floor(share / share.sum() * (rows - fewest * users)).astype(np.int64)
    counts = np.minimum(counts, items // 10)
    missing = rows - counts.sum()
    while missing:
        room = np.flatnonzero(counts < items // 10)
        chosen = random.choice(room, min(missing, len(room)), replace=False)
        counts[chosen] += 1
        missing -= len(chosen)
    return counts


def _pairs(
    random: np.random.Generator,
    counts: npt.NDArray[np.int64],
    cumulated: npt.NDArray[np.float64],
    forced_user: npt.NDArray[np.int64],
    forced_item: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct (user, item) pairs, popular items more often, sorted by user and item."""
    items = len(cumulated)
    found = np.unique(forced_user * items + forced_item)
    must = found
    missing = counts - np.bincount(found // items, minlength=len(counts))
    while (missing > 0).any():
        user = np.repeat(np.arange(len(counts)), np.maximum(0, missing) * 5 // 4 + (missing > 0))
        item = np.searchsorted(cumulated, random.random(len(user)))
        found = np.union1d(found, user * items + np.minimum(item, items - 1))
        missing = counts - np.bincount(found // items, minlength=len(counts))
    # too many for some users: those that must stay come first, then chance decides
    order = np.lexsort((random.random(len(found)), ~np.isin(found, must), found // items))
    rank = np.arange(len(found)) - np.repeat(np.cumsum(counts - missing) - (counts - missing), counts - missing)
    kept = np.sort(found[order[rank < counts[found[order] // items]]])
    return kept // items, kept % items


def main() -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    write_ratings(arguments.path, arguments.rows)


if __name__ == "__main__":
    main()
