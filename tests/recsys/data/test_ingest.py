# ruff: noqa: E501 - sentences are compared as they are read, on one line
import csv
import hashlib
import io
import json
import lzma
import re
import tempfile
import tracemalloc
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys.data import ingest as spool
from recsys.data import opening
from recsys.data.ingest import Ingested, ingest
from recsys.data.tokenizer import MISQUOTED
from recsys.errors import BadRatings
from recsys.settings import DataSettings

HEADER = "userId,movieId,rating,timestamp\n"
ROWS = "1,31,2.5,1260759144\n1,1029,3.0,1260759179\n15,31,4.5,1260759182\n"


def read(folder: Path, content: str | bytes, name: str = "ratings.csv", **settings: Any) -> tuple[Ingested, pa.Table]:
    """Ingest a file with this content."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    results = Path(tempfile.mkdtemp(dir=folder))
    facts = ingest(folder / name, DataSettings(**settings), results)
    assert {path.name for path in results.iterdir()} == {"ratings.parquet"} | (
        {"quarantine.csv"} if facts.quarantined_rows else set()
    )
    return facts, pq.read_table(results / "ratings.parquet")


def set_aside(folder: Path) -> list[list[str]]:
    """The rows of the only quarantine file in `folder`."""
    (path,) = folder.glob("*/quarantine.csv")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "reason", "text"]
    return rows


def test_movielens_is_read_into_the_smallest_types(tmp_path: Path) -> None:
    facts, table = read(tmp_path, HEADER + ROWS)
    assert table.to_pydict() == {
        "user": [1, 1, 15],
        "item": [31, 1029, 31],
        "rating": [2.5, 3.0, 4.5],
        "timestamp": [1260759144, 1260759179, 1260759182],
    }
    assert facts == Ingested(
        rows=3,
        columns=["user", "item", "rating", "timestamp"],
        types={"user": "int8", "item": "int16", "rating": "float32", "timestamp": "int32"},
        source_columns={"user": "userId", "item": "movieId", "rating": "rating", "timestamp": "timestamp"},
        found_by=dict.fromkeys(["user", "item", "rating", "timestamp"], "name"),
        ignored_columns=[],
        quarantined_rows=0,
        not_rated_rows=0,
        unreadable_timestamps=0,
        unreadable_time=None,
        time_form=None,
        separator=",",
        header=True,
        compression=None,
        member=None,
        sha256=hashlib.sha256((HEADER + ROWS).encode()).hexdigest(),
    )
    assert json.loads(json.dumps(asdict(facts))) == asdict(facts)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last_line_ends", [True, False])
def test_every_layout_is_recognised(
    tmp_path: Path, separator: str, header: bool, line_end: str, mark: str, last_line_ends: bool
) -> None:
    text = ((HEADER if header else "") + ROWS).removesuffix("" if last_line_ends else "\n")
    facts, table = read(tmp_path, mark + text.replace(",", separator).replace("\n", line_end), "ratings.txt")
    assert (facts.separator, facts.header) == (separator, header)
    assert table.equals(read(tmp_path, HEADER + ROWS)[1])


@pytest.mark.parametrize(
    ("content", "settings", "columns"),
    [
        ("1,2,3.5\n", {}, {"user": [1], "item": [2], "rating": [3.5]}),
        ("u i,r,t\n1,2,3\n", {"user_column": "r", "item_column": "t", "rating_column": "u i"}, {"user": [2], "item": [3], "rating": [1]}),
        ("item,user,rating\n1,2,3\n", {}, {"user": [2], "item": [1], "rating": [3]}),
        ("5,6,7\n1,2,3\n", {"header": "yes", "user_column": "7", "item_column": "6", "rating_column": "5"}, {"user": [3], "item": [2], "rating": [1]}),
        ("a;b;4\n", {}, {"user": ["a"], "item": ["b"], "rating": [4]}),
        ("1 2 3.5\n4 5 6\n", {}, {"user": [1, 4], "item": [2, 5], "rating": [3.5, 6]}),
        ("1,2,3,at ten past two\n", {}, {"user": [1], "item": [2], "rating": [3]}),
        ("1,2,3,at ten past two\n", {"timestamp_column": "4"}, {"user": [1], "item": [2], "rating": [3], "timestamp": [None]}),
        ("a;b;3,5\nc;d;2\n", {}, {"user": ["a", "c"], "item": ["b", "d"], "rating": [3.5, 2]}),
        ("1\t\t5\t\t-9.5\n2\t\t7\t\t.25\n", {}, {"user": [1, 2], "item": [5, 7], "rating": [-9.5, 0.25]}),
        ("a|b;x|4\n", {"separator": "pipe"}, {"user": ["a"], "item": ["b;x"], "rating": [4]}),
        ("user,item,rating,genres\n1,2,3,a|b|c\n4,5,6,d|e|f\n", {}, {"user": [1, 4], "item": [2, 5], "rating": [3, 6]}),
        ("\n\nuser,item,rating\n\n1,2,3\n \n", {}, {"user": [1], "item": [2], "rating": [3]}),
        ('user,item,rating,review\n1,2,3,"good,\n""very"" good"\n4,5,6,\n', {}, {"user": [1, 4], "item": [2, 5], "rating": [3, 6]}),
        ('"user","item","rating"\n"1","2","3"\n', {}, {"user": [1], "item": [2], "rating": [3]}),
    ],
)  # fmt: skip
def test_columns_are_found(
    tmp_path: Path, content: str, settings: dict[str, str], columns: dict[str, list[Any]]
) -> None:
    assert read(tmp_path, content, **settings)[1].to_pydict() == columns


def test_ignored_columns_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "recsys")
    facts, _ = read(tmp_path, "user,title,item,rating,tag\n1,x,2,3,y\n")
    assert facts.ignored_columns == ["title", "tag"]
    assert (
        "ratings.csv: user is “user”, item is “item”, rating is “rating” (by name); ignored: title, tag" in caplog.text
    )


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([1, 127], "int8"),
        ([-129, 1], "int16"),
        ([1, 32768], "int32"),
        ([1, 2**31], "int64"),
        ([-(2**63), 2**63 - 1], "int64"),
        ([1, 2**63], "string"),
        (["x", "1"], "string"),
    ],
)
def test_ids_take_no_more_room_than_they_need(tmp_path: Path, ids: list[int | str], kind: str) -> None:
    facts, table = read(tmp_path, "user,item,rating\n" + "".join(f"{user},1,3\n" for user in ids))
    assert facts.types["user"] == kind
    assert table["user"].to_pylist() == ([str(user) for user in ids] if kind == "string" else ids)


@pytest.mark.parametrize(
    ("rating", "kind"),
    [("3.5", "float32"), ("0.1", "float32"), ("3.14159265358979", "float64"), ("16777217", "float64")],
)
def test_a_rating_keeps_every_digit(tmp_path: Path, rating: str, kind: str) -> None:
    facts, table = read(tmp_path, f"user,item,rating\n1,2,{rating}\n1,3,4\n")
    assert facts.types["rating"] == kind
    assert float(str(table["rating"].to_numpy()[0])) == float(rating)


def test_ids_that_turn_to_text_late_were_kept_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", 1000)
    lines = [f"{row},{-row},{row % 5}" for row in range(1000)]
    lines[700] = "007,-1,1"
    lines[900] = "1,x,1"
    _, table = read(tmp_path, "user,item,rating\n" + "\n".join(lines))
    assert table["user"].to_pylist() == [line.split(",")[0] for line in lines]
    assert table["item"].to_pylist() == [line.split(",")[1] for line in lines]


def test_the_bytes_written_depend_on_the_ratings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEADER + "".join(f"u{row % 97},{row % 89},{row % 10 / 2},{row}\n" for row in range(2000))
    monkeypatch.setattr(spool, "GROUP_ROWS", 300)
    for block in (500, 7_777, 10**6):
        monkeypatch.setattr(opening, "BLOCK_BYTES", block)
        read(tmp_path, text)
    read(tmp_path, text.replace("\n", "\r\n").replace(",", "::"), "ratings.dat")
    assert len({path.read_bytes() for path in tmp_path.glob("*/ratings.parquet")}) == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", 2**14)
    monkeypatch.setattr(spool, "GROUP_ROWS", 2**10)

    def peak(rows: int) -> int:
        ratings = ("bad", "4.5", "3", "1", "2")
        text = HEADER + "".join(f"{row % 97}x,{row % 91},{ratings[row % 5]},{row}\n" for row in range(rows))
        (tmp_path / "ratings.csv").write_text(text)
        results = Path(tempfile.mkdtemp(dir=tmp_path))
        usual = pa.default_memory_pool()
        pa.set_memory_pool(pool := pa.proxy_memory_pool(usual))
        tracemalloc.start()
        ingest(tmp_path / "ratings.csv", DataSettings(bad_rows="quarantine"), results)
        _, python = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        pa.set_memory_pool(usual)
        return python + int(pool.max_memory())

    peak(100)
    assert peak(50_000) < 1.5 * peak(5_000)


def test_times_that_cannot_be_read_are_counted_not_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts, table = read(tmp_path, "user,item,rating,time\n1,2,3,2000-01-01\n1,3,3,\n1,4,3,tomorrow\n")
    assert facts.unreadable_timestamps == 2
    assert table["timestamp"].to_pylist() == [946684800, None, None]
    assert "ratings.csv: 2 of 3 times are missing or cannot be read" in caplog.text


def test_bad_rows_are_set_aside_with_line_reason_and_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = (
        b"user,item,rating,review\n1,2,3,\n\n ,2,3,\n1,,3,\n1,2,x,\n1,2,3\n1,2,9,\n1,2,0,\n1,2,3,"
        b'caf\xe9\n1,2,3,"a\nb"\n1,2,,"c\nd"\n1,2,3,"e\n5,6,4,f'
    )
    facts, table = read(tmp_path, content, bad_rows="quarantine", min_rating=1, max_rating=5)
    assert set_aside(tmp_path) == [
        ["4", "the user id is missing", " ,2,3,"],
        ["5", "the item id is missing", "1,,3,"],
        ["6", "rating 'x' is not a number", "1,2,x,"],
        ["7", "it has 3 fields instead of 4", "1,2,3"],
        ["8", "rating '9' is above the scale's highest, 5 (--max-rating)", "1,2,9,"],
        ["9", "rating '0' is below the scale's lowest, 1 (--min-rating)", "1,2,0,"],
        [
            "10",
            "it is not UTF-8 text (byte 0xe9), name the file's encoding, such as --encoding latin-1",
            r"1,2,3,caf\xe9",
        ],
        ["13", "the rating is missing", '1,2,,"c\nd"'],
        ["15", MISQUOTED, '1,2,3,"e'],
    ]
    assert table["user"].to_pylist() == [1, 1, 5]
    assert (facts.rows, facts.quarantined_rows) == (3, 9)
    assert "ratings.csv: 9 of 12 rows were set aside" in caplog.text


def test_rows_set_aside_are_told_while_reading(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,2,3\n1,3,x\n")
    told: list[str] = []
    settings = DataSettings(bad_rows="quarantine")
    ingest(tmp_path / "ratings.csv", settings, tmp_path, lambda done, total, words: told.append(words))
    assert told[-1] == "2 rows read, 1 of them set aside"


def test_a_nul_far_down_the_file_is_a_bad_row(tmp_path: Path) -> None:
    read(tmp_path, HEADER + ROWS * 100 + "1,\0,3,4\n", bad_rows="quarantine")
    assert set_aside(tmp_path) == [["302", "it holds a NUL byte", "1,\0,3,4"]]


@hypothesis_settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.sampled_from(["1,2,3", "1,2,3,4", "1,2", "", "  ", "a,b,c", "007,x,4.5", "1,,2", ",,", '1,2,"3"', '1,"2'])
    ),
    st.none() | st.integers(1, 12),
    st.sampled_from(["\n", "\r\n"]),
)
def test_no_row_is_lost(lines: list[str], max_rows: int | None, line_end: str) -> None:
    text = line_end.join(["user,item,rating", "1,1,1", *lines])
    with tempfile.TemporaryDirectory() as folder:
        facts, table = read(Path(folder), text, bad_rows="quarantine", max_rows=max_rows)
        bad = set_aside(Path(folder)) if facts.quarantined_rows else []
    rows = [line for line in lines if line.strip()]
    assert facts.rows == table.num_rows
    assert facts.rows + facts.quarantined_rows == min(1 + len(rows), max_rows or 1000)
    assert len(bad) == facts.quarantined_rows
    numbered = dict(enumerate(text.split(line_end), 1))
    assert all(numbered[int(line)] == text for line, _, text in bad)


@pytest.mark.parametrize("max_rows", [1, 2, 3, 4, 99])
@pytest.mark.parametrize("block", [40, 10**6])
def test_max_rows_are_the_first_rows_good_or_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_rows: int, block: int
) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", block)
    content = "user,item,rating\n1,2,3\n\n2,2,x\n3,2,3\n4,2\n5,2,3\n"
    _, table = read(tmp_path, content, max_rows=max_rows, bad_rows="quarantine")
    assert table["user"].to_pylist() == {1: [1], 2: [1], 3: [1, 3], 4: [1, 3]}.get(max_rows, [1, 3, 5])


def test_what_comes_after_max_rows_does_no_harm(tmp_path: Path) -> None:
    facts, _ = read(tmp_path, "user,item,rating\n1,2,3\n2,2,x\n3,2\n", max_rows=1)
    assert facts.rows == 1


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", 2**12)
    (tmp_path / "ratings.csv").write_text(HEADER + ROWS * 200)
    told: list[tuple[float, float | None, str]] = []
    ingest(tmp_path / "ratings.csv", DataSettings(), tmp_path, lambda *words: told.append(words))
    size = (tmp_path / "ratings.csv").stat().st_size
    assert [done for done, _, _ in told][:2] == [2**12, 2**13]
    assert {total for _, total, _ in told} == {size}
    assert told[-1] == (size, size, "600 rows read")
    assert len(told) <= size // 2**12 + 2


def test_parquet_is_read_by_the_same_rules(tmp_path: Path) -> None:
    table = pa.table(
        {
            "Rating": pa.array([3.1, None, 4, float("nan"), 5], pa.float32()),
            "user_id": pa.array([1, 2, None, 4, 5], pa.float64()),
            "asin": pa.array(["a", "b", "c", "d", " e "]).dictionary_encode(),
            "time": pa.array([0, 1, 2, 3, 1_500_000_000], pa.timestamp("ms", "UTC")),
            "more": [[1], [2], [3], [4], [5]],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    content = (tmp_path / "in.parquet").read_bytes()
    facts, read_back = read(tmp_path, content, "ratings.bin", bad_rows="quarantine")
    assert read_back.to_pydict() == {
        "user": [1, 5],
        "item": ["a", "e"],
        "rating": [pytest.approx(3.1), 5.0],
        "timestamp": [0, 1_500_000],
    }
    assert facts.types["rating"] == "float32"
    assert facts.ignored_columns == ["more"]
    assert [row[:2] for row in set_aside(tmp_path)] == [
        ["2", "the rating is missing"],
        ["3", "the user id is missing"],
        ["4", "the rating is missing"],
    ]
    with pytest.raises(BadRatings, match=r"ratings\.bin, row 2: the rating is missing; correct the row, or set"):
        read(tmp_path, content, "ratings.bin")
    with pytest.raises(BadRatings, match=re.escape("column more holds list<element: int64> values, which are no item")):
        read(tmp_path, content, "ratings.bin", item_column="more")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [*range(5000)], "item": [*range(5000)], "rating": [1.5] * 5000}), tmp_path / "in")
    whole = (tmp_path / "in").read_bytes()
    for broken in (
        whole[:-100],
        whole[:20],
        whole[:50] + b"\xff" * 2000 + whole[2050:],
        whole.replace(b"user", b"us\xffr"),
    ):
        with pytest.raises(BadRatings, match=r"^ratings\.parquet is a damaged or cut parquet file; write or download"):
            read(tmp_path, broken, "ratings.parquet")


BROKEN: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("", {}, "ratings.csv is empty; give a file with one rating per line."),
    ("\ufeff", {}, "ratings.csv is empty; give"),
    ("\n \n\n", {}, "ratings.csv holds only blank lines; give a file with one rating per line."),
    (HEADER, {}, "ratings.csv holds a header but no ratings; give a file with one rating per line."),
    (HEADER.strip(), {}, "ratings.csv holds a header but no ratings; give a file with one rating per line."),
    ("user,item,opinion\na,b,c\n", {}, "no column that looks like the rating among its columns (user, item, opinion); name it with --rating-column, or say --header no if its first line is a rating already."),
    ("1/2/3\n4/5/6\n", {}, "ratings.csv has only one column, '1/2/3' is its first line; ratings need user, item and rating, with commas, tabs, semicolons, pipes, double colons or blanks between them: write it so, or leave out lines above the table with --skip-lines."),
    ('{"user": 1,\n"item": 2,\n"rating": 3}\n', {}, "ratings.csv is JSON, but has no object on each line; write each rating as an object on a line of its own (JSON lines), or as CSV."),
    (' [\n {"user": 1, "item": 2, "rating": 3}]', {}, "ratings.csv is a JSON array; write each rating as an object on a line of its own (JSON lines), as jq -c '.[]' does."),
    (HEADER + ROWS, {"separator": "tab"}, "ratings.csv has only one column with --separator tab, 'userId,movieId,rating,timestamp' is its first line; ratings need user, item and rating: name another separator, or leave --separator out to have it recognised."),
    ("user,item\n1,2\n", {}, "has only two columns, 'user,item' is its first line"),
    ((HEADER + ROWS).encode("utf-16"), {"encoding": "latin-1"}, "ratings.csv is UTF-16 text, and --encoding latin-1 was given; leave --encoding out."),
    (bytes(range(256)) * 20, {}, "ratings.csv is not text, it holds NUL bytes; give a text file, or a parquet file."),
    (b"\0" * 5000, {}, "ratings.csv is not text, it holds NUL bytes"),
    (b"\xfd7zXZ\0\0\4", {}, "ratings.csv is damaged or cut short, it does not unpack as xz; download or pack it again."),
    (lzma.compress(lzma.compress(b"1,2,3\n")), {}, "ratings.csv is packed twice; unpack it."),
    ("user,item,rating\r1,2,3\r", {}, "ratings.csv has lines that end in CR alone; convert the line ends to LF."),
    ("1" * 2**21, {}, "ratings.csv, line 1: the line is longer than 1 MiB; give a file with one rating per line."),
    (HEADER + "1" * 2**24, {}, "ratings.csv, line 2: the line is longer than 1 MiB; give a file with one rating per line."),
    ("größe,user,item,rating\n".encode("latin-1") + b"1,2,3,4\n", {}, "ratings.csv, line 1: it is not UTF-8 text (byte 0xf6), name the file's encoding, such as --encoding latin-1; correct the line, or say --header no if it is a rating."),
    (HEADER + ROWS + "1,2,abc,3\n", {}, "ratings.csv, line 5: rating 'abc' is not a number; correct the line, or set such rows aside with --bad-rows quarantine."),
    ("1,2,abc\n1,2,3\n", {}, "ratings.csv, line 1: rating 'abc' is not a number"),
    ("a;b;3,500\nc;d;2\n", {}, "ratings.csv, line 1: rating '3,500' may have a decimal comma or separate the thousands: say --decimal comma if it is 3.500, or write it without the comma; correct the line"),
    ("user\titem\trating\na\tb\t3,5\n", {"decimal": "point"}, "ratings.csv, line 2: rating '3,5' is not a number"),
    ("user,item,rating\nNULL,2,3\n", {}, "ratings.csv, line 2: the user id 'NULL' stands for a missing value, keep such ids with --null-ids keep if it does not"),
    (HEADER + "1,2,3\n", {}, "ratings.csv, line 2: it has 3 fields instead of 4; correct the line"),
    (HEADER + "x\n1,2,3,4\n", {}, "ratings.csv, line 2: it has 1 field instead of 4"),
    (HEADER + "1,2,x,3\n1,2,3\n", {}, "ratings.csv, line 2: rating 'x' is not a number"),
    (HEADER + "1,2,3\n1,2,x,3\n", {}, "ratings.csv, line 2: it has 3 fields instead of 4"),
    (HEADER + "1,2,6,3\n", {"max_rating": 5}, "ratings.csv, line 2: rating '6' is above the scale's highest, 5 (--max-rating); correct the line"),
    (HEADER + "1,2,x,3\n1,2,3\n", {"bad_rows": "quarantine"}, "ratings.csv: not one of its 2 rows can be used, the first on line 2: rating 'x' is not a number; check the separator and the columns."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "settings", "sentence"), BROKEN, ids=[row[2][:60] for row in BROKEN])
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(
    tmp_path: Path, content: str | bytes, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadRatings) as caught:
        read(tmp_path, content, **settings)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()


@hypothesis_settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=60)
    | st.text("ui,;\t|:\"'\n\r12.5é", max_size=60).map(str.encode)
    | st.tuples(st.sampled_from([b"\x1f\x8b", b"BZh91AY&SY", b"PK\3\4", b"PAR1\x15"]), st.binary()).map(b"".join)
)
def test_whatever_the_file_holds_nothing_but_a_sentence_comes_back(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for bad_rows in ("error", "quarantine"):
            with suppress(BadRatings):
                read(Path(folder), content, bad_rows=bad_rows)


def test_quarantine_is_plain_csv(tmp_path: Path) -> None:
    read(tmp_path, 'user,item,rating\n1,2,3\n1,"2, or 3",x\n', bad_rows="quarantine")
    (path,) = tmp_path.glob("*/quarantine.csv")
    expected = io.StringIO()
    csv.writer(expected, lineterminator="\n").writerows(
        [["line", "reason", "text"], [3, "rating 'x' is not a number", '1,"2, or 3",x']]
    )
    assert path.read_text() == expected.getvalue()
