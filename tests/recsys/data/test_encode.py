from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder

from recsys.data.encode import encode
from recsys.data.settings import Duplicates
from recsys.data.values import NO_TIME
from recsys.errors import BadRatings


def ratings(folder: Path, user: list[object], item: list[object], rating: list[float] | None = None) -> Path:
    path = folder / "ratings.parquet"
    pq.write_table(pa.table({"user": user, "item": item, "rating": rating or [1.0] * len(user)}), path)
    return path


def column(folder: Path, name: str) -> list[float]:
    values: list[float] = np.load(folder / f"{name}.npy").tolist()
    return values


def test_integers_are_numbered_by_size_not_by_text(tmp_path: Path) -> None:
    encode(ratings(tmp_path, [10, 9, 10], [-3, 200, 7]), None, "keep", tmp_path)
    assert column(tmp_path, "user") == [1, 0, 1]
    assert column(tmp_path, "item") == [0, 2, 1]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2).filter(lambda ids: len(set(ids)) > 1))
def test_text_ids_are_numbered_as_label_encoder_does(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    folder = tmp_path_factory.mktemp("codes")
    encode(ratings(folder, list(ids), list(range(len(ids)))), None, "keep", folder)
    assert column(folder, "user") == LabelEncoder().fit_transform(np.array(ids, dtype=object)).tolist()


def test_codes_lead_back_to_the_ids(tmp_path: Path) -> None:
    encode(ratings(tmp_path, ["ü", "a", "ü"], [5, 6, 7]), None, "keep", tmp_path)
    users = pq.read_table(tmp_path / "users.parquet")
    assert users["id"].take(pa.array(column(tmp_path, "user"), pa.int32())).to_pylist() == ["ü", "a", "ü"]
    assert users["code"].to_pylist() == [0, 1]


def test_titles_stand_beside_the_items(tmp_path: Path) -> None:
    titles = tmp_path / "movies.csv"
    titles.write_text('movieId,title,genres\n7,"Heat, the (1995)",Crime\n99,Unrated,Drama\n')
    encode(ratings(tmp_path, [1, 2], [5, 7]), titles, "keep", tmp_path)
    assert pq.read_table(tmp_path / "items.parquet")["title"].to_pylist() == [None, "Heat, the (1995)"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", [(0, 0, 1.0), (0, 1, 2.0), (0, 0, 4.0), (1, 1, 5.0)]),
        ("last", [(0, 1, 2.0), (0, 0, 4.0), (1, 1, 5.0)]),
        ("mean", [(0, 0, 2.5), (0, 1, 2.0), (1, 1, 5.0)]),
    ],
)
def test_repeated_pairs_follow_the_policy(
    tmp_path: Path, policy: Duplicates, expected: list[tuple[int, int, float]]
) -> None:
    facts = encode(ratings(tmp_path, [1, 1, 1, 2], [1, 2, 1, 2], [1, 2, 4, 5]), None, policy, tmp_path)
    assert list(zip(*(column(tmp_path, name) for name in ("user", "item", "rating")), strict=True)) == expected
    assert facts["repeated_pairs"] == 1
    assert facts["pairs"] == 3
    assert facts["rows"] == len(expected)


def test_repeated_pairs_as_an_error_name_both_rows(tmp_path: Path) -> None:
    path = ratings(tmp_path, ["ann", "bob", "bob", "bob"], ["x", "x", "y", "x"])
    with pytest.raises(BadRatings, match="user 'bob', item 'x' in ratings 2 and 4"):
        encode(path, None, "error", tmp_path)


