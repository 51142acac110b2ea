"""Files that have not all columns of ratings: pairs, users, items."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from recsys.data.columns import Role
from recsys.data.ingest import ingest
from recsys.errors import BadRatings
from recsys.settings import DataSettings


def read(tmp_path: Path, content: str, *required: Role) -> pd.DataFrame:
    (tmp_path / "given.csv").write_text(content)
    ingest(tmp_path / "given.csv", DataSettings(), tmp_path, required=required)
    return pd.read_parquet(tmp_path / "ratings.parquet")


@pytest.mark.parametrize(
    ("content", "required", "columns"),
    [
        ("userId,movieId\n1,10\n2,20\n", ("user", "item"), {"user": [1, 2], "item": [10, 20]}),
        ("1,10\n2,20\n", ("user", "item"), {"user": [1, 2], "item": [10, 20]}),
        ("1;10;4.5\n2;20;3\n", ("user", "item"), {"user": [1, 2], "item": [10, 20], "rating": [4.5, 3.0]}),
        ("1\n2\n", ("user",), {"user": [1, 2]}),
        ("user\nanna\nbob\n", ("user",), {"user": ["anna", "bob"]}),
        ("10\n20\n", ("item",), {"item": [10, 20]}),
        ("title,movieId\nHeat,10\nCasino,20\n", ("item",), {"item": [10, 20]}),
    ],
)
def test_columns_that_are_there_are_read(
    tmp_path: Path, content: str, required: Sequence[Role], columns: dict[str, list[object]]
) -> None:
    found = read(tmp_path, content, *required)
    assert {name: found[name].tolist() for name in found} == columns


def test_a_column_that_is_required_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadRatings, match="only one column"):
        read(tmp_path, "user\n1\n", "user", "item")
    with pytest.raises(BadRatings, match="no column that looks like the item"):
        read(tmp_path, "user,age\n1,30\n", "user", "item")


def test_a_missing_id_is_a_bad_row(tmp_path: Path) -> None:
    with pytest.raises(BadRatings, match="line 3: the item id is missing"):
        read(tmp_path, "user,item\n1,10\n2,\n", "user", "item")
