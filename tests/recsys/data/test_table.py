"""Every line of a file is a row, a further line of a row, or skipped; none is lost in silence."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data import reader, text_table
from recsys.data.opening import open_ratings
from recsys.data.reader import open_table
from recsys.data.table import LineCount
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from tests.reading import rows_and_set_aside, rows_of

HEADER = "user,item,rating,review\n"


def test_lines_are_counted_with_or_without_a_last_line_end() -> None:
    for chunks, lines in (([], 0), ([b"a"], 1), ([b"a\n"], 1), ([b"a", b"\nb"], 2), ([b"a\n", b"b\r\n", b"\n"], 3)):
        count = LineCount()
        assert list(count.counted(chunks)) == chunks
        assert count.lines == lines


@pytest.mark.parametrize(
    ("blocks", "rows"),
    [({2: (3, 3)}, 3), ({2: (4, 3)}, 2), ({2: (2, 2), 4: (3, 2)}, 4), ({}, 0)],
)
def test_a_count_that_is_not_right_is_told(blocks: dict[int, tuple[int, int]], rows: int) -> None:
    with pytest.raises(RuntimeError, match=r"^f has 5 lines, of which \d were looked at, and \d rows, of which"):
        LineCount(lines=5, skipped=1, blocks=blocks).check("f", rows)


def test_a_count_that_is_right_is_not() -> None:
    LineCount(lines=5, skipped=1, blocks={2: (3, 1), 5: (1, 1)}).check("f", 2)


def lossy(found: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same without its second item."""
    return lambda *given, **named: (item for at, item in enumerate(found(*given, **named)) if at != 1)


@pytest.mark.parametrize("what", ["records", "blocks"])
def test_a_line_that_the_reader_loses_ends_the_run(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, what, lossy(getattr(text_table, what)))
    monkeypatch.setattr("recsys.data.opening.BLOCK_BYTES", 40)
    with pytest.raises(RuntimeError, match="this is a mistake of the program, please report it"):
        rows_and_set_aside(HEADER + "1,1,3,\n1,2,x,\n1,3,4,\n2,1,3,\n2,2,3,\n2,2\n" * 5, bad_rows="quarantine")


def test_rows_that_arrow_loses_are_read_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    read = pa.csv.read_csv
    monkeypatch.setattr(pa.csv, "read_csv", lambda *given: read(*given)[1:])
    assert len(rows_of(HEADER + "1,1,3,\n1,2,3,\n1,3,4,\n")) == 3


def test_rows_that_ingest_loses_end_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1.0, 2.0, 3.0]}), tmp_path / "f")
    as_text = reader._as_text
    monkeypatch.setattr(reader, "_as_text", lambda column: as_text(column)[1:])
    with pytest.raises(RuntimeError, match="has 3 lines, of which 3 were looked at, and 3 rows, of which 2 were"):
        rows_of((tmp_path / "f").read_bytes())


def counted(content: bytes, folder: Path, **asked: Any) -> LineCount:
    """The count of a file of which all batches were read, each quickly and exactly."""
    (folder / "f").write_bytes(content)
    with open_ratings(folder / "f") as file:
        table = open_table(file, DataSettings(**asked))
        for batch in table.batches:
            quick = table.count.blocks.copy()
            batch.read_exactly(None)
            assert {line: table.count.blocks[line] for line in quick} == quick
        return table.count


RECORDS = st.lists(
    st.sampled_from(
        ["1,2,3,", "1,2,3", '1,2,3,"a"', '1,2,3,"a\nb\n\nc"', '1,2,3,"', "", "  ", ",,,", '1,"2,3,4', "\0,,,"]
    ),
    max_size=20,
)


@settings(deadline=None)
@given(
    RECORDS,
    st.sampled_from(["", "sep=,\n", "# of May\n\n", "Exported\n", "\n\n"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_lines_skipped_and_read_are_the_lines_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, records: list[str], above: str, end: str, last: bool
) -> None:
    text = above + HEADER + "\n".join(records) + ("\n" if last else "")
    content = text.replace("\n", end).encode()
    try:
        count = counted(content, tmp_path_factory.mktemp("f"), quoting="standard")
    except BadRatings:
        return
    assert count.lines == text.count("\n") + (not text.endswith("\n"))
    assert count.skipped == above.count("\n") + 1
    count.check("f", sum(rows for _, rows in count.blocks.values()))


@pytest.mark.parametrize(
    ("text", "lines", "skipped", "rows"),
    [
        ("1:\n10,5\n\n11,3\n2:\n10,4\n", 6, 1, 3),
        ("%%MatrixMarket matrix coordinate real general\n% c\n3 4 2\n1 1 5\n2 2 3", 5, 3, 2),
        ("% bip weighted\n% 2 2 2\n1  1 5\n\n2 2 3\n", 5, 2, 2),
        ('{"user":1,"item":2,"rating":3}\n\n{"user":1,"item":2}\nx\n', 4, 0, 3),
        ("1  2 3\n 1 3  4\n ", 3, 0, 2),
        ("1::2::3\n1::3::4\n", 2, 0, 2),
        ("Exported\n\nuser;item;rating\n1;2;3\n", 4, 3, 1),
    ],
)
def test_lines_of_other_layouts_are_accounted_for(
    tmp_path: Path, text: str, lines: int, skipped: int, rows: int
) -> None:
    count = counted(text.encode(), tmp_path)
    assert (count.lines, count.skipped, sum(rows for _, rows in count.blocks.values())) == (lines, skipped, rows)
    count.check("f", rows)
