"""Lineage events."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tasks.observability
from recsys.settings import DataSettings
from tasks.data import INGEST
from tasks.observability import asset_key
from tests.factories import write_ratings


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What Prefect was told, as if a task were running."""
    told: list[tuple[str, dict[str, Any]]] = []

    def emit(event: str, resource: dict[str, str], **more: Any) -> None:
        told.append((event, {"resource": resource, **more}))

    monkeypatch.setattr(tasks.observability, "emit_event", emit)
    monkeypatch.setattr(tasks.observability, "TaskRunContext", SimpleNamespace(get=lambda: object()))
    return told


def ingest(ratings: Path, store: str) -> None:
    from recsys.data.ingest import ingest as read

    def build(folder: Path) -> dict[str, Any]:
        return {"rows": read(ratings, DataSettings(), folder).rows}

    INGEST.make(build, ratings=str(ratings), data=DataSettings(), store=store)


def test_what_is_made_names_what_it_is_made_from(events: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    ingest(ratings, str(tmp_path / "store"))
    [(made, told)] = events
    assert made == "prefect.asset.materialization.succeeded"
    assert told["resource"]["prefect.resource.id"].startswith(f"file://{tmp_path}/store/ratings/")
    assert told["related"] == [{"prefect.resource.id": f"file://{ratings}", "prefect.resource.role": "asset"}]
    assert told["payload"]["bytes"] > 0


def test_what_was_there_is_not_made(events: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    ingest(ratings, str(tmp_path / "store"))
    events.clear()
    ingest(ratings, str(tmp_path / "store"))
    assert events == []


def test_a_key_has_no_character_that_prefect_refuses() -> None:
    from prefect.assets import Asset

    assert Asset(key=asset_key(Path("/data/my ratings #1 (100%).csv"))).key == "file:///data/my-ratings--1-(100-).csv"


def test_what_is_made_in_a_shared_store_has_the_key_that_every_machine_knows(
    events: list[tuple[str, dict[str, Any]]], memory: str, tmp_path: Path
) -> None:
    ingest(write_ratings(tmp_path / "ratings.csv"), memory)
    [(_, told)] = events
    assert told["resource"]["prefect.resource.id"].startswith(f"{memory}/ratings/")
