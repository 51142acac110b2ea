"""Predictions, lists and neighbours of a made winner, against plain loops, and folders that are not whole."""

import doctest
import json
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.errors import BadIds, BadSettings, DamagedWinner
from recsys.winner.about import ABOUT
from recsys.winner.recommender import Recommender
from tests.made_winners import (
    BIASES,
    COLD_ITEM,
    COLD_USER,
    FACTORS,
    HIGHEST,
    ITEMS,
    LOWEST,
    RATED,
    USERS,
    made_winner,
)

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return partial(made_winner, tmp_path / "winner")


def expected(user: int, item: int) -> float:
    """The prediction of codes, not clipped."""
    if user in (COLD_USER, -1) or item in (COLD_ITEM, -1):
        of_user = BIASES.user[user] if user >= 0 else 0.0
        return BIASES.mean + of_user + (BIASES.item[item] if item >= 0 else 0.0)
    dot = FACTORS.user[user] @ FACTORS.item[item]
    return float(FACTORS.mean + FACTORS.user_bias[user] + FACTORS.item_bias[item] + dot)


def clipped(value: float) -> float:
    return min(HIGHEST, max(LOWEST, value))


def test_pairs_are_predicted_as_by_plain_loops_and_the_unknown_by_biases(make: Make) -> None:
    winner = Recommender.load(make())
    pairs = [(user, item) for user in range(-1, USERS) for item in range(-1, ITEMS)]
    users = [10 * (user + 1) if user >= 0 else 7 for user, _ in pairs]
    items = [100 + item if item >= 0 else 7 for _, item in pairs]
    np.testing.assert_allclose(winner.predict(users, items), [clipped(expected(*pair)) for pair in pairs], rtol=1e-6)
    table = winner.table(pd.Series(users), np.array(items))
    assert list(table) == ["user", "item", "prediction", "known_user", "known_item"]
    assert table["known_user"].tolist() == [user not in (-1, COLD_USER) for user, _ in pairs]
    assert table["known_item"].tolist() == [item not in (-1, COLD_ITEM) for _, item in pairs]
    assert winner.predict([], []).shape == (0,)


@pytest.mark.parametrize("text_ids", [False, True])
def test_ids_may_be_integers_or_texts_where_they_are_written_alike(make: Make, text_ids: bool) -> None:
    winner = Recommender.load(make(text_ids=text_ids))
    users, items = (["u10", "u20"], ["i101", "i100"]) if text_ids else (["10", "20"], ["101", "100"])
    known = [clipped(expected(0, 1)), clipped(expected(1, 0))]
    np.testing.assert_allclose(winner.predict(users, items), known, rtol=1e-6)
    if not text_ids:
        np.testing.assert_allclose(winner.predict([10, 20], np.array([101, 100], np.int16)), known, rtol=1e-6)


@pytest.mark.parametrize("user", range(USERS))
def test_a_list_has_the_best_unrated_items(make: Make, user: int) -> None:
    winner = Recommender.load(make())
    candidates = [item for item in range(ITEMS) if item not in (*RATED.get(user, ()), COLD_ITEM)]
    best = sorted(candidates, key=lambda item: (-expected(user, item), item))[:3]
    found = winner.recommend(10 * (user + 1), n=3)
    assert found["item"].tolist() == [100 + item for item in best]
    assert found["rank"].tolist() == list(range(1, len(best) + 1))
    np.testing.assert_allclose(found["prediction"], [clipped(expected(user, item)) for item in best], rtol=1e-6)
    assert found["title"].dropna().tolist() == [f"title {item}" for item in best if item % 2]
    without = winner.recommend(10 * (user + 1), n=3, exclude=[100 + item for item in best[:1]] + [12345])
    assert without["item"].tolist() == [
        100 + item for item in sorted(candidates, key=lambda item: (-expected(user, item), item))[1:4]
    ]


def test_an_unknown_user_gets_the_items_of_the_highest_biases(make: Make) -> None:
    assert Recommender.load(make()).recommend(777, n=3)["item"].tolist() == [100, 101, 102]


def test_lists_of_all_are_those_of_each_whatever_the_blocks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = Recommender.load(make())
    exclude = pd.DataFrame({"user": [10, 20, 999], "item": [104, 105, 104]})
    whole = pd.concat(winner.lists(n=4, exclude=exclude), ignore_index=True)
    monkeypatch.setattr("recsys.winner.recommender.PAIRS", 1)
    said: list[int] = []
    parts = list(winner.lists(n=4, exclude=exclude, progress=lambda done, total, message: said.append(done)))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    assert said == [1, 2, 3, 4, 5]
    assert whole["user"].drop_duplicates().tolist() == [10, 20, 30, 40]  # user 50 has rated everything
    assert not ((whole["user"] == 10) & (whole["item"] == 104)).any()
    few = pd.concat(winner.lists([10], n=4, candidates=[103, 104, 777]))
    assert set(few["item"]) == {103, 104}


def test_similar_items_have_the_greatest_cosine(make: Make) -> None:
    winner = Recommender.load(make())
    unit = FACTORS.item / np.linalg.norm(FACTORS.item, axis=1, keepdims=True)
    cosine = unit @ unit[4]
    order = [item for item in np.argsort(-cosine) if item not in (4, COLD_ITEM)][:3]
    found = winner.similar_items(104, n=3)
    assert found["item"].tolist() == [100 + item for item in order]
    np.testing.assert_allclose(found["cosine"], cosine[order], rtol=1e-5)
    with pytest.raises(BadIds, match="777 is not known"):
        winner.similar_items(777)


