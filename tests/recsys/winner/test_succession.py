"""When a new winner takes the place of the one in use."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.store.store import Store
from recsys.winner.recommender import Recommender
from recsys.winner.succession import decide, is_decided, remember
from tests.made_winners import RATED, made_winner

UNSEEN = [(10, 105), (20, 104), (30, 101), (40, 100)]
EFFECT = 0.01


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    (tmp_path / "in_use").mkdir()
    return made_winner(tmp_path / "in_use" / "winner")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    made_winner(folder / "winner")
    (folder / "comparison.json").write_text(json.dumps({"min_effect": EFFECT}))
    return folder


def write_predictions(report: Path, champion: Path, pairs: list[tuple[int, int]], worse_by: float) -> None:
    """Write test ratings that the champion predicts with an MSE of 1, and the new winner with one of 1 + worse_by."""
    user, item = (list(column) for column in zip(*pairs, strict=True))
    rating = Recommender.load(champion).predict(user, item).astype(np.float64) + 1
    predicted = rating - np.sqrt(1 + worse_by)
    table = pd.DataFrame({"user": user, "item": item, "rating": rating, "mf_tuned": predicted})
    table.to_parquet(report / "predictions.parquet")


def test_the_first_winner_is_used(report: Path) -> None:
    assert decide(report, None).outcome == "first"


@pytest.mark.parametrize(("worse_by", "outcome"), [(-0.5, "new"), (0.009, "new"), (0.011, "kept"), (0.5, "kept")])
def test_a_new_winner_is_used_unless_it_is_worse_by_more_than_the_smallest_effect(
    report: Path, champion: Path, worse_by: float, outcome: str
) -> None:
    write_predictions(report, champion, UNSEEN, worse_by)
    decision = decide(report, champion)
    assert decision.outcome == outcome
    assert decision.rows == len(UNSEEN)
    assert decision.champion_mse == pytest.approx(1.0, rel=1e-5)
    assert decision.challenger_mse == pytest.approx(1 + worse_by, rel=1e-5)
    assert f"{1 + worse_by:.4f}" in decision.reason


def test_a_champion_that_cannot_be_read_gives_way(report: Path, champion: Path) -> None:
    write_predictions(report, champion, UNSEEN, 0.5)
    (champion / "biases.npz").unlink()
    decision = decide(report, champion)
    assert decision.outcome == "new"
    assert "cannot be read" in decision.reason


def test_ratings_that_the_champion_was_fitted_to_do_not_count(report: Path, champion: Path) -> None:
    fitted = [(10 * (user + 1), 100 + item) for user, items in RATED.items() for item in items]
    write_predictions(report, champion, fitted, worse_by=1.0)
    decision = decide(report, champion)
    assert (decision.outcome, decision.rows) == ("new", 0)
    assert "cannot be tested" in decision.reason


def test_a_decision_is_remembered_until_there_is_another_winner(report: Path, champion: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert not is_decided(store, report)
    write_predictions(report, champion, UNSEEN, worse_by=0.5)
    remember(store, decide(report, champion))
    assert is_decided(store, report)
    about = report / "winner" / "winner.json"
    about.write_bytes(about.read_bytes() + b" ")
    assert not is_decided(store, report)
