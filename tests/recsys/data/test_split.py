from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import KFold, train_test_split

from recsys.data.split import split
from recsys.data.values import NO_TIME
from recsys.errors import BadIds, BadRatings, BadSettings, UserError
from recsys.settings import Settings, SplitBy, SplitSettings

BY_TIME: list[SplitBy] = ["user-last", "time", "leave-one-out"]

Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]


@pytest.fixture
def history() -> tuple[Codes, Times]:
    """2,000 ratings of 60 users, some of one rating only, with every other time a tie, in no order."""
    random = np.random.default_rng(3)
    user = np.minimum(random.geometric(0.04, 2000) - 1, 59).astype(np.int32)
    return user, random.integers(500, size=2000)


def split_history(folder: Path, settings: SplitSettings, history: tuple[Codes, Times]) -> list[list[int]]:
    user, time = history
    split(len(user), settings, "fair", folder, user=user, time=time)
    return parts(folder, "train", "validation", "test")


def moments(rows: list[int], time: Times) -> list[tuple[int, int]]:
    """Time and row number, by which rows are older and newer."""
    return [(int(time[row]), row) for row in rows]


def parts(folder: Path, *names: str) -> list[list[int]]:
    return [np.load(folder / f"{name}.npy").tolist() for name in names]


def test_the_notebook_protocol_draws_the_notebooks_rows_in_its_order(tmp_path: Path) -> None:
    split(1000, SplitSettings(), "notebook", tmp_path)
    train, test = train_test_split(pd.DataFrame({"row": range(1000)}), test_size=0.2, random_state=42)
    assert parts(tmp_path, "train", "test") == [train["row"].tolist(), test["row"].tolist()]
    assert parts(tmp_path, "validation") == parts(tmp_path, "test")


def test_the_fair_protocol_has_the_same_test_rows_and_three_disjoint_sets(tmp_path: Path) -> None:
    for protocol in ("notebook", "fair"):
        (tmp_path / protocol).mkdir()
    split(1000, SplitSettings(), "notebook", tmp_path / "notebook")
    facts = split(1000, SplitSettings(), "fair", tmp_path / "fair")
    assert parts(tmp_path / "fair", "test") == parts(tmp_path / "notebook", "test")
    train, validation, test = parts(tmp_path / "fair", "train", "validation", "test")
    assert sorted(train + validation + test) == list(range(1000))
    assert facts == {"protocol": "fair", "train_rows": 720, "validation_rows": 80, "test_rows": 200}


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    split(1000, SplitSettings(), "fair", tmp_path)
    first = parts(tmp_path, "test")
    split(1000, SplitSettings(split_seed=7), "fair", tmp_path)
    assert parts(tmp_path, "test") != first


def test_too_few_ratings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="2 ratings are too few"):
        split(2, SplitSettings(), "fair", tmp_path)


@pytest.mark.parametrize("split_by", get_args(SplitBy))
def test_every_row_is_in_one_part_and_the_same_one_each_time(
    split_by: SplitBy, history: tuple[Codes, Times], tmp_path: Path
) -> None:
    train, validation, test = split_history(tmp_path, SplitSettings(split_by=split_by), history)
    assert sorted(train + validation + test) == list(range(2000))
    assert min(map(len, (train, validation, test))) > 0
    assert split_history(tmp_path, SplitSettings(split_by=split_by), history) == [train, validation, test]
    assert {np.load(tmp_path / f"{name}.npy").dtype for name in ("train", "validation", "test")} == {np.dtype(np.int32)}


@pytest.mark.parametrize("split_by", ["user-last", "leave-one-out"])
def test_each_users_later_rows_are_held_out(split_by: SplitBy, history: tuple[Codes, Times], tmp_path: Path) -> None:
    user, time = history
    held = split_history(tmp_path, SplitSettings(split_by=split_by), history)
    for one in range(60):
        train, validation, test = (moments([row for row in part if user[row] == one], time) for part in held)
        rows = len(train) + len(validation) + len(test)
        assert train or not rows
        assert sorted(train) + sorted(validation) + sorted(test) == sorted(train + validation + test)
        if split_by == "leave-one-out":
            assert (len(validation), len(test)) == ((1, 1) if rows >= 3 else (0, 0))
        else:
            assert abs(len(test) - 0.2 * rows) <= 0.5
            assert abs(len(validation) - 0.1 * (rows - len(test))) <= 0.5


