"""What is read of a ratings file with a given content."""

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recsys.data.columns import REQUIRED, Role
from recsys.data.ingest import ingest
from recsys.settings import DataSettings

csv.field_size_limit(2**24)  # a bad row may be long


def rows_of(content: str | bytes, required: Sequence[Role] = REQUIRED, **settings: Any) -> list[tuple[Any, ...]]:
    """Return the rows read from a file: user, item, rating and, if it has it, timestamp."""
    return rows_and_set_aside(content, required, **settings)[0]


def rows_and_set_aside(
    content: str | bytes, required: Sequence[Role] = REQUIRED, **settings: Any
) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
    """Return the rows read from a file, and line, reason and text of those set aside."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "ratings.csv")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        ingest(path, DataSettings(**settings), Path(place), required=required)
        table = pq.read_table(Path(place, "ratings.parquet"))
        return list(zip(*table.to_pydict().values(), strict=True)), set_aside(Path(place, "quarantine.csv"))


def set_aside(path: Path) -> list[tuple[int, str, str]]:
    """Return line, reason and text of each row in a quarantine file, which need not exist."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["line"]), row["reason"], row["text"]) for row in csv.DictReader(file)]
