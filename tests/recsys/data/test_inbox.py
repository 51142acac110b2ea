"""Folders into which files of ratings are delivered."""

import os
import time
from pathlib import Path

from recsys.data.source import deliveries, may_be_growing


def delivered(path: Path, age: float) -> Path:
    path.write_text("1,2,3\n")
    changed = time.time() - age
    os.utime(path, (changed, changed))
    return path


def test_the_file_that_was_changed_last_is_the_last_whatever_its_name(tmp_path: Path) -> None:
    first = delivered(tmp_path / "z.csv", age=3000)
    last = delivered(tmp_path / "a.csv.gz", age=1000)
    second = delivered(tmp_path / "m.parquet", age=2000)
    assert deliveries(tmp_path) == [first, second, last]


def test_of_files_of_one_moment_the_last_name_counts(tmp_path: Path) -> None:
    for name in ("ratings-2026-01.csv", "ratings-2026-03.csv", "ratings-2026-02.csv"):
        os.utime(delivered(tmp_path / name, age=0), (1e9, 1e9))
    assert [path.name[8:15] for path in deliveries(tmp_path)] == ["2026-01", "2026-02", "2026-03"]


def test_what_is_no_file_of_ratings_is_passed_over(tmp_path: Path) -> None:
    assert deliveries(tmp_path) == []
    for name in ("ratings.csv.part", ".ratings.csv", "README.md", "ratings.tmp"):
        delivered(tmp_path / name, age=100)
    (tmp_path / "old.csv").mkdir()
    assert deliveries(tmp_path) == []


def test_a_file_may_be_growing_for_a_minute(tmp_path: Path) -> None:
    assert may_be_growing(delivered(tmp_path / "new.csv", age=5))
    assert not may_be_growing(delivered(tmp_path / "old.csv", age=120))
    assert not may_be_growing(delivered(tmp_path / "of a clock that is fast.csv", age=-3600))
