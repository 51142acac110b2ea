"""Reading the user's ratings: any of the usual files in, one parquet file with the smallest types out.

The file is read once, in blocks, so that memory does not grow with it. A row that cannot be used stops the reading
or is set aside; it is never dropped without a word.
"""

import csv
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recsys.data.columns import Role
from recsys.data.dialect import opened
from recsys.data.reader import Piece, table
from recsys.data.values import Columns, convert
from recsys.errors import BadRatings, BadRow, refusal
from recsys.progress import Progress, silent
from recsys.settings import DataSettings
from recsys.store.store import sha256_of
from recsys.text import inert, listed

T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield what `items` yields, while a thread already makes the one that follows.

    What making it raises is raised here, in its turn. Where the reader stops early, one item has been made in vain.
    """
    nothing = object()
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = maker.submit(next, items, nothing)
            yield item  # type: ignore[misc]


GROUP_ROWS = 2**19
"""Rows of a row group of the final file; it does not depend on how the rows came in."""
INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
NAMES = {pa.float32(): "float32", pa.float64(): "float64"}  # Arrow says "float" and "double"


class Segments:
    """Rows written to disk as they come, and once more when all are there.

    An id column that turns to text late in the file begins a new segment. Nothing is lost: ids are kept as numbers
    only where the number is written as the id was.
    """

    def __init__(self, folder: Path) -> None:
        """Make room for segments in `folder`; they are removed at the end of the `with` block."""
        self.rows = 0
        self._folder = TemporaryDirectory(dir=folder, prefix=".segments-")
        self._paths: list[Path] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema = pa.schema([])
        self._text: set[Role] = set()
        self._ranges: dict[Role, tuple[int, int]] = {}
        self._single = True

    def __enter__(self) -> Self:
        """Return the segments themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what is not the final file."""
        self._close()
        self._folder.cleanup()

    def add(self, columns: Columns) -> None:
        """Append rows: ids int64 or string, ratings float64, times int64."""
        if not len(columns["rating"]):
            return
        columns = dict(columns)
        for role, values in columns.items():
            if values.type == pa.string():
                self._text.add(role)
            elif role in self._text:
                columns[role] = values.cast(pa.string())
            elif values.type == pa.int64() and len(values) > values.null_count:
                low, high = pc.min_max(values).as_py().values()
                old = self._ranges.get(role, (low, high))
                self._ranges[role] = min(low, old[0]), max(high, old[1])
        self._single = self._single and _survive(columns["rating"].unique().to_numpy())
        batch = pa.record_batch(columns)
        if self._writer is None or batch.schema != self._schema:
            self._close()
            self._schema = batch.schema
            self._paths.append(Path(self._folder.name) / f"{len(self._paths)}.arrow")
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(self._paths[-1], batch.schema, options=options)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def write(self, path: Path) -> dict[str, str]:
        """Write all rows as parquet, the same bytes for the same rows.

        Returns:
            The type of each column.
        """
        self._close()
        schema = pa.schema([(name, self._type(name)) for name in self._schema.names])
        few = [name for name in schema.names if name != "timestamp"]  # hardly any time stands there twice
        with pa.parquet.ParquetWriter(
            path, schema, compression="zstd", compression_level=1, store_schema=False, use_dictionary=few
        ) as to:
            for group in prefetch(_regrouped(batch.cast(schema) for batch in self._batches())):
                to.write_table(group, row_group_size=GROUP_ROWS)
        return {field.name: NAMES.get(field.type, str(field.type)) for field in schema}

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self._paths:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
                yield from batches

    def _type(self, role: Role) -> pa.DataType:
        if role in self._text:
            return pa.string()
        if role == "rating":
            return pa.float32() if self._single else pa.float64()
        low, high = self._ranges.get(role, (0, 0))
        return next(
            kind for kind in INTEGERS if -(2 ** (kind.bit_width - 1)) <= low and high < 2 ** (kind.bit_width - 1)
        )


def _survive(values: npt.NDArray[np.float64]) -> bool:
    """Whether each of `values` is written in float32 with the same digits as in float64."""
    with np.errstate(over="ignore", under="ignore"):
        return bool((values.astype(np.float32).astype(str).astype(np.float64) == values).all())


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= GROUP_ROWS:
            whole = pa.Table.from_batches(waiting)
            yield whole[:GROUP_ROWS].combine_chunks()
            waiting = whole[GROUP_ROWS:].to_batches()
            count -= GROUP_ROWS
    if count:
        yield pa.Table.from_batches(waiting).combine_chunks()


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """What was read; every value is plain JSON.

    Attributes:
        rows: ratings written.
        columns: columns written: user, item, rating and, if the file has it, timestamp.
        types: type of each column written, such as "int32".
        source_columns: the file's own name of each column written; without a header, its number from "1".
        ignored_columns: the file's columns that were not read.
        quarantined_rows: rows set aside in `quarantine.csv`.
        unreadable_timestamps: ratings whose time is missing or cannot be read; it is null.
        separator: what stands between two fields, None for parquet.
        header: whether the file names its columns.
        packing: "gzip", "bzip2", "zip", "parquet", or None for plain text.
        member: name of the file that was read inside a zip archive.
        sha256: digest of the ratings file, as it is on disk.
    """

    rows: int
    columns: list[str]
    types: dict[str, str]
    source_columns: dict[str, str]
    ignored_columns: list[str]
    quarantined_rows: int
    unreadable_timestamps: int
    separator: str | None
    header: bool
    packing: str | None
    member: str | None
    sha256: str


def check(path: Path, settings: DataSettings) -> None:
    """Look at the beginning of a ratings file.

    Raises:
        BadRatings: the file cannot be read, or has no columns that could be ratings.
    """
    with opened(path) as source:
        table(source, settings)


def ingest(path: Path, settings: DataSettings, folder: Path, progress: Progress = silent) -> Ingested:
    """Convert a ratings file to `ratings.parquet`, and set unusable rows aside in `quarantine.csv`.

    The parquet file has the columns user and item (the smallest signed integer type, or string if one id is not
    written as an integer is), rating (float32 if it keeps every digit, else float64) and timestamp (smallest integer,
    seconds since 1970, null where unreadable), in the file's order. The same input gives the same bytes.

    Args:
        path: the ratings file: text with a separator (plain, gzip, bzip2 or zip), or parquet.
        settings: which columns, which scale, and what to do with bad rows.
        folder: an existing folder for the results; after an error its content is of no use.
        progress: called after each block with the bytes of the file read so far.

    Returns:
        What was read.

    Raises:
        BadRatings: the file cannot be read as ratings, has no usable row, or has a bad row and `settings.bad_rows`
            is "error".
        OSError: `folder` cannot be written to.
    """
    read = unreadable = quarantined = 0
    first_bad: BadRow | None = None
    with opened(path) as source, Segments(folder) as segments:
        ratings = table(source, settings)
        used = {str(role): ratings.names[index] for role, index in ratings.roles.items()}
        ignored = [name for index, name in enumerate(ratings.names) if index not in ratings.roles.values()]
        columns_told = ", ".join(f"{role} is {name!r}" for role, name in used.items())
        logger.info("%s: %s; ignored: %s", source.name, columns_told, listed(ignored) if ignored else "none")
        for piece in prefetch(ratings.pieces):
            room = None if settings.max_rows is None else settings.max_rows - read
            columns, bad = _usable(piece, room, settings)
            if bad and settings.bad_rows == "error":
                raise refusal(source.name, ratings.unit, bad[0])
            if bad:
                first_bad = first_bad or bad[0]
                _set_aside(bad, folder / "quarantine.csv", begin=not quarantined)
                quarantined += len(bad)
            segments.add(columns)
            read += len(columns["rating"]) + len(bad)
            unreadable += columns["timestamp"].null_count if "timestamp" in columns else 0
            apart = f", {quarantined:,} of them set aside" if quarantined else ""
            progress(piece.done, source.size, f"{read:,} rows read{apart}")
            if read == settings.max_rows:
                break
        if first_bad and not segments.rows:
            raise BadRatings(
                f"{source.name}: not one of its {read:,} rows can be used, the first on {ratings.unit} "
                f"{first_bad.line}: {first_bad.reason}; check the separator and the columns."
            )
        if not segments.rows:
            header = "a header but no ratings" if ratings.header else "no ratings"
            raise BadRatings(f"{source.name} holds {header}; give a file with one rating per {ratings.unit}.")
        types = segments.write(folder / "ratings.parquet")
    if quarantined:
        logger.warning("%s: %d of %d rows were set aside", source.name, quarantined, read)
    if unreadable:
        logger.warning("%s: %d of %d times are missing or cannot be read", source.name, unreadable, segments.rows)
    return Ingested(
        rows=segments.rows,
        columns=list(types),
        types=types,
        source_columns=used,
        ignored_columns=ignored,
        quarantined_rows=quarantined,
        unreadable_timestamps=unreadable,
        separator=ratings.separator,
        header=ratings.header,
        packing=source.packing,
        member=source.member,
        sha256=sha256_of(path),
    )


def _usable(piece: Piece, room: int | None, settings: DataSettings) -> tuple[Columns, list[BadRow]]:
    """Values of the good rows and the bad rows, among the first `room` rows of a piece."""
    scale = settings.min_rating, settings.max_rating
    if piece.fields is not None:
        columns, reasons = convert({role: text[:room] for role, text in piece.fields.items()}, *scale)
        if not reasons:
            return columns, []
    placed = piece.placed(room)
    columns, reasons = convert(placed.fields, *scale)
    unusable = [BadRow(placed.lines[row], reason, placed.texts[row]) for row, reason in reasons.items()]
    return columns, sorted(placed.broken + unusable, key=lambda row: row.line)


def _set_aside(rows: Sequence[BadRow], path: Path, *, begin: bool) -> None:
    with path.open("w" if begin else "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if begin:
            writer.writerow(["line", "reason", "text"])
        writer.writerows([row.line, inert(row.reason), inert(row.text)] for row in rows)
