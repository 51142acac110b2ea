"""Reading the user's ratings: any of the usual files in, one parquet file with the smallest types out.

The file is read once, in blocks, so that memory does not grow with it. A row that cannot be used stops the reading
or is set aside; it is never dropped without a word.
"""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.ahead import ahead
from recsys.data.openers import opened
from recsys.data.pieces import Piece, table
from recsys.data.segments import Segments
from recsys.data.sentences import BadRow, listed, refusal
from recsys.data.values import Columns, convert
from recsys.errors import BadRatings
from recsys.legible import inert
from recsys.progress import Progress, silent
from recsys.settings import DataSettings
from recsys.store import sha256_of

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
        for piece in ahead(ratings.pieces):
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
