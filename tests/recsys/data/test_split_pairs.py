"""Ratings of one user and one item stay in one part of every split."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from recsys.data.split import keep_all, split
from recsys.data.subsample import subsample
from recsys.errors import BadSettings, NotEnoughMemory
from recsys.memory import Available
from recsys.settings import SplitBy, SplitSettings

PARTS = ("train", "validation", "test")
BY_TIME: list[SplitBy] = ["time", "user-last", "leave-one-out"]

Table = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]
"""User, item and time of each rating."""


def table(name: str, users: int = 50, each: int = 30) -> Table:
    """Ratings in no order, of which some repeat an earlier pair of user and item."""
    random = np.random.default_rng(4)
    user = np.repeat(np.arange(users), each)
    item = np.concatenate([random.permutation(4 * each)[:each] for _ in range(users)])
    pair = user * 4 * each + item
    if name == "joined twice":
        pair = np.tile(pair, 2)
    elif name == "some":
        pair = np.concatenate([pair, random.choice(pair, 60)])
    elif name == "many":
        pair = np.repeat(pair, np.minimum(random.zipf(1.8, len(pair)), 9))
    elif name == "one user of one pair":
        pair = np.concatenate([pair, np.full(40, users * 4 * each)])
    pair = random.permutation(pair)
    time = random.integers(len(pair) // 2, size=len(pair))
    return (pair // (4 * each)).astype(np.int32), (pair % (4 * each)).astype(np.int32), time


TABLES = ["joined twice", "some", "many", "one user of one pair"]


def split_table(folder: Path, rated: Table, *, with_items: bool = True, **settings: Any) -> list[list[int]]:
    user, item, time = rated
    how = SplitSettings.model_validate(settings)
    split(len(user), how, "fair", folder, user=user, item=item if with_items else None, time=time)
    return rows_in(folder, *PARTS)


def rows_in(folder: Path, *parts: str) -> list[list[int]]:
    return [np.load(folder / f"{part}.npy").tolist() for part in parts]


def pairs(rated: Table, rows: list[int]) -> set[tuple[int, int]]:
    return {(int(rated[0][row]), int(rated[1][row])) for row in rows}


def latest(rated: Table) -> dict[tuple[int, int], tuple[int, int]]:
    """Time and row number of the last rating of each pair."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for row, (user, item, time) in enumerate(zip(*(column.tolist() for column in rated), strict=True)):
        found[user, item] = max(found.get((user, item), (time, row)), (time, row))
    return found


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("split_by", get_args(SplitBy))
def test_no_pair_is_in_two_parts_and_every_row_is_in_one(split_by: SplitBy, name: str, tmp_path: Path) -> None:
    rated = table(name)
    held = split_table(tmp_path, rated, split_by=split_by)
    train, validation, test = (pairs(rated, rows) for rows in held)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert sorted(row for rows in held for row in rows) == list(range(len(rated[0])))
    assert split_table(tmp_path, rated, split_by=split_by) == held
    assert {np.load(tmp_path / f"{part}.npy").dtype for part in PARTS} == {np.dtype(np.int32)}
    rows = split_table(tmp_path, rated, split_by=split_by, with_items=False)
    assert pairs(rated, rows[0]) & pairs(rated, rows[2])  # which is what would happen without


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("split_by", ["random", "kfold", "time", "user-last"])
def test_the_parts_have_about_as_many_rows_as_were_asked_for(split_by: SplitBy, name: str, tmp_path: Path) -> None:
    rated = table(name)
    rows = len(rated[0])
    train, validation, test = map(len, split_table(tmp_path, rated, split_by=split_by))
    near = 0.03 if split_by == "user-last" else 0.005  # as the last pair of a user may be large
    assert test / rows == pytest.approx(0.2, abs=near)
    assert validation / (train + validation) == pytest.approx(0.1, abs=near)


@pytest.mark.parametrize("split_by", get_args(SplitBy))
@pytest.mark.parametrize("shares", [(0.2, 0.1), (0.5, 0.5), (0.03, 0.25)])
def test_where_no_pair_repeats_the_rows_are_the_same_as_without_items(
    split_by: SplitBy, shares: tuple[float, float], tmp_path: Path
) -> None:
    rated = table("none")
    how: dict[str, Any] = {"split_by": split_by, "test_size": shares[0], "validation_size": shares[1]}
    together = split_table(tmp_path, rated, **how)
    assert split_table(tmp_path, rated, **how, with_items=False) == together


def test_a_table_joined_twice_is_split_as_it_was_before(tmp_path: Path) -> None:
    user, item, time = table("none")
    order = np.lexsort((item, user))  # pairs are numbered so, and rows are drawn by their number
    once = user[order], item[order], np.arange(len(user))
    twice: Table = np.tile(once[0], 2), np.tile(once[1], 2), np.tile(once[2], 2)
    for split_by in ("random", "time"):
        single = [pairs(once, rows) for rows in split_table(tmp_path, once, split_by=split_by)]
        assert [pairs(twice, rows) for rows in split_table(tmp_path, twice, split_by=split_by)] == single
    assert len(time) == len(user)


@pytest.mark.parametrize("name", TABLES)
def test_folds_test_each_row_once(name: str, tmp_path: Path) -> None:
    rated = table(name)
    tests = [split_table(tmp_path, rated, split_by="kfold", folds=4, fold=fold)[2] for fold in range(4)]
    assert sorted(row for rows in tests for row in rows) == list(range(len(rated[0])))


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_trained_on_that_is_later_than_the_cut(name: str, tmp_path: Path) -> None:
    rated = table(name)
    last = latest(rated)
    train, validation, test = split_table(tmp_path, rated, split_by="time")
    moments = [[last[pair] for pair in pairs(rated, rows)] for rows in (train, validation, test)]
    assert max(moments[0]) < min(moments[1])
    assert max(moments[1]) < min(moments[2])
    assert max(rated[2][train]) <= min(moments[2])[0]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("split_by", ["user-last", "leave-one-out"])
