"""Folders of parts, as Spark writes them."""

import bz2
import gzip
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.ingest import Ingested, check, ingest
from recsys.data.source import deliveries, expected_rows, locate, may_be_growing
from recsys.errors import BadRatings
from recsys.parts import parts_of
from recsys.settings import DataSettings
from recsys.store.store import Store, sha256_of
from tests.reading import set_aside

SPARK = {"_SUCCESS": b"", "._SUCCESS.crc": b"crc", ".part-00000.csv.crc": b"crc"}
HEADER = b"user,item,rating\n"


def table(*users: object) -> pa.Table:
    items, ratings = pa.array([1] * len(users), pa.int32()), pa.array([4.5] * len(users), pa.float64())
    return pa.table({"user": pa.array(users, None if users else pa.int64()), "item": items, "rating": ratings})


def folder_of(place: Path, parts: Mapping[str, bytes | pa.Table | None]) -> Path:
    """Write a folder with files; None is a folder in it."""
    folder = place / "events"
    folder.mkdir()
    for name, content in parts.items():
        if content is None:
            (folder / name).mkdir()
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            pq.write_table(content, folder / name)
    return folder


def read(folder: Path, **settings: Any) -> tuple[Ingested, list[tuple[Any, ...]]]:
    results = folder.parent / "results"
    results.mkdir(exist_ok=True)
    facts = ingest(folder, DataSettings(**settings), results)
    return facts, list(zip(*pq.read_table(results / "ratings.parquet").to_pydict().values(), strict=True))


def test_parts_of_parquet_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    parts = {
        "part-00002.snappy.parquet": table(3),
        "part-00000.snappy.parquet": table(1, 2),
        "part-00001.snappy.parquet": table(),
    }
    facts, rows = read(folder_of(tmp_path, {**SPARK, **parts}))
    assert rows == [(1, 1, 4.5), (2, 1, 4.5), (3, 1, 4.5)]
    assert (facts.rows, facts.compression, facts.separator, facts.header) == (3, "parquet", None, True)


def test_parts_of_text_are_read_in_any_packing(tmp_path: Path) -> None:
    parts = {
        "part-00000.csv": HEADER + b"1,1,3\n",
        "part-00001.csv": b"",
        "part-00002.csv.gz": gzip.compress(HEADER + b"2,1,4\n2,2,5"),
        "part-00003.csv.bz2": bz2.compress(HEADER),
    }
    folder = folder_of(tmp_path, {**SPARK, **parts})
    facts, rows = read(folder)
    assert rows == [(1, 1, 3.0), (2, 1, 4.0), (2, 2, 5.0)]
    assert facts.header
    check(folder, DataSettings())


@pytest.mark.parametrize(
    "parts",
    [
        {"part-00000": b"1\t1\t3\n", "part-00001": b"2\t1\t4\n2\t2\t5"},
        {
            "part-00000.json": b'{"user":1,"item":1,"rating":3}\n',
            "part-00001.json": b'{"x":1,"rating":4,"item":1,"user":2}\n{"user":2,"item":2,"rating":5}\n',
        },
        {"part-00000": b"1  1 3\n", "part-00001": b"2  1 4\n2  2 5"},
    ],
)
def test_parts_may_be_of_any_format(tmp_path: Path, parts: dict[str, bytes]) -> None:
    assert read(folder_of(tmp_path, parts))[1] == [(1, 1, 3.0), (2, 1, 4.0), (2, 2, 5.0)]


def test_lines_are_counted_through_all_parts(tmp_path: Path) -> None:
    parts = {"part-0": HEADER + b"1,1,3\n1,x,y\n", "part-1": HEADER + b"2,1\n2,2,5\n", "part-2": HEADER + b"3,1,z"}
    folder = folder_of(tmp_path, parts)
    with pytest.raises(BadRatings, match=r"^events, line 3: rating 'y' is not a number"):
        read(folder)
    facts, rows = read(folder, bad_rows="quarantine")
    assert rows == [(1, "1", 3.0), (2, "2", 5.0)] or rows == [(1, 1, 3.0), (2, 2, 5.0)]
    assert facts.quarantined_rows == 3
    assert [row[0] for row in set_aside(tmp_path / "results" / "quarantine.csv")] == [3, 5, 8]


