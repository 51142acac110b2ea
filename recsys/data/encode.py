"""Encoding of user and item ids as contiguous integers, and what to do with duplicate ratings."""

import logging
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.blocks import BLOCK, in_blocks
from recsys.data.scale import rating_apart
from recsys.data.settings import Duplicates
from recsys.data.source import read_titles
from recsys.data.values import NO_TIME
from recsys.errors import BadRatings
from recsys.memory import require_memory
from recsys.progress import Progress, silent

PAIRS = 1 << 22
"""Pairs that are compared at once."""

BYTES_PER_RATING = 60
"""Memory for each rating of a block; columns are files that are mapped into memory."""

BYTES_PER_RATING_OF_PAIRS = 40
"""Memory for each rating where some are left out, measured on 20 million ratings."""

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
    require_memory(f"Encoding {rows:,} ratings", min(rows, PAIRS) * BYTES_PER_RATING)
    user, users = _codes(ratings, "user", folder)
    progress(1, 4, f"{len(users):,} users")
    item, items = _codes(ratings, "item", folder)
    progress(2, 4, f"{len(items):,} items")
    for ids, what in ((users, "user"), (items, "item")):
        if len(ids) < 2:
            raise BadRatings(
                f"All ratings are of one {what} ({ids[0].as_py()!r}): a comparison needs at least 2 {what}s; "
                f"check that --{what}-column names the right column."
            )
    rating: Values = _written(folder, "rating", np.float32, rows, (b.to_numpy() for b in _blocks(ratings, "rating")))
    repeated = _repeated(user, item, len(users), len(items))
    kept = None
    if repeated and duplicates == "keep":
        repeating = f"{repeated:,} ratings repeat an earlier pair of user and item"
        log.warning("%s; all are kept (--duplicates keep)", repeating)
    elif repeated:
        require_memory(f"Finding repeated pairs of {rows:,} ratings", rows * BYTES_PER_RATING_OF_PAIRS)
        kept, rating = _without_duplicates(user, item, rating, duplicates, repeated, users, items)
        columns = {"user": user[kept], "item": item[kept], "rating": rating}
        del user, item  # which are mapped from the files that are written anew
        for name, column in columns.items():
            np.save(folder / f"{name}.npy", column)
    progress(3, 4, f"{len(rating):,} ratings")
    period = _write_times(ratings, kept, folder)
    _write(pa.table({"code": _range(users), "id": users}), folder / "users.parquet")
    _write(pa.table({"code": _range(items), "id": items, "title": _titles(items, titles)}), folder / "items.parquet")
    repeats = f"; repeated pairs: {repeated:,} ({duplicates})" if repeated else ""
    progress(4, 4, f"{len(users):,} users, {len(items):,} items, {len(rating):,} ratings{repeats}")
    facts = {"rows": len(rating), "users": len(users), "items": len(items), "pairs": rows - repeated}
    return {**facts, "repeated_pairs": repeated, "period": period, "apart": rating_apart(rating)}


def _blocks(ratings: Path, column: str) -> Iterator[pa.Array]:
    """Yield the column block by block."""
    with pq.ParquetFile(ratings) as file:
        for block in file.iter_batches(BLOCK, columns=[column]):
            yield block[column]


def _written(
    folder: Path, name: str, dtype: npt.DTypeLike, rows: int, blocks: Iterable[npt.NDArray[Any]]
) -> "np.memmap[Any, np.dtype[Any]]":
    """Write a column block by block, and map it into memory; a full disk is told by what writes, not by a signal."""
    path, kind = folder / f"{name}.npy", np.dtype(dtype)
    with open(path, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (rows,)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, kind).data)
    found: np.memmap[Any, np.dtype[Any]] = np.load(path, mmap_mode="r")
    return found


def _codes(ratings: Path, column: str, folder: Path) -> tuple[Codes, pa.Array]:
    """The codes of a column, and its distinct values in the order of the codes, which is that of LabelEncoder."""
    dictionaries, ends = [], [0]

    def places() -> Iterator[Codes]:
        """Yield each rating's place in the dictionary of its block."""
        for block in _blocks(ratings, column):
            encoded = block.dictionary_encode()
            dictionaries.append(encoded.dictionary)
            ends.append(ends[-1] + len(block))
            yield encoded.indices.to_numpy()

    codes = _written(folder, column, np.int32, pq.read_metadata(ratings).num_rows, places())
    of_blocks = pa.chunked_array(dictionaries)
    values = pc.unique(of_blocks)
    # Arrow sorts the bytes of UTF-8, which is the order of code points, as in Python
    values = values.take(pc.array_sort_indices(values))
    ranks = np.split(pc.index_in(of_blocks, value_set=values).to_numpy(), np.cumsum([len(one) for one in dictionaries]))
    for (start, end), rank in zip(pairwise(ends), ranks, strict=False):
        offset = codes.offset + start * codes.itemsize
        block = np.memmap(folder / f"{column}.npy", codes.dtype, "r+", offset, shape=(end - start,))
        block[:] = rank[block]
    return codes, values


def _pairs(user: Codes, item: Codes, items: int) -> npt.NDArray[np.int64]:
    """One number for each pair of user and item."""
    pairs = user.astype(np.int64)
    pairs *= items
    pairs += item
    return pairs


def _repeated(user: Codes, item: Codes, users: int, items: int) -> int:
    """How many ratings repeat the pair of another; those of some users at a time."""
    ratings = np.zeros(users, np.int64)
    for (of,) in in_blocks(user):
        ratings += np.bincount(of, minlength=users)
    group = (np.cumsum(ratings) - 1) // PAIRS
    repeated = 0
    for first, last in pairwise([*np.searchsorted(group, np.unique(group)).tolist(), users]):
        parts = []
        for of, rated in in_blocks(user, item):
            chosen = (of >= first) & (of < last)
            parts.append(_pairs(of[chosen], rated[chosen], items))
        pairs = np.concatenate(parts)
        pairs.sort()
        repeated += int(np.count_nonzero(pairs[1:] == pairs[:-1]))
    return repeated


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
    if "timestamp" not in pq.read_schema(ratings).names:
        return None
    blocks = (block.cast(pa.int64()).fill_null(NO_TIME).to_numpy() for block in _blocks(ratings, "timestamp"))
    times: npt.NDArray[Any] = _written(folder, "timestamp", np.int64, pq.read_metadata(ratings).num_rows, blocks)
    if kept is not None:
        times = times[kept]
        np.save(folder / "timestamp.npy", times)
    ends = []
    for (block,) in in_blocks(times):
        known = block[block != NO_TIME]
        ends += [(known.min(), known.max())] if len(known) else []
    if not ends:
        return None
    first, last = min(end[0] for end in ends), max(end[1] for end in ends)
    return [f"{np.datetime64(int(end), 's')}Z" for end in (first, last)]


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
