"""Ratings block by block: what is computed of them takes memory that does not grow with their number."""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.arrays import Columns, Triples, as_triples

BLOCK = 1 << 20
"""Ratings that are read at once."""

IN_MEMORY = 1 << 24
"""Bytes up to which a column is no file."""

Column = npt.NDArray[Any]


def in_blocks(*columns: Column) -> Iterator[tuple[Column, ...]]:
    """Yield columns of one length as views of BLOCK rows; what was read of mapped files is given back after each."""
    for start in range(0, len(columns[0]), BLOCK):
        yield tuple(column[start : start + BLOCK] for column in columns)
        give_back(*columns)


def give_back(*columns: Column) -> None:
    """Give back the memory of what has been read of files that are mapped; they can be read again."""
    for column in columns:
        owner: Any = column
        is_file = not column.flags.writeable
        while isinstance(owner, np.ndarray):
            is_file &= getattr(owner, "mode", "r") != "c"  # whose changes are in memory alone
            owner = owner.base
        if is_file and isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def value_counts(column: Column) -> tuple[Column, npt.NDArray[np.int64]]:
    """Return the different values of a column, ascending, and how often each is there."""
    values, counts = np.empty(0, column.dtype), np.empty(0, np.int64)
    for (block,) in in_blocks(column):
        found, many = (field.to_numpy() for field in pc.value_counts(pa.array(block)).flatten())
        values, places = np.unique(np.concatenate([values, found]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, many])).astype(np.int64)
    return values, counts


@dataclass(frozen=True)
class Scratch:
    """Room for columns that are needed for a while.

    Attributes:
        folder: where their files are, which have no names and end with the process; None for that of `tempfile`. It
            must not be an artefact's, as network file systems give a name to what is open.
    """

    folder: Path | None = None

    def column(self, dtype: npt.DTypeLike, most: int, blocks: Iterable[Column]) -> Column:
        """Return blocks of `dtype`, at most so many rows in all, as one column; of a large one, the file is mapped.

        Raises:
            OSError: there is no room on the disk.
        """
        kind = np.dtype(dtype)
        if most * kind.itemsize <= IN_MEMORY:
            return np.concatenate([np.empty(0, kind), *(np.asarray(block, kind) for block in blocks)])
        rows = 0
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, kind).data)
                rows += len(block)
            file.flush()
            return np.memmap(file, kind, "r", shape=(rows,)) if rows else np.empty(0, kind)


TEMPORARY = Scratch()


@dataclass(frozen=True)
class RatingBlocks:
    """Some of the ratings, in the order of the file.

    Attributes:
        of: user codes, item codes and ratings of all, shape (ratings,) each; they may be memory-mapped.
        parts: what each rating is for, uint8 of shape (ratings,), a bit for each purpose; None where all are meant.
        wanted: the bits of those that are meant.
        rows: how many these are.
    """

    of: Triples
    parts: npt.NDArray[np.uint8] | None
    wanted: int
    rows: int

    @classmethod
    def all(cls, given: "tuple[Any, Any, Any] | RatingBlocks", users: int, items: int) -> "RatingBlocks":
        """Return ratings, given as user codes, item codes and ratings, shape (ratings,) each; blocks as they are.

        Raises:
            BadIds: a code is of none of so many users and items.
            BadRatings: there are no ratings, or one is no finite number.
        """
        if isinstance(given, RatingBlocks):
            return given
        checked = as_triples(given, users, items)
        return cls(checked, None, 0, len(checked[0]))

    @classmethod
    def some(cls, of: Triples, parts: npt.NDArray[np.uint8], wanted: int) -> "RatingBlocks":
        """Return the ratings with one of the `wanted` bits."""
        rows = sum(int(np.count_nonzero(block & wanted)) for (block,) in in_blocks(parts))
        return cls(of, parts, wanted, rows)

    def __len__(self) -> int:
        """How many ratings these are."""
        return self.rows

    def __iter__(self) -> Iterator[Triples]:
        """Yield user codes, item codes and ratings, at most BLOCK of them at once."""
        if self.parts is None:
            yield from in_blocks(*self.of)  # type: ignore[misc]
            return
        for user, item, rating, part in in_blocks(*self.of, self.parts):
            chosen = np.flatnonzero(part & self.wanted)
            yield user[chosen], item[chosen], rating[chosen]

    def columns(self) -> Columns:
        """Return them in memory."""
        user, item, rating = (np.concatenate(column) for column in zip(*self, strict=True))
        return user, item, rating

    def spooled(self, scratch: Scratch) -> Columns:
        """Return them as columns of their own."""
        user, item, rating = (
            scratch.column(column.dtype, len(self), (block[side] for block in self))
            for side, column in enumerate(self.of)
        )
        return user, item, rating