def test_rows_are_counted_through_all_parts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"part-0.parquet": table(1, 2), "part-1.parquet": table(3, None)})
    with pytest.raises(BadRatings, match=r"^events, row 4: the user id is missing; correct the row"):
        read(folder)
    assert read(folder, max_rows=3)[0].rows == 3


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"part-0.parquet": table(1), "part-1.csv": HEADER + b"1,1,3\n"}, "events/part-1.csv is not written as"),
        ({"part-0": b"1,1,3\n", "part-1": b"1,1,3,4\n"}, "events/part-1 is not written as the first part of events is"),
        ({"part-0": HEADER + b"1,1,3\n", "part-1": b"1,1,3\n"}, "events/part-1 has no column that looks like the user"),
        ({"part-0.parquet": table(1), "part-1.parquet": table(1).rename_columns(["i", "user", "r"])}, "no column that"),
        ({"part-0.parquet": table(1), "part-1.parquet": b"PAR1\x15\0\0"}, "events/part-1.parquet is a damaged or cut"),
        ({"part-0.gz": gzip.compress(HEADER + b"1,1,3\n" * 99)[:-9]}, "events/part-0.gz is damaged or cut short"),
        ({"part-0": HEADER, "part-1": HEADER}, "events holds a header but no ratings"),
        ({"part-0": HEADER + b"1,1,3\n", "_temporary": None}, "events is still being written, or its job has failed"),
        ({"part-0.parquet": table(1), "_delta_log": None}, "events is a Delta table"),
        ({"part-0": HEADER + b"1,1,3\n", "user=1": None}, "events is a folder; give the path of a ratings file"),
        ({"part-0": HEADER + b"1,1,3\n", "more.csv": b""}, "events is a folder; give the path of a ratings file"),
        ({"_SUCCESS": b""}, "events is a folder; give the path of a ratings file"),
        ({"part-0": b"", "part-1": b""}, "events is a folder; give the path of a ratings file"),
        ({}, "events is a folder; give the path of a ratings file"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_one_table_is_refused(
    tmp_path: Path, parts: dict[str, bytes | pa.Table | None], sentence: str
) -> None:
    with pytest.raises(BadRatings) as refused:
        read(folder_of(tmp_path, parts))
    assert sentence in str(refused.value)


def test_a_pipe_is_no_part(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"part-0": HEADER + b"1,1,3\n"})
    os.mkfifo(folder / "part-1")
    assert parts_of(folder) == []


def test_the_digest_of_a_folder_is_that_of_its_parts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {**SPARK, "part-0": HEADER + b"1,1,3\n", "part-1": HEADER + b"2,2,4\n"})
    store = Store(tmp_path / "store")
    seen = [sha256_of(folder)]
    assert read(folder)[0].sha256 == store.digest(folder) == seen[0]
    (folder / "_SUCCESS").unlink()
    (folder / "part-2").touch()
    assert sha256_of(folder) == seen[0]
    for change in (
        lambda: (folder / "part-1").write_bytes(HEADER + b"2,2,5\n"),
        lambda: (folder / "part-1").rename(folder / "part-3"),
        lambda: (folder / "part-4").write_bytes(HEADER + b"7,7,1\n"),
        lambda: (folder / "part-0").unlink(),
    ):
        change()
        assert store.digest(folder) == sha256_of(folder)
        seen.append(sha256_of(folder))
    assert len(set(seen)) == len(seen)


def test_a_folder_of_anything_has_no_digest(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"part-0": HEADER, "more.csv": b"1"})
    with pytest.raises(OSError, match="not a regular file"):
        Store(tmp_path / "store").digest(folder)


def test_the_number_of_rows_is_guessed_from_all_parts(tmp_path: Path) -> None:
    part = HEADER + b"123,456,3.5\n" * 5000
    folder = folder_of(tmp_path, {**SPARK, "part-0": part, "part-1": part})
    source = locate(DataSettings(ratings=str(folder)))
    assert source.name == "events"
    assert expected_rows(source) == pytest.approx(10_000, rel=0.01)


def test_a_folder_of_parts_is_delivered_like_a_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {**SPARK, "part-0": HEADER + b"1,1,3\n"})
    (tmp_path / "older.csv").write_text("1,2,3\n")
    os.utime(tmp_path / "older.csv", (1e9, 1e9))
    assert deliveries(tmp_path) == [tmp_path / "older.csv", folder]
    assert may_be_growing(folder)
    for path in (folder / "part-0", folder):
        assert may_be_growing(folder)
        os.utime(path, (1e9, 1e9))
    assert not may_be_growing(folder)


def test_the_facts_of_a_folder_are_those_of_one_file_with_the_same_lines(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"part-0": HEADER + b"1,1,3\n", "part-1": HEADER + b"2,2,4\n"})
    (tmp_path / "whole.csv").write_bytes(HEADER + b"1,1,3\n2,2,4\n")
    of_folder, of_file = (asdict(read(path)[0]) for path in (folder, tmp_path / "whole.csv"))
    assert {name for name in of_file if of_file[name] != of_folder[name]} == {"sha256"}
