"""Encoding of user and item ids as contiguous integers, and what to do with duplicate ratings."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.data.scale import rating_apart
from recsys.data.settings import Duplicates
from recsys.data.source import read_titles
from recsys.data.values import NO_TIME
from recsys.errors import BadRatings
from recsys.memory import require_memory
from recsys.progress import Progress, silent

BYTES_PER_RATING = 35
"""Peak memory of encoding, measured on 20 million ratings."""

Codes = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


def encode(
    ratings: Path, titles: Path | None, duplicates: Duplicates, folder: Path, progress: Progress = silent
) -> dict[str, Any]:
    """Encode users and items in the order of their ids, as scikit-learn's LabelEncoder does.

    Writes into `folder`:
        user.npy, item.npy: int32, shape (rows,), codes; rating.npy: float32, shape (rows,).
        timestamp.npy: int64, shape (rows,), seconds since 1970, NO_TIME where unknown; only if there are times.
        users.parquet: code -> id. items.parquet: code -> id, title (null where none is known).

    Of a (user, item) pair that occurs more than once, all rows are kept (`keep`), the `last`, or the first with the
    `mean` rating; a row that is kept keeps its time. Returns rows, users, items, pairs (how many different ones the
    rows are of), repeated_pairs (rows of the file beyond the first of their pair), the period, the first and the last
    time in ISO 8601 (UTC), or None where no time is known, and the rating that is apart from the others, if there is
    one.

    Raises:
        BadRatings: fewer than 2 users or items, or repeated pairs where they are an error.
        NotEnoughMemory: there is not enough memory for the codes.
    """
    rows = pq.read_metadata(ratings).num_rows
    require_memory(f"Encoding {rows:,} ratings", rows * BYTES_PER_RATING)
    user, users = _codes(ratings, "user")
    progress(1, 4, f"{len(users):,} users")
    item, items = _codes(ratings, "item")
    progress(2, 4, f"{len(items):,} items")
    for ids, what in ((users, "user"), (items, "item")):
        if len(ids) < 2:
            raise BadRatings(
                f"All ratings are of one {what} ({ids[0].as_py()!r}): a comparison needs at least 2 {what}s; "
                f"check that --{what}-column names the right column."
            )
    rating = pq.read_table(ratings, columns=["rating"])["rating"].to_numpy().astype(np.float32, copy=False)
    repeated = _repeated(_pairs(user, item, len(items)))
    kept = None
    if repeated and duplicates == "keep":
        repeating = f"{repeated:,} ratings repeat an earlier pair of user and item"
        log.warning("%s; all are kept (--duplicates keep)", repeating)
    elif repeated:
        kept, rating = _without_duplicates(user, item, rating, duplicates, repeated, users, items)
        user, item = user[kept], item[kept]
    progress(3, 4, f"{len(rating):,} ratings")
    for name, column in (("user", user), ("item", item), ("rating", rating)):
        np.save(folder / f"{name}.npy", column)
    period = _write_times(ratings, kept, folder)
    _write(pa.table({"code": _range(users), "id": users}), folder / "users.parquet")
    _write(pa.table({"code": _range(items), "id": items, "title": _titles(items, titles)}), folder / "items.parquet")
    repeats = f"; repeated pairs: {repeated:,} ({duplicates})" if repeated else ""
    progress(4, 4, f"{len(users):,} users, {len(items):,} items, {len(rating):,} ratings{repeats}")
    facts = {"rows": len(rating), "users": len(users), "items": len(items), "pairs": rows - repeated}
    return {**facts, "repeated_pairs": repeated, "period": period, "apart": rating_apart(rating)}


def _codes(ratings: Path, column: str) -> tuple[Codes, pa.Array]:
    """The codes of a column, and its distinct values in the order of the codes, which is that of LabelEncoder."""
    encoded = pq.read_table(ratings, columns=[column])[column].dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary
    # Arrow sorts the bytes of UTF-8, which is the order of code points, as in Python
    order = pc.array_sort_indices(values).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes = np.concatenate([rank[chunk.indices.to_numpy()] for chunk in encoded.chunks])
    return codes, values.take(pa.array(order))


def _pairs(user: Codes, item: Codes, items: int) -> npt.NDArray[np.int64]:
    """One number for each pair of user and item."""
    pairs = user.astype(np.int64)
    pairs *= items
    pairs += item
    return pairs


def _repeated(pairs: npt.NDArray[np.int64]) -> int:
    """How many pairs repeat another; `pairs` is sorted in place."""
    pairs.sort()
    return int(np.count_nonzero(pairs[1:] == pairs[:-1]))


def _without_duplicates(
    user: Codes, item: Codes, rating: Values, duplicates: Duplicates, repeated: int, users: pa.Array, items: pa.Array
) -> tuple[npt.NDArray[np.int64], Values]:
    """The rows that are kept, in ascending order, and their ratings."""
    pairs = _pairs(user, item, len(items))
    if duplicates == "last":
        kept = np.sort(len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1])
        return kept, rating[kept]
    _, first, group, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
    if duplicates == "error":
        where = int(np.flatnonzero(counts > 1)[np.argmin(first[counts > 1])])
        one, two = (int(row) + 1 for row in np.flatnonzero(group == where)[:2])
        who, what = users[int(user[one - 1])].as_py(), items[int(item[one - 1])].as_py()
        raise BadRatings(
            f"{repeated:,} ratings repeat an earlier pair of user and item; the first is user {who!r}, item {what!r} "
            f"in ratings {one:,} and {two:,}: remove one, or choose --duplicates keep, last or mean."
        )
    means = (np.bincount(group, weights=rating) / counts).astype(np.float32)
    kept = np.sort(first)
    return kept, means[group[kept]]


def _write_times(ratings: Path, kept: npt.NDArray[np.int64] | None, folder: Path) -> list[str] | None:
    """Write timestamp.npy where the ratings have times: of all rows, or of those that are kept. Return their period."""
    with pq.ParquetFile(ratings) as file:
        if "timestamp" not in file.schema_arrow.names:
            return None
        times, start = np.empty(file.metadata.num_rows, np.int64), 0
        # block by block: the whole column, as int64, and with its nulls filled would be three copies
        for block in file.iter_batches(columns=["timestamp"]):
            times[start : start + len(block)] = block["timestamp"].cast(pa.int64()).fill_null(NO_TIME).to_numpy()
            start += len(block)
    times = times if kept is None else times[kept]
    np.save(folder / "timestamp.npy", times)
    known = times != NO_TIME
    if not known.any():
        return None
    ends = times.min(where=known, initial=np.iinfo(np.int64).max), times.max()  # NO_TIME is the smallest of all
    return [f"{np.datetime64(int(end), 's')}Z" for end in ends]


def _titles(items: pa.Array, titles: Path | None) -> pa.Array:
    if titles is None:
        return pa.nulls(len(items), pa.string())
    known = read_titles(titles)
    place = pc.index_in(items.cast(pa.string()), value_set=known["item"].combine_chunks())
    return known["title"].combine_chunks().take(place)


def _range(ids: pa.Array) -> pa.Array:
    return pa.array(np.arange(len(ids), dtype=np.int32))


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")
