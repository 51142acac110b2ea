import csv
import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.dialect import Dialect
from recsys.data.table import LineCount
from recsys.data.text_table import read_exactly, read_quickly
from recsys.data.tokenizer import MAX_RECORD_BYTES, MISQUOTED, Record, blocks, records
from recsys.errors import BadRatings

# Bytes that mean something to a reader, and a few that do not.
NOISE = st.lists(
    st.sampled_from([b"1", b"a", b'"', b'""', b'"\n', b'"x"', b"\n", b"\r\n", b"\r", b" ", b"::"])
    | st.sampled_from(
        [b"1,2,3\n", b'1,"2",3\n', b"1::2::3\n", b",", b",", b"\t", b"\0", b"\x1f", "é".encode(), b"\xff"]
    ),
    max_size=40,
).map(b"".join)
SEPARATOR = st.sampled_from([",", "\t", "::", "|"])


def read(chunks: list[bytes], separator: str = ",") -> list[Record]:
    return [record for block in blocks(chunks, separator, "f.csv") for record in records(block, separator)]


@settings(deadline=None)
@given(NOISE, SEPARATOR, st.lists(st.integers(0, 150)))
def test_where_the_bytes_are_cut_makes_no_difference(data: bytes, separator: str, cuts: list[int]) -> None:
    chunks = [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)]) if data[start:end]]
    assert read(chunks, separator) == read([data], separator)


@settings(deadline=None)
@given(NOISE, SEPARATOR)
def test_no_line_is_lost_or_read_twice(data: bytes, separator: str) -> None:
    text = data.replace(b"\r\n", b"\n").decode(errors="backslashreplace")
    lines = text.split("\n")
    expected = {number for number, line in enumerate(lines, 1) if line.strip() or separator in line}
    found = [line + extra for line, text, _ in read([data], separator) for extra in range(text.count("\n") + 1)]
    assert len(found) == len(set(found))
    assert expected <= set(found)


@settings(deadline=None)
@given(NOISE, SEPARATOR, st.integers(2, 4))
def test_the_quick_and_the_exact_way_read_the_same(data: bytes, separator: str, width: int) -> None:
    dialect = Dialect(separator, 0, [str(column) for column in range(width)], {"user": 0, "item": width - 1}, {})
    for block in blocks([data], separator, "f.csv"):
        quick, exact = read_quickly(block, dialect), read_exactly(block, dialect, LineCount())
        if quick is not None:
            assert exact.bad_rows == []
            assert quick == exact.fields


@settings(deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), min_size=2)))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    assert [fields for _, _, fields in read([file.getvalue().encode()])] == rows


def test_a_quoted_field_may_hold_separators_quotes_and_line_ends() -> None:
    assert read([b'1,"a, ""b""\nc",3\n4,5,6']) == [
        (1, '1,"a, ""b""\nc",3', ["1", 'a, "b"\nc', "3"]),
        (3, "4,5,6", ["4", "5", "6"]),
    ]


def test_a_quote_inside_of_a_field_is_an_ordinary_character() -> None:
    assert read([b'1,12" vinyl,3\n']) == [(1, '1,12" vinyl,3', ["1", '12" vinyl', "3"])]


def test_a_quote_that_is_never_closed_spoils_its_own_line_only() -> None:
    assert [(line, fields) for line, _, fields in read([b'1,"oops,3\n4,5,6\n7,"8",9\n'])] == [
        (1, MISQUOTED),
        (2, ["4", "5", "6"]),
        (3, ["7", "8", "9"]),
    ]


def test_a_quote_that_is_never_closed_does_not_fill_the_memory() -> None:
    lines = [b"1,2,3\n" * 20_000] * 20
    sizes = [len(block.data) for block in blocks([b'1,"oops,3\n', *lines], ",", "f.csv")]
    assert sum(sizes) == 10 + sum(map(len, lines))
    assert max(sizes) < 2 * MAX_RECORD_BYTES


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(BadRatings, match=r"f\.csv, line 2: the line is longer than 1 MiB"):
        read([b"1,2,3\n", b"1" * MAX_RECORD_BYTES, b"1"])


def test_double_colons_know_no_quotes() -> None:
    assert read([b'1::"2::3\n'], "::") == [(1, '1::"2::3', ["1", '"2', "3"])]
