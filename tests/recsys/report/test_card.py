"""The model card: what stands in card.json and card.md."""

import json
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.report.card import Card, model_card
from recsys.report.manifest import run_manifest
from recsys.settings import Settings
from recsys.store.store import Manifest
from recsys.winner.about import About, MemberOf

ABOUT = About(
    name="dnn",
    title="DNN",
    reason="it has the lowest validation error",
    refitted=True,
    ratings=15_000,
    seed=42,
    settings={"epochs": 3, "units": [8]},
    lowest=0.5,
    highest=5.0,
    files={},
)


def card_of(comparison: Comparison, **changes: Any) -> Card:
    ratings = Manifest(kind="ratings", key="r", files=[], facts={"sha256": "a"}, seconds=1.0)
    manifest = run_manifest(Settings(), {"ratings": ratings}, comparison)
    return model_card(comparison, ABOUT.model_copy(update=changes), manifest, b"the manifest")


@pytest.mark.parametrize(
    ("period", "told"),
    [(("1996-03-29T10:00:00Z", "2018-09-24T14:27:30Z"), "1996-03-29 to 2018-09-24"), (None, "not known")],
)
def test_it_says_the_period_of_the_ratings(
    fair: tuple[Comparison, Any], period: tuple[str, str] | None, told: str
) -> None:
    comparison = fair[0].model_copy(update={"data": fair[0].data.model_copy(update={"period": period})})
    card = card_of(comparison)
    assert json.loads(card.as_json())["data"]["period"] == told
    assert f"- **Period**: {told}\n" in card.as_markdown().decode()


def test_its_errors_are_those_of_the_row(fair: tuple[Comparison, Any]) -> None:
    card = card_of(fair[0])
    row = next(row for row in fair[0].models if row.name == "dnn")
    assert card.test is not None
    assert float(card.test["MSE"]) == pytest.approx(row.mse, abs=1e-3)
    assert card.test["held out"] == f"{fair[0].data.test_rows:,} ratings, drawn at random"


def test_a_fit_to_all_ratings_says_that_it_cannot_be_tested_on_them(fair: tuple[Comparison, Any]) -> None:
    seen = "has seen the test ratings"
    assert any(seen in limit for limit in card_of(fair[0]).limits)
    assert not any(seen in limit for limit in card_of(fair[0], refitted=False).limits)


def test_a_blend_lists_its_members(fair: tuple[Comparison, Any]) -> None:
    members = {"dnn": MemberOf(weight=0.7, folders=["dnn_1", "dnn_2"]), "bias_only": MemberOf(weight=0.3)}
    card = card_of(fair[0], name="blend", title="blend", settings={}, members=members)
    assert card.model["weight of DNN"] == 0.7
    assert card.model["first seed"] == 42
    assert "seed" not in card.model
