"""How much of a split by time the order in the file decides, as times are equal at its cuts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.split import split
from recsys.errors import BadSettings
from recsys.settings import SplitSettings


def ties(folder: Path, user: list[int], time: list[int], item: list[int] | None = None, **settings: Any) -> Any:
    how = SplitSettings.model_validate(settings)
    items = None if item is None else np.array(item, np.int32)
    return split(len(user), how, "fair", folder, user=np.array(user, np.int32), item=items, time=np.array(time))["ties"]


@pytest.mark.parametrize(
    ("time", "test", "validation"),
    [
        (list(range(20)), (0, 4), (0, 2)),
        ([7] * 20, (4, 4), (2, 2)),
        ([*range(14), 14, 15, 15, 15, 15, 16], (3, 4), (0, 2)),
        ([*range(12), 13, 13, 14, 14, 15, 15, 15, 15], (0, 4), (0, 2)),
        ([*range(13), 13, 13, 14, 15, 16, 17, 18], (0, 4), (1, 2)),
    ],
    ids=["all different", "all equal", "at the cut", "beside the cut", "at the cut of validation"],
)
def test_ratings_that_have_the_time_of_the_one_before_the_cut_are_counted(
    time: list[int], test: tuple[int, int], validation: tuple[int, int], tmp_path: Path
) -> None:
    order = np.random.default_rng(1).permutation(20)
    found = ties(tmp_path, [0] * 20, np.array(time)[order].tolist(), split_by="time")
    assert found == {
        "test": {"tied": test[0], "of": test[1]},
        "validation": {"tied": validation[0], "of": validation[1]},
    }


@pytest.mark.parametrize(
    ("split_by", "times", "test", "validation"),
    [
        ("user-last", [[*range(10)], [5] * 10, [1, 2, 3, 4, 5, 6, 7, 9, 9, 9], [1, 1]], (2, 3), (1, 3)),
        ("leave-one-out", [[0, 1, 2], [5] * 4, [1, 2, 9, 9], [3, 3, 4], [1, 1]], (2, 4), (2, 4)),
    ],
)
def test_users_whose_cut_is_between_ratings_of_one_time_are_counted(
    split_by: str, times: list[list[int]], test: tuple[int, int], validation: tuple[int, int], tmp_path: Path
) -> None:
    user = [one for one, own in enumerate(times) for _ in own]
    found = ties(tmp_path, user, [time for own in times for time in own], split_by=split_by)
    assert found == {
        "test": {"tied": test[0], "of": test[1]},
        "validation": {"tied": validation[0], "of": validation[1]},
    }


@pytest.mark.parametrize(("split_by", "held_out"), [("time", 3), ("user-last", 1)])
def test_a_pair_has_the_time_of_its_last_rating(split_by: str, held_out: int, tmp_path: Path) -> None:
    user, time, item = [0] * 10, [1, 9, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    for test_size, expected in ((0.1, {"tied": 1, "of": 1}), (0.3, {"tied": 0, "of": held_out})):
        found = ties(tmp_path, user, time, item, split_by=split_by, test_size=test_size, validation_size=0.2)
        assert found["test"] == expected


@given(
    rated=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    split_by=st.sampled_from(["time", "user-last", "leave-one-out"]),
)
def test_ties_are_those_that_a_loop_over_the_rows_finds(
    tmp_path_factory: pytest.TempPathFactory, rated: list[tuple[int, int, int]], split_by: str
) -> None:
    folder = tmp_path_factory.mktemp("split")
    user, item, time = (list(column) for column in zip(*rated, strict=True))
    try:
        found = ties(folder, user, time, item, split_by=split_by)
    except BadSettings:
        return
    train, validation, test = (np.load(folder / f"{part}.npy").tolist() for part in ("train", "validation", "test"))
    last = {(one, what): max(t for u, i, t in rated if (u, i) == (one, what)) for one, what, _ in rated}

    def lasts(rows: list[int], one: int | None) -> list[int]:
        return [last[user[row], item[row]] for row in rows if one in (None, user[row])]

    for part, rows, before in (("test", test, train + validation), ("validation", validation, train)):
        expected = {"tied": 0, "of": 0}
        for one in [None] if split_by == "time" else sorted({*user}):
            if own := lasts(rows, one):
                same = own.count(max(lasts(before, one)))
                expected["tied"] += same if one is None else min(same, 1)
                expected["of"] += len(own) if one is None else 1
        assert found[part] == expected


@pytest.mark.parametrize("split_by", ["random", "kfold"])
def test_splits_at_random_have_no_ties(split_by: str, tmp_path: Path) -> None:
    how = SplitSettings.model_validate({"split_by": split_by})
    facts = split(100, how, "fair", tmp_path, user=np.zeros(100, np.int32), time=np.zeros(100, np.int64))
    assert "ties" not in facts
