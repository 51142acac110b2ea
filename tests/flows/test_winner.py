"""The model to use: made by a comparison, and used by flows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect import State

from recsys.data.settings import ReadingSettings
from recsys.settings import Settings
from recsys.winner.recommender import Recommender
from recsys.winner.settings import NightlyRun, PredictRun, RecommendRun
from tests.factories import small_settings, write_ratings


@pytest.fixture(scope="module")
def place(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from flows.compare import compare

    place = tmp_path_factory.mktemp("used")
    ratings = write_ratings(place / "ratings.csv")
    for name, refit in (("refitted", True), ("scored", False)):
        compare(settings_of(ratings, place, name, winner={"refit": refit}))
    compare(settings_of(ratings, place, "blend", winner={"refit": False, "use": "blend"}))
    return place


def settings_of(ratings: Path, place: Path, name: str, **changes: object) -> Settings:
    return small_settings(ratings, place, output={"name": name}, **changes)


@pytest.mark.parametrize("name", ["scored", "blend"])
def test_the_scored_winner_gives_the_reports_predictions(place: Path, name: str) -> None:
    report = place / "reports" / name
    winner = Recommender.load(report / "winner")
    test = pd.read_parquet(report / "predictions.parquet")
    assert not winner.was_fitted_to(test["user"], test["item"]).all()
    np.testing.assert_allclose(winner.predict(test["user"], test["item"]), test[winner.about.name], rtol=1e-6)


def test_the_blend_that_is_used_is_the_one_that_was_scored(place: Path) -> None:
    report = place / "reports" / "blend"
    about = Recommender.load(report / "winner").about
    [row] = [
        row
        for row in json.loads((report / "comparison.json").read_text())["combinations"]
        if row["name"] == about.name == "blend"
    ]
    assert {name: member.weight for name, member in about.members.items()} == pytest.approx(
        dict(zip(row["members"], row["weights"], strict=True))
    )
    assert "Weight of" in (report / "winner" / "card.md").read_text()
    assert "it was chosen with --use" in (report / "report.md").read_text()


def test_the_refitted_winner_has_seen_all_ratings(place: Path) -> None:
    report = place / "reports" / "refitted"
    winner = Recommender.load(report / "winner")
    ratings = pd.read_csv(place / "ratings.csv")
    assert winner.about.refitted
    assert winner.about.ratings == len(ratings)
    assert winner.was_fitted_to(ratings["userId"], ratings["movieId"]).all()
    row = next(
        row
        for row in json.loads((report / "comparison.json").read_text())["models"]
        if row["name"] == winner.about.name
    )
    assert winner.about.settings["epochs"] == row["settings"]["epochs"]


def test_the_report_says_how_to_use_it(place: Path) -> None:
    report = place / "reports" / "refitted"
    text = (report / "report.md").read_text()
    assert "## Use it: " in text
    assert "mf-or-dnn recommend --winner reports/refitted/winner" in text
    assert (report / "winner" / "card.md").read_text().startswith("# ")
    assert 'id="use"' in (report / "report.html").read_text()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predictions_are_cached_by_content(place: Path, ending: str) -> None:
    from flows.winner import predict

    out = place / f"predicted.{ending}"
    settings = PredictRun(
        winner=str(place / "reports" / "scored" / "winner"),
        pairs=str(place / "ratings.csv"),
        out=str(out),
        store=str(place / "store"),
        reading=ReadingSettings(user_column="userId", item_column="movieId"),
    )
    assert predict(settings) == str(out)
    first = out.read_bytes()
    made = set((place / "store" / "predictions").iterdir())
    out.unlink()
    predict(settings)
    assert out.read_bytes() == first
    assert set((place / "store" / "predictions").iterdir()) == made


def test_lists_of_some_users(place: Path) -> None:
    from flows.winner import recommend

    winner = place / "reports" / "refitted" / "winner"
    settings = RecommendRun(
        winner=str(winner), users="3,5", top=2, out=str(place / "lists.csv"), store=str(place / "store")
    )
    recommend(settings)
    found = pd.read_csv(place / "lists.csv")
    expected = [Recommender.load(winner).recommend(user, 2)["item"].tolist() for user in (3, 5)]
    assert [found[found["user"] == user]["item"].tolist() for user in (3, 5)] == expected


def test_lists_are_written_only_for_new_ratings(prefect_server: str, tmp_path: Path) -> None:
    from flows.winner import recommend_nightly

    ratings = write_ratings(tmp_path / "ratings.csv")
    settings = NightlyRun(
        comparison=settings_of(ratings, tmp_path, "nightly", winner={"refit": True, "use": "blend"}), top=3
    )

    def run() -> State[Any]:
        found: State[Any] = recommend_nightly(settings, return_state=True)
        return found

    champion = tmp_path / "reports" / "nightly-champion"
    assert run().name == "Completed"
    lists = pd.read_parquet(champion / "lists.parquet")
    assert set(lists["user"]) == set(pd.read_csv(ratings)["userId"])
    assert (
        Recommender.load(champion / "winner").recommend(1, 3)["item"].tolist()
        == lists[lists["user"] == 1]["item"].tolist()
    )
    assert run().name == "Unchanged"
    write_ratings(ratings, rows=700)
    state = run()
    assert state.name in {"Completed", "Kept"}
    assert "test ratings that neither was fitted to" in str(state.message)
    decisions = (tmp_path / "store" / "history" / "winners.jsonl").read_text().splitlines()
    assert json.loads(decisions[0])["outcome"] == "first"
    assert len(decisions) == 2
    assert run().name == "Unchanged"


def test_new_ratings_of_new_users_make_new_lists(place: Path) -> None:
    from flows.winner import recommend

    found = []
    for rating in (1, 5):
        (place / "new.csv").write_text(f"user,item,rating\n901,1,{rating}\n901,2,3\n")
        settings = RecommendRun(
            winner=str(place / "reports" / "refitted" / "winner"),
            users="901",
            ratings_of_new_users=str(place / "new.csv"),
            out=str(place / "new_lists.csv"),
            store=str(place / "store"),
        )
        recommend(settings)
        found.append(pd.read_csv(place / "new_lists.csv")["prediction"].tolist())
    assert found[0] != found[1]
