"""Files of users in, files of lists out."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recsys.winner.lists import write_lists
from recsys.winner.recommender import Recommender
from recsys.winner.settings import RecommendSettings
from tests.made_winners import made_winner


def asked(out: Path, **changes: Any) -> RecommendSettings:
    return RecommendSettings(winner="winner", out=str(out), **changes)


@pytest.fixture
def winner(tmp_path: Path) -> Recommender:
    return Recommender.load(made_winner(tmp_path / "winner"))


def test_lists_of_all_users(winner: Recommender, tmp_path: Path) -> None:
    said = write_lists(winner, asked(tmp_path / "lists.parquet", top=3))
    found = pd.read_parquet(tmp_path / "lists.parquet")
    expected = pd.concat(winner.lists(n=3), ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert said == f"Lists of {found['user'].nunique()} users, {len(found)} items in all."


@pytest.mark.parametrize("how", ["file", "file with header", "ids", "ids with points"])
def test_lists_of_the_users_asked_for(winner: Recommender, tmp_path: Path, how: str) -> None:
    file = tmp_path / "users.csv"
    file.write_text(("user\n" if "header" in how else "") + "20\n10\n777\n20\n")
    users = {"ids": "20, 10,777", "ids with points": "20,10,7.77"}.get(how, str(file))
    said = write_lists(winner, asked(tmp_path / "lists.csv", users=users, top=2))
    found = pd.read_csv(tmp_path / "lists.csv")
    assert found["user"].tolist() == [20, 20, 10, 10, *[7.77 if "points" in how else 777] * 2]
    assert found["item"][:2].tolist() == winner.recommend(20, 2)["item"].tolist()
    assert "1 user had no ratings to fit" in said


def test_lists_are_also_written_as_csv(winner: Recommender, tmp_path: Path) -> None:
    write_lists(winner, asked(tmp_path / "lists.parquet", users="10,20", csv=True))
    of_parquet, of_csv = pd.read_parquet(tmp_path / "lists.parquet"), pd.read_csv(tmp_path / "lists.csv")
    pd.testing.assert_frame_equal(of_parquet[["user", "rank", "item"]], of_csv[["user", "rank", "item"]])
    assert not of_csv.empty


def test_candidates_and_further_ratings_are_read(winner: Recommender, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("103\n104\n105\n")
    (tmp_path / "rated.csv").write_text("user,item,rating\n10,104,3\n")
    files = {"items": str(tmp_path / "items.csv"), "exclude_rated": str(tmp_path / "rated.csv")}
    write_lists(winner, asked(tmp_path / "lists.csv", users="10", **files))
    assert set(pd.read_csv(tmp_path / "lists.csv")["item"]) == {103, 105}


def test_texts_that_a_spreadsheet_would_run_are_escaped(tmp_path: Path) -> None:
    winner = Recommender.load(made_winner(tmp_path / "winner", text_ids=True))
    write_lists(winner, asked(tmp_path / "lists.csv", users="=cmd()", top=1))
    assert pd.read_csv(tmp_path / "lists.csv")["user"].tolist() == ["'=cmd()"]


def test_new_users_are_folded_in_and_known_ones_are_not(winner: Recommender, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("user,item,rating\nanna,100,5\nanna,103,1\n10,104,3\n")
    (tmp_path / "rated.csv").write_text("user,item\nanna,101\n")
    files = {"ratings_of_new_users": str(tmp_path / "new.csv"), "exclude_rated": str(tmp_path / "rated.csv")}
    said = write_lists(winner, asked(tmp_path / "lists.parquet", users="anna,10", top=3, **files))
    found = pd.read_parquet(tmp_path / "lists.parquet")
    of_anna = winner.fold_in([100, 103], [5.0, 1.0]).recommend(3, exclude=[101])
    assert found[found["user"] == "anna"]["item"].tolist() == of_anna["item"].tolist()
    assert not {100, 101, 103} & set(of_anna["item"])
    assert found[found["user"] == "10"]["item"].tolist() == winner.recommend(10, 3)["item"].tolist()
    assert "Predictions for 1 new user are made in closed form." in said
    assert "1 user of that file is known already" in said
