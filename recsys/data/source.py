"""Where the ratings come from: the embedded sample, a public data set, the user's file, or a folder of new files."""

import csv
import io
import os
import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from recsys.data.datasets import DATASETS, SAMPLE
from recsys.data.download import fetch
from recsys.data.sample import sample_folder
from recsys.data.settings import DataSettings
from recsys.errors import DatasetUnavailable
from recsys.parts import parts_of
from recsys.progress import Progress, silent
from recsys.text import escaped

if TYPE_CHECKING:
    import pyarrow as pa

SETTLING = 60.0
"""Seconds without a change after which a file counts as complete."""

BYTES_READ = 2**16
"""What of a text file tells how long its lines are."""

CHECKED_ROWS, CHECKED_BYTES = 1_000, 2**16
"""Ratings that a plan reads, and the size of a file that it reads whole."""

PACKED_BYTES = 6
"""Bytes that a rating takes in a compressed file, or in Parquet: what those of MovieLens take."""

SUFFIXES = re.compile(r"(\.(csv|tsv|dat|txt|json|jsonl|ndjson|mtx|parquet|gz|bz2|xz|zst|zip))+$", re.IGNORECASE)
"""The suffixes of ratings files, one or more at the end of a name."""


@dataclass(frozen=True)
class Source:
    """Ratings on this computer, and the settings with which they are read.

    `name` is safe as the name of a folder: "sample", "ml-1m", or made from the name of the user's file; `label` is for
    people: "MovieLens small 2016, first 100,000 ratings". `licence` is as in `Dataset`, None for the user's own file,
    `titles` a file for `read_titles`, None where the items have no titles.
    """

    name: str
    label: str
    licence: str | None
    ratings: Path
    titles: Path | None
    settings: DataSettings


def locate(settings: DataSettings, progress: Progress = silent) -> Source:
    """Find the ratings that the settings ask for, downloading or writing them the first time.

    Whether the user's file exists and can be read is left to its reader.

    Raises:
        DatasetUnavailable: a public data set cannot be downloaded, or the sample is not installed.
    """
    if settings.ratings is not None:
        path = Path(os.path.expanduser(settings.ratings))
        label = escaped(path.name) + _first(settings.max_rows)
        return Source(_folder_name(path.name), label, None, path, None, settings)
    dataset = DATASETS[settings.dataset or SAMPLE.name]
    downloads = Path(os.path.expanduser(settings.downloads))
    if dataset.url is None:
        folder = sample_folder(downloads, progress)
        ratings, titles = folder / dataset.ratings, dataset.titles and folder / dataset.titles
    else:
        ratings, titles = fetch(dataset, downloads, progress)
    max_rows = settings.max_rows or dataset.max_rows
    hints = {name: value for name, value in dataset.reader.items() if getattr(settings, name) in (None, "auto")}
    return Source(
        name=dataset.name,
        label=dataset.title + _first(max_rows if max_rows and max_rows < dataset.rows else None),
        licence=dataset.licence,
        ratings=ratings,
        titles=titles or None,
        settings=settings.model_copy(update={**hints, "dataset": dataset.name, "max_rows": max_rows}),
    )


def expected_rows(source: Source) -> int:
    """Return about how many ratings a source has, without reading it; 0 where its file cannot be opened."""
    known = DATASETS.get(source.settings.dataset or "")
    most = source.settings.max_rows or sys.maxsize
    if known and source.settings.ratings is None:
        return min(known.rows, most)
    files = parts_of(source.ratings) or [source.ratings]
    try:
        size = sum(path.stat().st_size for path in files)
        with files[0].open("rb") as file:
            start = file.read(BYTES_READ)
    except OSError:
        return 0
    lines = 0 if b"\0" in start else start.count(b"\n")
    return min(round(size * lines / len(start)) if lines else size // PACKED_BYTES, most)


def check_beginning(source: Source) -> str:
    """Read the first CHECKED_ROWS ratings of a source, and all of a file of up to CHECKED_BYTES, to see if it can be.

    Returns in words which column holds what.

    Of a larger file whose bad rows are set aside, the columns are checked and no row, as any number may be bad.

    Raises:
        BadRatings: they cannot be read, as a run would say.
    """
    from recsys.data.ingest import check, ingest  # here, so that a source is located without waiting for it

    columns = check(source.ratings, source.settings)
    most = source.settings.max_rows
    files = parts_of(source.ratings) or [source.ratings]
    if sum(path.stat().st_size for path in files) > CHECKED_BYTES:
        if source.settings.bad_rows == "quarantine":
            return columns
        most = min(CHECKED_ROWS, most or CHECKED_ROWS)
    with TemporaryDirectory(prefix="mf-or-dnn-") as folder:
        ingest(source.ratings, source.settings.model_copy(update={"max_rows": most}), Path(folder))
    return columns


def deliveries(folder: Path) -> list[Path]:
    """Return the ratings files of a folder, the one that was changed last at the end; of one moment, by name.

    Folders of parts count as files; hidden files, those without a known suffix (.part, .tmp) and other folders are
    skipped.
    """
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    found = [path for path in shown if parts_of(path) or (SUFFIXES.search(path.name) and path.is_file())]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def may_be_growing(path: Path) -> bool:
    """Whether a file, or a part of a folder, was changed so recently that it may still be written.

    A time in the future is no sign of that.
    """
    now = time.time()
    return any(0 <= now - changed.stat().st_mtime < SETTLING for changed in (path, *parts_of(path)))


def read_titles(path: Path) -> "pa.Table":
    """Read the titles of the items as columns item and title, both string; each item once.

    The file is a CSV file with the columns movieId and title, or has lines of id::title::genres or of id|title|…,
    without a header; it is UTF-8, or Latin-1 as in ml-1m.

    Raises:
        DatasetUnavailable: the file is missing or is no list of titles.
    """
    import pyarrow as pa  # here, so that a source is located without waiting for it

    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); run the same command again"
        raise DatasetUnavailable(f"The titles in {path} {reason}.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    try:
        titles = dict(_titles(text))
    except (ValueError, csv.Error) as error:
        again = "delete it and run the same command again"
        raise DatasetUnavailable(f"{path} is not a list of titles ({error}); {again}.") from error
    return pa.table({"item": pa.array(titles.keys(), pa.string()), "title": pa.array(titles.values(), pa.string())})


def _titles(text: str) -> Iterator[tuple[str, str]]:
    """Item and title of each line; the first line tells the format."""
    first = text.partition("\n")[0]
    separator = next((separator for separator in ("::", "|") if separator in first), None)
    if separator is None:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        for row in rows:
            item, title = row.get("movieId"), row.get("title")
            if item is None or title is None:
                raise ValueError(f"line {rows.line_num} has no movieId or no title")
            yield item, title
        return
    # Not splitlines(), which also breaks at characters that Latin-1 text may hold.
    for number, line in enumerate(text.rstrip("\r\n").split("\n"), start=1):
        item, _, rest = line.partition(separator)
        # One field follows the title between double colons, and the title may hold some; bars are followed by many.
        title, found, _ = rest.rpartition("::") if separator == "::" else rest.partition("|")
        if not found:
            raise ValueError(f"line {number} is not id{separator}title{separator}genres")
        yield item, title


def _first(max_rows: int | None) -> str:
    return "" if max_rows is None else f", first {max_rows:,} ratings"


def _folder_name(filename: str) -> str:
    """A name that every file system takes: "Bewertungen für 2024.csv.gz" -> "Bewertungen-fur-2024"."""
    stem = SUFFIXES.sub("", filename)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    # 80 characters leave space for the protocol in the name of the report's folder.
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:80] or "ratings"