def test_one_cut_in_time_holds_for_everybody(history: tuple[Codes, Times], tmp_path: Path) -> None:
    train, validation, test = split_history(tmp_path, SplitSettings(split_by="time"), history)
    assert [len(train), len(validation), len(test)] == [1440, 160, 400]
    train_moments, validation_moments, test_moments = (moments(rows, history[1]) for rows in (train, validation, test))
    assert max(train_moments) < min(validation_moments)
    assert max(validation_moments) < min(test_moments)


@pytest.mark.parametrize("split_by", BY_TIME)
def test_of_ratings_at_one_time_the_larger_row_number_is_the_later(split_by: SplitBy, tmp_path: Path) -> None:
    user, time = np.zeros(10, np.int32), np.full(10, 5)
    settings = SplitSettings(split_by=split_by, test_size=0.1)
    assert split_history(tmp_path, settings, (user, time)) == [list(range(8)), [8], [9]]


@pytest.mark.parametrize("size", [0.01, 0.5, 0.9])
def test_every_user_keeps_a_training_row_whatever_the_shares(size: float, tmp_path: Path) -> None:
    user = np.repeat(np.arange(8, dtype=np.int32), [1, 2, 3, 4, 5, 50, 60, 70])
    time = np.arange(len(user))[::-1]
    settings = SplitSettings(split_by="user-last", test_size=size, validation_size=0.5)
    train, _, _ = split_history(tmp_path, settings, (user, time))
    assert set(user[train].tolist()) == set(range(8))


def test_users_with_fewer_than_three_ratings_are_not_left_one_out(tmp_path: Path) -> None:
    user = np.array([0, 1, 1, 2, 2, 2, 4, 4, 4, 4], np.int32)
    time = np.array([9, 1, 2, 3, 8, 5, 4, 2, 6, 7])
    settings = SplitSettings(split_by="leave-one-out")
    assert split_history(tmp_path, settings, (user, time)) == [[0, 1, 2, 3, 6, 7], [5, 8], [4, 9]]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), min_size=1, max_size=40),
    split_by=st.sampled_from(BY_TIME),
    test_size=st.floats(0.01, 0.99),
    validation_size=st.floats(0.01, 0.99),
)
def test_no_history_breaks_a_split_by_time(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[int, int]],
    split_by: SplitBy,
    test_size: float,
    validation_size: float,
) -> None:
    user, time = np.array([one for one, _ in pairs], np.int32), np.array([moment for _, moment in pairs])
    settings = SplitSettings(split_by=split_by, test_size=test_size, validation_size=validation_size)
    try:
        held = split_history(tmp_path_factory.mktemp("split"), settings, (user, time))
    except BadSettings:
        return
    assert all(held)
    assert sorted(row for part in held for row in part) == list(range(len(pairs)))


@pytest.mark.parametrize("fold", [0, 4, 6])
def test_folds_are_those_of_scikit_learn(fold: int, tmp_path: Path) -> None:
    split(1003, SplitSettings(split_by="kfold", folds=7, fold=fold, split_seed=5), "fair", tmp_path)
    others, test = list(KFold(7, shuffle=True, random_state=5).split(np.zeros(1003)))[fold]
    train, validation = train_test_split(others, test_size=0.1, random_state=5)
    assert parts(tmp_path, "train", "validation", "test") == [train.tolist(), validation.tolist(), test.tolist()]


def test_random_rows_do_not_depend_on_the_times(history: tuple[Codes, Times], tmp_path: Path) -> None:
    with_times = split_history(tmp_path, SplitSettings(), history)
    split(2000, SplitSettings(), "fair", tmp_path)
    assert parts(tmp_path, "train", "validation", "test") == with_times