@pytest.mark.parametrize(("user", "item", "what"), [([1, 1], [1, 2], "user"), ([1, 2], [1, 1], "item")])
def test_fewer_than_two_users_or_items_are_refused(
    tmp_path: Path, user: list[object], item: list[object], what: str
) -> None:
    with pytest.raises(BadRatings, match=f"at least 2 {what}s"):
        encode(ratings(tmp_path, user, item), None, "keep", tmp_path)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("keep", "2 users, 2 items, 4 ratings; repeated pairs: 1 (keep)"),
        ("last", "2 users, 2 items, 3 ratings; repeated pairs: 1 (last)"),
    ],
)
def test_repeated_pairs_are_told(tmp_path: Path, policy: Duplicates, words: str) -> None:
    told: list[str] = []
    path = ratings(tmp_path, [1, 1, 1, 2], [1, 2, 1, 2], [1, 2, 4, 5])
    encode(path, None, policy, tmp_path, lambda done, total, text: told.append(text))
    assert told[-1] == words


@pytest.mark.parametrize(
    ("policy", "expected"), [("keep", [30, NO_TIME, 10, 20]), ("last", [NO_TIME, 10, 20]), ("mean", [30, NO_TIME, 20])]
)
def test_times_stay_with_the_rows_that_are_kept(tmp_path: Path, policy: Duplicates, expected: list[int]) -> None:
    path = tmp_path / "ratings.parquet"
    times = pa.array([30, None, 10, 20], pa.int8())
    pq.write_table(
        pa.table({"user": [1, 1, 1, 2], "item": [1, 2, 1, 2], "rating": [1.0] * 4, "timestamp": times}), path
    )
    facts = encode(path, None, policy, tmp_path)
    assert column(tmp_path, "timestamp") == expected
    assert facts["period"] == [
        f"1970-01-01T00:00:{second}Z" for second in (min(time for time in expected if time != NO_TIME), max(expected))
    ]
    assert np.load(tmp_path / "timestamp.npy").dtype == np.int64


def test_ratings_without_times_get_no_file_of_times(tmp_path: Path) -> None:
    facts = encode(ratings(tmp_path, [1, 2], [1, 2]), None, "keep", tmp_path)
    assert not (tmp_path / "timestamp.npy").exists()
    assert facts["period"] is None


def test_times_that_are_all_unknown_have_no_period(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    times = pa.array([None, None], pa.int64())
    pq.write_table(pa.table({"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0], "timestamp": times}), path)
    assert encode(path, None, "keep", tmp_path)["period"] is None


def test_times_of_many_blocks_keep_their_order(tmp_path: Path) -> None:
    path, rows = tmp_path / "ratings.parquet", 150_001
    codes = np.arange(rows, dtype=np.int32)
    columns = {"user": codes % 7, "item": codes, "rating": codes.astype(np.float32), "timestamp": codes[::-1]}
    pq.write_table(pa.table(columns), path, row_group_size=50_000)
    encode(path, None, "keep", tmp_path)
    assert np.array_equal(np.load(tmp_path / "timestamp.npy"), codes[::-1])


@pytest.mark.parametrize("policy", ["keep", "last", "mean"])
def test_ratings_in_blocks_are_encoded_as_in_one(
    tmp_path: Path, policy: Duplicates, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    ids: list[list[object]] = [[f"id{code}" for code in random.geometric(0.1, 300)] for _ in range(2)]
    path = ratings(tmp_path, ids[0], ids[1], random.integers(1, 6, 300).astype(float).tolist())
    times = pa.array(random.permutation(300), pa.int64())
    pq.write_table(pq.read_table(path).append_column("timestamp", times), path, row_group_size=45)
    folders, facts = [tmp_path / "whole", tmp_path / "blocks"], []
    for folder in folders:
        folder.mkdir()
        facts.append(encode(path, None, policy, folder))
        monkeypatch.setattr("recsys.data.encode.BLOCK", 17)
        monkeypatch.setattr("recsys.blocks.BLOCK", 17)
        monkeypatch.setattr("recsys.data.encode.PAIRS", 40)
    assert facts[0] == facts[1]
    assert facts[0]["repeated_pairs"] > 20
    for whole in folders[0].iterdir():
        assert (folders[1] / whole.name).read_bytes() == whole.read_bytes()
