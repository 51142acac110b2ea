"""Where the ratings come from: the embedded sample, a public data set, the user's file, or a folder of deliveries."""

import csv
import io
import os
import re
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.data.datasets import DATASETS, SOURCE_SHA256, fetch, licence, sample_is_intact, write_sample
from recsys.data.download import exclusive, unwritable
from recsys.errors import DatasetUnavailable
from recsys.progress import Progress, silent
from recsys.settings import SAMPLE_ROWS, DataSettings
from recsys.text import escaped

if TYPE_CHECKING:
    import pyarrow as pa


SETTLING = 60.0
"""Seconds without a change after which a file counts as complete."""


def newest(folder: Path) -> Path | None:
    """Return the ratings file of a folder that was changed last; of several, the one whose name comes last.

    The time of the change decides, not the name: names need not follow a calendar. Hidden files and those without
    a known ending (.part, .tmp) are passed over, and folders inside as well.

    Returns:
        Its path; None if the folder holds none.
    """
    found = [
        path
        for path in folder.iterdir()
        if ENDINGS.search(path.name) and not path.name.startswith(".") and path.is_file()
    ]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def may_be_growing(path: Path) -> bool:
    """Return whether a file was changed so lately that its writer may not be done.

    A time in the future says nothing about that: it is another clock's.
    """
    return 0 <= time.time() - path.stat().st_mtime < SETTLING


SAMPLE_LABEL = "MovieLens small 2016"
SAMPLE_TOTAL = 100_004

ENDINGS = re.compile(r"(\.(csv|tsv|dat|txt|parquet|gz|bz2|zip))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """Ratings on this computer, ready to be read."""

    name: str
    """Safe as a folder's name: "sample", "ml-1m", or made from the name of the user's file."""
    label: str
    """For people: "MovieLens small 2016, first 100,000 ratings"."""
    licence: str | None
    """Conditions of use in one sentence; None for the user's own file."""
    ratings: Path
    titles: Path | None
    """For `read_titles`; None where the items have no titles."""
    max_rows: int | None
    """How many ratings to read from the start; None: all."""


def locate(settings: DataSettings, progress: Progress = silent) -> Source:
    """Find the ratings that the settings ask for, downloading or writing them the first time.

    Whether the user's file exists and can be read is left to its reader.

    Args:
        settings: which ratings, and in which folder downloads are kept.
        progress: told about the bytes of a download.

    Raises:
        DatasetUnavailable: a public data set that is not to be had.
    """
    if settings.ratings is not None:
        path = _expanded(settings.ratings)
        return Source(
            name=_folder_name(path.name),
            label=escaped(path.name) + _first(settings.max_rows),
            licence=None,
            ratings=path,
            titles=None,
            max_rows=settings.max_rows,
        )
    downloads = _expanded(settings.downloads)
    if settings.dataset is None or settings.dataset == "sample":
        return _sample(downloads, settings.max_rows or SAMPLE_ROWS, progress)
    files = fetch(settings.dataset, downloads, progress)
    return Source(
        name=settings.dataset,
        label=DATASETS[settings.dataset].label + _first(settings.max_rows),
        licence=licence(settings.dataset),
        ratings=files.ratings,
        titles=files.movies,
        max_rows=settings.max_rows,
    )


def read_titles(path: Path) -> "pa.Table":
    """Read the titles of the items.

    Args:
        path: a .csv file with the columns movieId and title, or a .dat file with id::title::genres lines;
            UTF-8, or Latin-1 as in ml-1m.

    Returns:
        Columns item and title, both string; each item once.

    Raises:
        DatasetUnavailable: the file is missing or is no list of titles.
    """
    import pyarrow as pa  # here, so that a source is located without waiting for it

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetUnavailable(
            f"The titles in {path} cannot be read ({error.strerror}); run the same command again."
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    try:
        titles = dict(_dat_titles(text) if path.suffix == ".dat" else _csv_titles(text))
    except (ValueError, csv.Error) as error:
        raise DatasetUnavailable(
            f"{path} is not a list of titles ({error}); delete it and run the same command again."
        ) from error
    return pa.table({"item": pa.array(titles.keys(), pa.string()), "title": pa.array(titles.values(), pa.string())})


def _sample(downloads: Path, max_rows: int, progress: Progress) -> Source:
    folder = downloads / f"sample-{SOURCE_SHA256[:12]}"
    try:
        if not sample_is_intact(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder, progress):
                if not sample_is_intact(folder):
                    progress(0, None, "unpacking the embedded sample")
                    write_sample(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    return Source(
        name="sample",
        label=SAMPLE_LABEL + _first(max_rows if max_rows < SAMPLE_TOTAL else None),
        licence=licence("ml-latest-small"),
        ratings=folder / "ratings.csv",
        titles=folder / "titles.csv",
        max_rows=max_rows,
    )


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))


def _first(max_rows: int | None) -> str:
    return "" if max_rows is None else f", first {max_rows:,} ratings"


def _folder_name(filename: str) -> str:
    """A name that every file system takes: "Bewertungen für 2024.csv.gz" -> "Bewertungen-fur-2024"."""
    stem = ENDINGS.sub("", filename)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    # 80 characters leave room for the protocol in the name of the report's folder.
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:80] or "ratings"


def _csv_titles(text: str) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    for row in rows:
        item, title = row.get("movieId"), row.get("title")
        if item is None or title is None:
            raise ValueError(f"line {rows.line_num} has no movieId or no title")
        yield item, title


def _dat_titles(text: str) -> Iterator[tuple[str, str]]:
    # Not splitlines(), which also breaks at characters that Latin-1 text may hold.
    for number, line in enumerate(text.rstrip("\r\n").split("\n"), start=1):
        item, _, rest = line.partition("::")
        title, separator, _ = rest.rpartition("::")
        if not separator:
            raise ValueError(f"line {number} is not id::title::genres")
        yield item, title