@pytest.mark.parametrize("split_by", BY_TIME)
def test_missing_times_are_refused(split_by: SplitBy, tmp_path: Path) -> None:
    settings, user = SplitSettings(split_by=split_by), np.zeros(100, np.int32)
    with pytest.raises(BadRatings, match=f"no times, which --split-by {split_by} needs: .* --timestamp-column"):
        split(100, settings, "fair", tmp_path, user=user)
    time = np.arange(100)
    time[[3, 97]] = NO_TIME
    with pytest.raises(BadRatings, match=r"such as 'week 3', and .*--time-format \(day-first"):
        split(100, settings, "fair", tmp_path, user=user, time=time, unreadable="week 3")
    with pytest.raises(BadRatings, match="2 of 100 ratings have no time that can be read"):
        split(100, settings, "fair", tmp_path, user=user, time=time)


def test_columns_of_a_notebook_are_converted(tmp_path: Path) -> None:
    settings, user, time = SplitSettings(split_by="user-last"), np.repeat(range(10), 10), np.arange(100)
    split(100, settings, "fair", tmp_path, user=user.astype(np.int32), item=time, time=time)
    expected = parts(tmp_path, "train", "validation", "test")
    split(100, settings, "fair", tmp_path, user=user.tolist(), item=time[:, None] * 1.0, time=time[:, None])  # type: ignore[arg-type]
    assert parts(tmp_path, "train", "validation", "test") == expected


@pytest.mark.parametrize(
    ("column", "values", "error", "sentence"),
    [
        ("user", np.arange(9), BadRatings, "There are 9 user codes for 10 ratings: give one for each."),
        ("item", np.arange(-1, 9), BadIds, "The item code at position 0 is -1, and codes run from 0: encode ids first"),
        ("item", [f"i{row}" for row in range(10)], BadIds, "The item codes are texts such as 'i0': encode ids first"),
        ("user", np.zeros((10, 2)), BadIds, r"The user codes are of shape \(10, 2\): give a column"),
        ("time", np.arange(11), BadRatings, "There are 11 times for 10 ratings: give one for each."),
        ("time", np.arange(10) / 2, BadRatings, "The times are of type float64: give whole seconds since 1970"),
        ("time", np.arange(10).astype("M8[s]"), BadRatings, "The times are dates .*: give whole seconds since 1970"),
    ],
)
def test_columns_that_are_none_are_refused(
    column: str, values: Any, error: type[UserError], sentence: str, tmp_path: Path
) -> None:
    good: dict[str, Any] = {"user": np.zeros(10, np.int32), "item": np.arange(10), "time": np.arange(10)}
    with pytest.raises(error, match=sentence):
        split(10, SplitSettings(split_by="time"), "fair", tmp_path, **{**good, column: values})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (SplitSettings(split_by="kfold", folds=3), "2 ratings are too few for 3 folds"),
        (SplitSettings(split_by="kfold", fold=5), "fold 5 does not exist: 5 folds are counted from 0 to 4"),
        (SplitSettings(split_by="time"), "2 ratings are too few to hold out 0.2 for testing"),
        (SplitSettings(split_by="user-last"), "2 ratings are too few to hold out 0.2 of each user's"),
        (SplitSettings(split_by="leave-one-out"), "No user has the 3 ratings"),
    ],
)
def test_parts_that_would_be_empty_are_refused(settings: SplitSettings, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=sentence):
        split(2, settings, "fair", tmp_path, user=np.zeros(2, np.int32), time=np.arange(2))


@pytest.mark.parametrize("split_by", [name for name in get_args(SplitBy) if name != "random"])
def test_the_notebook_protocol_splits_at_random_only(split_by: SplitBy, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="protocol notebook splits at random"):
        Settings(protocol="notebook", split=SplitSettings(split_by=split_by))
    with pytest.raises(BadSettings, match="Protocol notebook splits at random"):
        split(1000, SplitSettings(split_by=split_by), "notebook", tmp_path)
