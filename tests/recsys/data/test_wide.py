from pathlib import Path
from typing import Any

import pytest

from recsys.data.ingest import ingest
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from tests.recsys.data.test_ingest import read, set_aside

NAMED = "userId,1,2,3,4,5\n7,5,,3,0,1\n8,0,4,2,1,5\n9,1,2,0,0,4\n"


@pytest.mark.parametrize("content", [NAMED, NAMED.replace("userId,1,2,3,4,5", "name,Up,It,Heat,M,Ran")])
def test_a_wide_table_is_named_with_the_option_that_reads_it(tmp_path: Path, content: str) -> None:
    with pytest.raises(
        BadRatings, match=r"looks like a table of users by items, with 6 columns.* read it with --layout wide"
    ):
        read(tmp_path, content)


def test_its_cells_are_read_as_ratings_row_by_row(tmp_path: Path) -> None:
    facts, table = read(tmp_path, NAMED, layout="wide", not_rated=[0])
    assert table["user"].to_pylist() == [7, 7, 7, 8, 8, 8, 8, 9, 9, 9]
    assert table["item"].to_pylist() == [1, 3, 5, 2, 3, 4, 5, 1, 2, 5]
    assert table["rating"].to_pylist() == [5, 3, 1, 4, 2, 1, 5, 1, 2, 4]
    assert (facts.rows, facts.not_rated_rows) == (10, 4)
    assert facts.source_columns == {"user": "column “userId”", "item": "5 columns", "rating": "cells"}


def test_a_table_of_pandas_with_a_separator_at_the_end_of_lines_is_read(tmp_path: Path) -> None:
    lines = NAMED.replace("userId", "").splitlines()
    facts, table = read(tmp_path, "".join(f"{line},\n" for line in lines), layout="wide", not_rated=[0])
    assert len(table) == 10
    assert facts.source_columns["user"] == "column 1"


def test_without_ids_the_users_are_the_lines(tmp_path: Path) -> None:
    content = "74,-7.82,8.79,99,0.5\n100,4.08,99,-0.29,6\n74,99,1.5,1.5,2\n"
    facts, table = read(tmp_path, content, layout="wide", not_rated=[99])
    assert table["user"].to_pylist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert table["item"].to_pylist() == [2, 3, 5, 2, 4, 5, 3, 4, 5]
    assert facts.ignored_columns == ["1"]


def test_the_rows_may_be_items(tmp_path: Path) -> None:
    _, table = read(tmp_path, NAMED, layout="wide", item_column="userId")
    assert table["item"].to_pylist()[:4] == [7, 7, 7, 7]
    assert table["user"].to_pylist()[:4] == [1, 3, 4, 5]


def test_a_column_without_ratings_is_left_out(tmp_path: Path) -> None:
    facts, table = read(tmp_path, "user;city;a;b;c\n1;Rome;3;4;5\n2;Paris;1;2;1\n", layout="wide")
    assert facts.ignored_columns == ["city"]
    assert table["item"].to_pylist() == ["a", "b", "c"] * 2


def test_a_bad_cell_and_a_bad_line_are_set_aside(tmp_path: Path) -> None:
    facts, _ = read(tmp_path, NAMED + "10,x,1\n11,2,?,1,1,1\n", layout="wide", bad_rows="quarantine")
    assert set_aside(tmp_path) == [
        ["5", "it has 3 fields instead of 6", "10,x,1"],
        ["6", "rating '?' is not a number", "11,2,?"],
    ]
    assert facts.quarantined_rows == 2


@pytest.mark.parametrize(
    ("content", "settings", "sentence"),
    [
        ("user,item,rating\na,b,3\nb,c,d\n", {}, "no two columns of ratings"),
        (NAMED, {"user_column": "usr"}, "has no column 'usr' among its columns"),
        ("user,a,b\n\n", {}, "holds a header but no ratings; give a line for each user"),
        ('""1\n', {"separator": "comma"}, "line 1: a quote is opened and not closed"),
        ("a,b,c\n1,2,3,4\n2,4,5,3\n", {"header": "yes"}, "has 3 columns in its header and 4 in most of its lines"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: str, settings: dict[str, Any], sentence: str) -> None:
    (tmp_path / "f.csv").write_text(content)
    with pytest.raises(BadRatings, match=sentence):
        ingest(tmp_path / "f.csv", DataSettings(layout="wide", **settings), tmp_path)


def test_stray_quotes_swallow_no_rows(tmp_path: Path) -> None:
    rows = "".join(f"u{user},{user % 5},,3,4,1\n" for user in range(40))
    content = 'name,a,b,c,d,e\n"Anna,5,4,3,2,1\n' + rows + 'Bob",1,2,3,4,5\n'
    with pytest.raises(BadRatings, match="quot"):
        read(tmp_path, content, layout="wide")
    facts, _ = read(tmp_path, content, layout="wide", quoting="none")
    assert facts.rows == 42 * 5 - 40
