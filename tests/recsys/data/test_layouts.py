"""Padded columns and item blocks."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.layouts import has_item_blocks, with_items, without_padding
from recsys.errors import BadRatings
from tests.reading import rows_and_set_aside, rows_of

NETFLIX = "1:\n10,5,2005-01-02\n11,3,2005-02-03\n2:\n10,4,2005-01-02\n"
READ = [(10, 1, 5.0, 1104624000), (11, 1, 3.0, 1107388800), (10, 2, 4.0, 1104624000)]


@pytest.mark.parametrize(
    "settings", [{}, {"separator": "comma"}, {"header": "no"}, {"bad_rows": "quarantine"}], ids=repr
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_netflix_s_blocks_are_read(settings: dict[str, Any], end: str) -> None:
    assert rows_of(NETFLIX.replace("\n", end), **settings) == READ
    assert rows_of(NETFLIX.replace("\n", end).removesuffix(end), **settings) == READ


@pytest.mark.parametrize("size", [1, 5, 7, 64])
def test_a_block_may_go_on_in_the_next_bytes(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.opening.BLOCK_BYTES", size)
    text = NETFLIX.encode()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(with_items(pieces, ",")) == b"\n1,10,5,2005-01-02\n1,11,3,2005-02-03\n\n2,10,4,2005-01-02\n"


def test_blocks_may_have_no_dates_and_ids_of_any_kind() -> None:
    assert rows_of("m-1:\nann,5\nbob,3\n\nm-2:\nann,4\n") == [("ann", "m-1", 5), ("bob", "m-1", 3), ("ann", "m-2", 4)]
    assert rows_of("7:\n1\t5\n2\t3\n") == [(1, 7, 5.0), (2, 7, 3.0)]


def test_bad_rows_in_blocks_keep_their_lines() -> None:
    text = NETFLIX + "3:\n\n12,x,2005-01-01\n13,4\n"
    read, bad = rows_and_set_aside(text, bad_rows="quarantine")
    assert read == READ
    assert bad == [
        (8, "rating 'x' is not a number", "3,12,x,2005-01-01"),
        (9, "it has 3 fields instead of 4", "3,13,4"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ratings:\n1,1,5\n1,2,3\n",
        "1:\nuser,item,rating\n1,1,5\n",
        "user:\n1,1,5\n",
        "1,1,5\n1:\n1,2,3\n",
        "1:\n2:\n",
        "a b:\n1,2\n",
    ],
)
def test_a_line_with_a_colon_alone_makes_no_blocks(text: str) -> None:
    assert not has_item_blocks(text.encode())


def test_blocks_without_ratings_are_refused() -> None:
    with pytest.raises(BadRatings, match="has only one column, '1:' is its first line"):
        rows_of("1:\n30878\n2647871\n2:\n30878\n")


@pytest.mark.parametrize(
    "text",
    [
        "  1    31   2.5   100\n 15  1029   3.0    99\n  1     7   4.0     7\n",
        "   user    item  rating  time\n  1    31   2.5   100  \n 15\t1029   3.0    99\n  1  7 4.0\t 7\n",
        "  1,    31,   2.5,   100\n 15,  1029,   3.0,    99\n  1,     7,   4.0,     7\n",
        "user ,   item , rating,  time\n  1,    31,   2.5,   100\n 15,  1029,   3.0,    99\n  1,     7,   4.0,     7\n",
        "  1\t    31\t   2.5\t   100\n 15\t  1029\t   3.0\t    99\n  1\t     7\t   4.0\t     7\n",
        "  1;    31;   2.5;   100\n 15;  1029;   3.0;    99\n  1;     7;   4.0;     7\n",
    ],
)
def test_padded_columns_are_read(text: str) -> None:
    read = [(1, 31, 2.5, 100), (15, 1029, 3.0, 99), (1, 7, 4.0, 7)]
    named: dict[str, Any] = {} if "time" in text else {"timestamp_column": "4"}
    assert rows_of(text, **named) == read
    assert rows_of(text.replace("\n", "\r\n"), **named) == read


def test_blanks_in_quotes_are_kept() -> None:
    text = '"user"  "item" "rating"\n"u1"  "Toy  Story"  5\n  "u2" "Heat" 4\n'
    assert rows_of(text) == [("u1", "Toy  Story", 5), ("u2", "Heat", 4)]
    assert rows_of(text, separator="blank") == [("u1", "Toy  Story", 5), ("u2", "Heat", 4)]


def test_a_row_between_blanks_with_a_field_too_many_keeps_its_line() -> None:
    assert rows_and_set_aside("1  1 5\n\n1 2 a  b\n", bad_rows="quarantine") == (
        [(1, 1, 5.0)],
        [(3, "it has 4 fields instead of 3", "1 2 a b")],
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from([" ", "\t", "\n", "a", "1", "é"]), max_size=30).map("".join), st.booleans())
def test_padding_is_taken_from_each_line(text: str, quoted: bool) -> None:
    made = b"".join(without_padding([text.encode()], quoted=quoted)).decode()
    *lines, last = (" ".join(line.split()) for line in text.split("\n"))
    ends = "\n" if text and text[-1] != "\n" and not last else ""
    assert made == "\n".join([*lines, last]) + ends


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["1:", "2: ", "", "3,4", "5,6,7", "x:y", ":", "a b:"]), max_size=12),
    st.booleans(),
    st.lists(st.integers(0, 60), max_size=3),
)
def test_no_line_is_added_or_lost(lines: list[str], ends: bool, cuts: list[int]) -> None:
    text = ("\n".join(lines) + ("\n" if ends else "")).encode()
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places) if text[start:end]]
    expected, item = [], ""
    for line in text.decode().split("\n"):
        if line in ("1:", "2: "):
            item = line.strip()[:-1]
            expected.append("")
        else:
            expected.append(f"{item},{line}" if item and line else line)
    made = b"".join(with_items(pieces, ",")).decode()
    assert made in ("\n".join(expected), "\n".join(expected) + "\n")
