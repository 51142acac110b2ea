"""What the Prefect UI shows of task runs: the lineage of assets and the lines of the log."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tasks.observability
from recsys.settings import DataSettings
from tasks.data import INGEST
from tasks.observability import asset_key, summary
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


def made(kind: str, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, "key": "k", "files": [], "facts": facts, "seconds": 1.0}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (made("ingest", rows=1200, quarantined_rows=0), "1,200 ratings"),
        (made("ingest", rows=1200, quarantined_rows=3), "1,200 ratings, 3 rows set aside"),
        ({"codes": made("encode", users=7, items=9, rows=50)}, "7 users, 9 items, 50 ratings"),
        (
            {"training": made("split", train_rows=72, validation_rows=8, test_rows=20)},
            "72 training ratings, 8 validation ratings, 20 test ratings",
        ),
        (
            made("train_mf", loss=[2.0, 1.5, 1.0], val_loss=[1.0, 0.5, 0.75], best_epoch=2),
            "validation MSE 0.5000 at epoch 2 of 3",
        ),
        (made("train_mf", loss=[2.0, 1.25], val_loss=[], best_epoch=None), "2 epochs, training MSE 1.2500"),
        (made("use_all", protocol="fair", train_rows=9), ""),
        (made("try_dnn", failed="the loss became NaN", seconds=1.0), "failed (the loss became NaN)"),
        (
            made("score", scores=[{"title": "MF", "mse": 0.8}, {"title": "DNN", "mse": 0.9}]),
            "best is MF, test MSE 0.8000",
        ),
        (made("winner", name="mf_tuned", weights={"mf_tuned": 1.0}), ""),
        ("reports/run", ""),
    ],
)
def test_a_result_is_told_in_a_few_words(result: Any, words: str) -> None:
    assert summary(result) == words


def test_the_lines_that_name_nothing_are_left_out_and_failures_are_not(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("prefect.task_runs")
    log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, "prefect.task_runs"):
            log.info("Finished in state Completed()")
            log.info("Finished in state Cached(type=COMPLETED)")
            log.info("Running hook 'log_result' in response to entering state 'Completed'")
            log.error("Finished in state Failed('no such file')")
            log.info("train mf · 50 factors · seed 3: cached")
    finally:
        log.removeHandler(caplog.handler)
    told_lines = dict.fromkeys(record.getMessage() for record in caplog.records)
    assert list(told_lines) == ["Finished in state Failed('no such file')", "train mf · 50 factors · seed 3: cached"]
