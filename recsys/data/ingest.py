"""Conversion of a ratings file, in any supported format, to one parquet file with the smallest types.

The file is read once, in batches, so that memory does not grow with it. A row that cannot be used stops the reading
or is set aside and counted; it is never dropped silently.
"""

import csv
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recsys.data.columns import REQUIRED, Role, described
from recsys.data.opening import open_ratings
from recsys.data.reader import open_table
from recsys.data.settings import DataSettings
from recsys.data.table import BadRow, Batch
from recsys.data.times import time_format
from recsys.data.values import Columns, Converted, Rules, convert, rules_of
from recsys.errors import BadRatings
from recsys.progress import Progress, silent
from recsys.store.store import sha256_of
from recsys.text import escape_formula, listed, quoted

T = TypeVar("T")

GROUP_ROWS = 2**19
"""Rows of a row group of the parquet file, independent of the batches in which they were read."""

INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
TYPE_NAMES = {pa.float32(): "float32", pa.float64(): "float64"}  # Arrow says "float" and "double"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """What was read, as plain JSON.

    `columns` are those of the `rows` written: user, item, rating and, if the file has it, timestamp, with `types` such
    as "int32". `source_columns` are the file's own names of them or, without a header, their numbers from "1", and
    `found_by` is how they were found, as in `recsys.data.columns.FoundBy`. `not_rated_rows` counts the rows, or the
    cells of a wide table, whose rating means that there is none, and `unreadable_timestamps` the ratings whose time is
    missing or cannot be read, and null, such as `unreadable_time`. `time_form` is as from `time_format`, `separator`
    and `header` are as in `recsys.data.table.Table`, `compression` and `member` as in
    `recsys.data.opening.RatingsFile`. `sha256` is the digest of the ratings file, or of the folder of parts, as it is
    on disk.
    """

    rows: int
    columns: list[str]
    types: dict[str, str]
    source_columns: dict[str, str]
    found_by: dict[str, str]
    ignored_columns: list[str]
    quarantined_rows: int
    not_rated_rows: int
    unreadable_timestamps: int
    unreadable_time: str | None
    time_form: str | None
    separator: str | None
    header: bool
    compression: str | None
    member: str | None
    sha256: str


def check(path: Path, settings: DataSettings) -> str:
    """Return in words which column of a ratings file holds what, by its beginning.

    Raises:
        BadRatings: the file cannot be read, or has no columns that could be ratings.
    """
    with open_ratings(path) as file:
        table = open_table(file, settings)
        return described(table.columns, table.found_by)


def _time_form(path: Path, settings: DataSettings, required: Sequence[Role]) -> str | None:
    """The form of the times, by as much of the file as it takes."""
    with open_ratings(path) as file:
        table = open_table(file, settings, required)
        if "timestamp" not in table.columns:
            return None
        texts = ((batch.fields or batch.read_exactly(None).fields)["timestamp"] for batch in table.batches)
        return time_format(texts, settings.time_format)


def ingest(
    path: Path,
    settings: DataSettings,
    folder: Path,
    progress: Progress = silent,
    required: Sequence[Role] = REQUIRED,
) -> Ingested:
    """Convert a ratings file to `ratings.parquet`, and set unusable rows aside in `quarantine.csv`.

    The parquet file has the columns user and item (the smallest signed integer type, or string if one id is not
    written as an integer is), rating (float32 if it keeps every digit, else float64) and timestamp (smallest integer,
    seconds since 1970, null where unreadable), in the file's order. The same input gives the same bytes.

    Args:
        path: the ratings file, or a folder of parts: text with a separator or JSON lines (plain, gzip, bzip2, xz, zstd
            or zip), or parquet.
        folder: an existing folder for the results; after an error its content is of no use.
        progress: called after each batch with the bytes of the file read so far.
        required: columns that the file must have; the others are read if it has them.

    Raises:
        BadRatings: the file cannot be read as ratings, has no usable row, or has a bad row and `settings.bad_rows`
            is "error".
        OSError: `folder` cannot be written to.
    """
    rules = rules_of(settings, _time_form(path, settings, required))
    read = unreadable = quarantined = not_rated = 0
    unreadable_time: str | None = None
    first_bad: BadRow | None = None
    with (
        open_ratings(path) as file,
        TemporaryDirectory(dir=folder, prefix=".spool-") as temporary,
        closing(Spool(Path(temporary))) as spool,
    ):
        ratings = open_table(file, settings, required)
        found = described(ratings.columns, ratings.found_by)
        logger.info("%s: %s; ignored: %s", file.name, found, listed(ratings.ignored) or "none")
        for batch in prefetch(ratings.batches):
            values, bad = _convert(batch, None if settings.max_rows is None else settings.max_rows - read, rules)
            columns = values.columns
            if bad and settings.bad_rows == "error":
                raise BadRatings(
                    f"{file.name}, {ratings.unit} {bad[0].line}: {bad[0].reason}; correct the {ratings.unit}, or set "
                    "such rows aside with --bad-rows quarantine."
                )
            if bad:
                first_bad = first_bad or bad[0]
                _set_aside(bad, folder / "quarantine.csv", begin=not quarantined)
                quarantined += len(bad)
            spool.add(columns)
            read += rows_of(columns) + len(bad) + values.not_rated
            not_rated += values.not_rated
            unreadable += columns["timestamp"].null_count if "timestamp" in columns else 0
            unreadable_time = unreadable_time or values.unreadable_time
            aside = f", {quarantined:,} of them set aside" if quarantined else ""
            progress(batch.bytes_read, file.size, f"{read:,} rows read{aside}")
            if read == settings.max_rows:
                break
        else:
            ratings.count.check(file.name, read)
        if first_bad and not spool.rows:
            raise BadRatings(
                f"{file.name}: not one of its {read:,} rows can be used, the first on {ratings.unit} "
                f"{first_bad.line}: {first_bad.reason}; check the separator and the columns."
            )
        if not spool.rows:
            header = "a header but no ratings" if ratings.header else "no ratings"
            raise BadRatings(f"{file.name} holds {header}; give a file with one rating per {ratings.unit}.")
        types = spool.write(folder / "ratings.parquet")
    if quarantined:
        logger.warning("%s: %d of %d rows were set aside", file.name, quarantined, read)
    if unreadable:
        such = f", such as {quoted(unreadable_time)}" if unreadable_time else ""
        logger.warning("%s: %d of %d times are missing or cannot be read%s", file.name, unreadable, spool.rows, such)
    if not_rated:
        logger.info("%s: %d rows without a rating were left out (--not-rated)", file.name, not_rated)
    return Ingested(
        rows=spool.rows,
        columns=list(types),
        types=types,
        source_columns={str(role): name for role, name in ratings.columns.items()},
        found_by={str(role): how for role, how in ratings.found_by.items()},
        ignored_columns=ratings.ignored,
        quarantined_rows=quarantined,
        not_rated_rows=not_rated,
        unreadable_timestamps=unreadable,
        unreadable_time=unreadable_time,
        time_form=rules.time_form,
        separator=ratings.separator,
        header=ratings.header,
        compression=file.compression,
        member=file.member,
        sha256=sha256_of(path),
    )


def _convert(batch: Batch, at_most: int | None, rules: Rules) -> tuple[Converted, list[BadRow]]:
    """Values of the good rows, and the bad rows, among the first `at_most` rows of a batch."""
    if batch.fields is not None:
        values = convert({role: text[:at_most] for role, text in batch.fields.items()}, rules)
        if not values.bad:
            return values, []
    exact = batch.read_exactly(at_most)
    values = convert(exact.fields, rules)
    unusable = [BadRow(exact.lines[row], reason, exact.texts[row]) for row, reason in values.bad.items()]
    return values, sorted(exact.bad_rows + unusable, key=lambda row: row.line)


def _set_aside(rows: Sequence[BadRow], path: Path, *, begin: bool) -> None:
    with path.open("w" if begin else "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if begin:
            writer.writerow(["line", "reason", "text"])
        writer.writerows([row.line, escape_formula(row.reason), escape_formula(row.text)] for row in rows)


def rows_of(columns: Columns) -> int:
    """Return how many rows some columns have."""
    return len(next(iter(columns.values())))


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield `items`, making each in a thread while the one before it is used.

    An exception is raised when its item is due. Where the consumer stops early, one item has been made in vain.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


class Spool:
    """Temporary files for the rows of the batches, rewritten as parquet once the types of all rows are known.

    Where an id column turns to text late in the file, a new temporary file begins. Nothing is lost: ids are kept as
    integers only where the integer is written as the id was.
    """

    def __init__(self, folder: Path) -> None:
        """Begin in an empty folder."""
        self.rows = 0
        self._folder = folder
        self._paths: list[Path] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema = pa.schema([])
        self._text: set[Role] = set()
        self._ranges: dict[Role, tuple[int, int]] = {}
        self._float32 = True

    def add(self, columns: Columns) -> None:
        """Append rows: ids int64 or string, ratings float64, times int64."""
        if not rows_of(columns):
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
        if "rating" in columns:
            self._float32 = self._float32 and _fit_float32(columns["rating"].unique().to_numpy())
        batch = pa.record_batch(columns)
        if self._writer is None or batch.schema != self._schema:
            self.close()
            self._schema = batch.schema
            self._paths.append(self._folder / f"{len(self._paths)}.arrow")
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(self._paths[-1], batch.schema, options=options)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def write(self, path: Path) -> dict[str, str]:
        """Write all rows as parquet, the same rows as the same bytes, and return the type of each column."""
        self.close()
        schema = pa.schema([(name, self._type(name)) for name in self._schema.names])
        repetitive = [name for name in schema.names if name != "timestamp"]
        with pa.parquet.ParquetWriter(
            path, schema, compression="zstd", compression_level=1, store_schema=False, use_dictionary=repetitive
        ) as writer:
            for group in prefetch(_regrouped(batch.cast(schema) for batch in self._batches())):
                writer.write_table(group, row_group_size=GROUP_ROWS)
        return {field.name: TYPE_NAMES.get(field.type, str(field.type)) for field in schema}

    def close(self) -> None:
        """Close the file that is being written, if there is one."""
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
            return pa.float32() if self._float32 else pa.float64()
        low, high = self._ranges.get(role, (0, 0))
        return next(kind for kind in INTEGERS if max(-low - 1, high) < 2 ** (kind.bit_width - 1))


def _fit_float32(values: npt.NDArray[np.float64]) -> bool:
    """Whether each value is written with the same digits in float32 as in float64."""
    with np.errstate(over="ignore", under="ignore"):
        return bool((values.astype(np.float32).astype(str).astype(np.float64) == values).all())


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of `GROUP_ROWS`."""
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