def test_of_each_user_the_pairs_that_were_rated_last_are_held_out(split_by: SplitBy, name: str, tmp_path: Path) -> None:
    rated = table(name)
    user, item, _ = rated
    held = split_table(tmp_path, rated, split_by=split_by)
    last, sizes = latest(rated), dict[tuple[int, int], int]()
    for pair in zip(user.tolist(), item.tolist(), strict=True):
        sizes[pair] = sizes.get(pair, 0) + 1
    for one in {*user.tolist()}:
        parts = [sorted((pair for pair in pairs(rated, rows) if pair[0] == one), key=last.__getitem__) for rows in held]
        ordered = sorted((pair for pair in last if pair[0] == one), key=last.__getitem__)
        assert [pair for part in parts for pair in part] == ordered
        assert parts[0]
        if split_by == "leave-one-out":
            assert [len(part) for part in parts[1:]] == ([1, 1] if len(ordered) >= 3 else [0, 0])
            continue
        before, rows = 0, sum(sizes[pair] for pair in ordered)
        for share, part in ((0.2, parts[2]), (0.1, parts[1])):
            asked, given = share * (rows - before), sum(sizes[pair] for pair in part)
            rest = [sizes[pair] for pair in ordered[1 : len(ordered) - len(parts[2]) * (part is parts[1])]]
            possible = [sum(rest[len(rest) - many :]) for many in range(len(rest) + 1)]
            assert abs(given - asked) == pytest.approx(min(abs(other - asked) for other in possible))
            before = given


def test_users_of_one_pair_are_trained_on_and_nothing_else(tmp_path: Path) -> None:
    rated = table("one user of one pair")
    alone = np.flatnonzero(rated[0] == rated[0].max()).tolist()
    for split_by in ("user-last", "leave-one-out"):
        train, _, _ = split_table(tmp_path, rated, split_by=split_by)
        assert {*alone} <= {*train}


def test_the_notebook_protocol_splits_row_by_row(tmp_path: Path) -> None:
    user, item, _ = table("joined twice")
    split(len(user), SplitSettings(), "notebook", tmp_path, user=user, item=item)
    train, test = train_test_split(np.arange(len(user)), test_size=0.2, random_state=42)
    assert rows_in(tmp_path, "train", "test") == [train.tolist(), test.tolist()]


@pytest.mark.parametrize(
    ("split_by", "sentence"),
    [
        ("random", "9 ratings of 2 pairs of user and item, which are not divided, are too few to hold out 0.2 for"),
        ("kfold", "9 ratings of 2 pairs of user and item, which are not divided, are too few for 5 folds"),
        ("time", "9 ratings of 2 pairs of user and item, which are not divided, are too few to hold out 0.2 for"),
        ("user-last", "9 ratings of 2 pairs of user and item, which are not divided, are too few to hold out 0.2 of"),
        ("leave-one-out", "No user has the ratings of 3 items that --split-by leave-one-out needs"),
    ],
)
def test_too_few_pairs_are_refused(split_by: SplitBy, sentence: str, tmp_path: Path) -> None:
    rated: Table = np.zeros(9, np.int32), np.array([0] * 8 + [1], np.int32), np.arange(9)
    with pytest.raises(BadSettings, match=sentence):
        split_table(tmp_path, rated, split_by=split_by)
    assert not list(tmp_path.iterdir())


def test_what_whole_pairs_take_of_memory_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.memory.available_memory", lambda: Available(10**5, "are free"))
    monkeypatch.setattr("recsys.memory.ALWAYS_GRANTED", 0)
    rated = table("joined twice")
    with pytest.raises(NotEnoughMemory, match="Splitting 3,000 ratings needs"):
        split_table(tmp_path, rated)
    assert split_table(tmp_path, rated, with_items=False)


@given(
    rated=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-2, 2)), min_size=1, max_size=40),
    split_by=st.sampled_from(get_args(SplitBy)),
    test_size=st.floats(0.01, 0.99),
    validation_size=st.floats(0.01, 0.99),
)
def test_no_table_brings_a_pair_into_two_parts(
    tmp_path_factory: pytest.TempPathFactory,
    rated: list[tuple[int, int, int]],
    split_by: SplitBy,
    test_size: float,
    validation_size: float,
) -> None:
    user, item, time = np.array(rated).T
    whole: Table = user.astype(np.int32), item.astype(np.int32), time
    shares: dict[str, Any] = {"test_size": test_size, "validation_size": validation_size, "folds": 2}
    try:
        held = split_table(tmp_path_factory.mktemp("split"), whole, split_by=split_by, **shares)
    except BadSettings:
        return
    assert all(held)
    assert sorted(row for rows in held for row in rows) == list(range(len(rated)))
    assert sum(len(pairs(whole, rows)) for rows in held) == len(pairs(whole, list(range(len(rated)))))


def test_shares_of_the_rows_and_all_of_them_have_no_pair_in_two_parts(tmp_path: Path) -> None:
    rated = table("many")
    train, validation, test = split_table(tmp_path, rated)
    for share in (0.1, 0.7):
        subsample(np.array(train), np.array(validation), share, 1, tmp_path)
        some_train, some_validation = (pairs(rated, rows) for rows in rows_in(tmp_path, "train", "validation"))
        assert not some_train & some_validation
        assert not (some_train | some_validation) & pairs(rated, test)
    keep_all(np.array(train), np.array(validation), np.array(test), tmp_path)
    assert rows_in(tmp_path, "validation") == [[]]