@pytest.mark.parametrize(
    ("users", "items", "said"),
    [([10], [], "1 users and 0 items"), ([1.5], [101], "must be integers or texts"), ([[1]], [101], "must be")],
)
def test_ids_that_are_none_are_told(make: Make, users: list[Any], items: list[Any], said: str) -> None:
    with pytest.raises(BadIds, match=said):
        Recommender.load(make()).predict(users, items)


def test_ids_of_any_kind_are_looked_up(make: Make) -> None:
    winner = Recommender.load(make())
    expected = winner.predict([10, 20], [104, 105]).tolist()
    kinds: list[Any] = [
        (10, 20),
        np.array([[10], [20]]),
        np.array([10.0, 20.0]),
        pd.Series([10, 20], index=[3, 3]),
        pd.Series([10, 20], dtype="Int64"),
        pd.Categorical([10, 20]),
        (user for user in [10, 20]),
        [10, "20"],
    ]
    for users in kinds:
        assert winner.predict(users, [104, 105]).tolist() == expected
    assert winner.table(np.array([[10.0], [20.0]]), [104, 105])["user"].tolist() == [10, 20]


BAD_IDS: list[tuple[Any, str]] = [
    ([10, np.nan], "user id at position 1 is missing"),
    ([10, None], "user id at position 1 is missing"),
    ([10, np.inf], "floating, and must be integers or texts"),
    ([True, False], "boolean"),
    ([[10, 20]], "mixed"),
    ([[10], [20, 30]], "mixed"),
    (np.array([[10, 20]]), "no column"),
    ([(10, 20), (10, 20)], "tuples"),
    ("10", "'10': give a list"),
    (10, "10: give a list"),
    ({10, 20}, "give a list"),
    (pd.to_datetime(["2020-01-01", "2020-01-02"]), "datetime64"),
]


@pytest.mark.parametrize(("users", "said"), BAD_IDS, ids=lambda given: repr(given)[:20])
def test_what_are_no_ids_is_one_sentence_everywhere(make: Make, users: Any, said: str) -> None:
    winner = Recommender.load(make())
    calls: list[Callable[[], Any]] = [
        lambda: winner.predict(users, [104, 105]),
        lambda: winner.table(users, [104, 105]),
        lambda: winner.lists(users),
        lambda: winner.knows_users(users),
        lambda: winner.was_fitted_to(users, [104, 105]),
    ]
    for call in calls:
        with pytest.raises(BadIds, match=said):
            call()
    of_items: list[Callable[[], Any]] = [
        lambda: winner.recommend(10, exclude=users),
        lambda: winner.fold_in(users, [1.0, 2.0]),
        lambda: winner.fold_in([104], [5.0]).predict(users),
        lambda: winner.fold_in([104], [5.0]).recommend(exclude=users),
        lambda: winner.nearest_rated(10, users),
    ]
    for call in of_items:
        with pytest.raises(BadIds, match=said.replace("user", "item")):
            call()


@pytest.mark.parametrize("one", [[10], (10, 20), None, np.nan, 10.5, True, np.array(10)])
def test_what_is_no_id_is_one_sentence(make: Make, one: Any) -> None:
    winner = Recommender.load(make())
    for call in (winner.recommend, winner.similar_items, winner.called, lambda user: winner.nearest_rated(user, [104])):
        with pytest.raises(BadIds, match=r"give one id|missing|must be integers or texts"):
            call(one)


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", None, True])
def test_a_length_of_lists_that_is_none_is_told_before_any_is_made(make: Make, n: Any) -> None:
    winner = Recommender.load(make())
    for call in (winner.lists, lambda n: winner.recommend(10, n), lambda n: winner.similar_items(104, n)):
        with pytest.raises(BadSettings, match=r"n is .*: give a whole number of 1 or more"):
            call(n=n)
    with pytest.raises(BadSettings, match="give a whole number of 1 or more"):
        winner.fold_in([104], [5.0]).recommend(n)


def test_lists_of_no_known_candidate_are_empty(make: Make) -> None:
    winner = Recommender.load(make())
    (nothing,) = winner.lists([10], candidates=[777])
    assert list(nothing) == ["user", "rank", "item", "title", "prediction"]
    assert nothing.empty
    with pytest.raises(BadIds, match="no column 'user'"):
        winner.lists(exclude=pd.DataFrame({"id": [10]}))


@pytest.mark.parametrize("damage", ["cut", "missing", "later", "earlier", "other", "no json", "not here"])
def test_a_damaged_folder_is_never_used(make: Make, damage: str) -> None:
    folder = make()
    about = json.loads((folder / ABOUT).read_text())
    if damage == "cut":
        path = folder / "model.keras"
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        (folder / "biases.npz").unlink()
    elif damage == "no json":
        (folder / ABOUT).write_text("{")
    elif damage == "not here":
        folder = folder / "elsewhere"
    else:
        about |= {"later": {"format": 99}, "earlier": {"format": 1}, "other": {"name": "no such model"}}[damage]
        (folder / ABOUT).write_text(json.dumps(about))
    with pytest.raises(DamagedWinner, match=r"repeat the comparison|give the folder winner"):
        Recommender.load(folder)


def test_the_examples_of_the_docstrings_are_right(make: Make) -> None:
    module = import_module(Recommender.__module__)
    found = doctest.testmod(module, extraglobs={"folder": make()})
    assert found.attempted > 5
    assert not found.failed
