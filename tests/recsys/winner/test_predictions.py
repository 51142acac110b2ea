"""Files of pairs in, files of predictions out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.errors import BadRatings, BadSettings
from recsys.winner.predictions import predict_file
from recsys.winner.recommender import Recommender
from recsys.winner.settings import PredictSettings
from tests.made_winners import RATED, made_winner

RATED_PAIRS = [(10 * (user + 1), 100 + item) for user, items in RATED.items() for item in items]


def asked(pairs: Path, out: Path) -> PredictSettings:
    return PredictSettings(winner="winner", pairs=str(pairs), out=str(out))


@pytest.fixture
def winner(tmp_path: Path) -> Recommender:
    return Recommender.load(made_winner(tmp_path / "winner"))


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_pairs_of_a_file_are_predicted_in_its_order(winner: Recommender, tmp_path: Path, ending: str) -> None:
    users, items = [20, 10, 777, 20], [104, 105, 104, 104]
    pairs, out = tmp_path / "pairs.csv", tmp_path / f"out.{ending}"
    pairs.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in zip(users, items, strict=True)))
    predicted = predict_file(winner, asked(pairs, out))
    found = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert list(found) == ["user", "item", "prediction", "known_user", "known_item"]
    assert found["user"].tolist() == users
    assert found["item"].tolist() == items
    np.testing.assert_allclose(found["prediction"], winner.predict(users, items), rtol=1e-6)
    assert predicted.sentences == [
        "4 pairs predicted, 3 of a known user and a known item.",
        "The others have the mean, and the bias of the user or the item if that is known.",
    ]


def test_ids_of_another_type_are_unknown_or_the_same_numbers(winner: Recommender, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.parquet"
    pairs.write_text("user,item\nanna,104\n10,104\n")
    predict_file(winner, asked(pairs, out))
    found = pd.read_parquet(out)
    assert found["user"].tolist() == ["anna", "10"]
    assert found["known_user"].tolist() == [False, True]
    np.testing.assert_allclose(found["prediction"][1], winner.predict([10], [104])[0])


def test_errors_are_told_and_those_of_fitted_ratings_apart(winner: Recommender, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.parquet"
    chosen = [*RATED_PAIRS[:3], (10, 106), (20, 105)]
    ratings = [1.0, 2.0, 3.0, 4.0, 5.0]
    lines = [f"{user},{item},{rating}\n" for (user, item), rating in zip(chosen, ratings, strict=True)]
    pairs.write_text("user,item,rating\n" + "".join(lines))
    predicted = predict_file(winner, asked(pairs, out))
    error = winner.predict(*zip(*chosen, strict=True)) - np.array(ratings)
    assert predicted.fitted == 3
    assert predicted.scored.squares / predicted.scored.pairs == pytest.approx(np.mean(error**2))
    assert predicted.unseen.squares / predicted.unseen.pairs == pytest.approx(np.mean(error[3:] ** 2))
    assert f"MSE {np.mean(error[3:] ** 2):.4f}" in " ".join(predicted.sentences)
    assert pd.read_parquet(out)["rating"].tolist() == ratings


def test_every_rating_that_was_fitted_is_known_to_be(winner: Recommender) -> None:
    pairs = [(user, item) for user in (*range(10, 70, 10), 777) for item in (*range(100, 109), 777)]
    fitted = winner.was_fitted_to(*zip(*pairs, strict=True))
    assert [pair for pair, was in zip(pairs, fitted, strict=True) if was] == RATED_PAIRS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("user,item\n", "a header but no rows; give a file with one row per line"),
        ("", "is empty; give a file with one row per line"),
        ("user\n10\n", "pairs need user and item"),
        ("user,item\n10,\n", "line 2: the item id is missing"),
        ("user,item,rating\n10,100,good\n", "line 2: rating 'good' is not a number"),
    ],
)
def test_a_file_without_pairs_is_refused_and_nothing_is_written(
    winner: Recommender, tmp_path: Path, content: str, said: str
) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.parquet"
    pairs.write_text(content)
    with pytest.raises(BadRatings, match=said):
        predict_file(winner, asked(pairs, out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.csv", "winner"]


@pytest.mark.parametrize(("name", "said"), [("out.txt", "neither"), ("no/out.csv", "does not exist"), ("", "neither")])
def test_an_output_that_cannot_be_is_refused(winner: Recommender, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "pairs.csv").write_text("user,item\n10,100\n")
    with pytest.raises(BadSettings, match=said):
        predict_file(winner, asked(tmp_path / "pairs.csv", tmp_path / name))


def test_an_older_output_stays_until_the_new_one_is_complete(winner: Recommender, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    out.write_text("older\n")
    pairs.write_text("user,item\n10,\n")
    with pytest.raises(BadRatings):
        predict_file(winner, asked(pairs, out))
    assert out.read_text() == "older\n"


def test_pairs_of_new_users_are_predicted_from_their_ratings(winner: Recommender, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("user,item,rating\n777,100,5\n777,103,1\n")
    (tmp_path / "pairs.csv").write_text("user,item\n777,104\n10,104\n778,104\n777,105\n")
    settings = PredictSettings(
        winner="winner",
        pairs=str(tmp_path / "pairs.csv"),
        out=str(tmp_path / "out.parquet"),
        ratings_of_new_users=str(tmp_path / "new.csv"),
    )
    predicted = predict_file(winner, settings)
    found = pd.read_parquet(tmp_path / "out.parquet")["prediction"]
    new = winner.fold_in([100, 103], [5.0, 1.0]).predict([104, 105])
    np.testing.assert_allclose(found[[0, 3]], new, rtol=1e-6)
    np.testing.assert_allclose(found[[1, 2]], winner.predict([10, 778], [104, 104]), rtol=1e-6)
    assert predicted.folded == 2
    assert "2 pairs of new users, from their ratings." in predicted.sentences
