"""What a run leaves behind for those who want to repeat it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import BadManifest
from recsys.evaluation.results import Comparison, OtherScore, OtherSplit, Trial, Tuning
from recsys.report.manifest import RunManifest, processor_name, read_manifest, run_manifest, written_out
from recsys.settings import DataSettings, Settings
from recsys.store.store import Manifest

FILE = {"path": "ratings/abc/ratings.parquet", "sha256": "12" * 32, "bytes": 7}
ARTEFACTS = {
    "ratings": Manifest(kind="ingest", key="abc", files=[FILE], facts={"sha256": "ab" * 32}, seconds=1.5)  # type: ignore[list-item]
}
TRIAL = Trial(
    number=0,
    state="finished",
    settings={"embedding_size": 8},
    epochs=3,
    best_epoch=2,
    val_mse=0.1 + 0.2,
    seconds=1.0,
    parameters=9,
)
TUNING = Tuning(
    name="mf_tuned",
    title="tuned MF",
    trials_allowed=6,
    seconds_allowed=60.0,
    seconds_used=1.0,
    searched=[],
    trials=[TRIAL],
    winner=0,
)


def recorded(comparison: Comparison, **settings: Any) -> RunManifest:
    return run_manifest(Settings.model_validate(settings), ARTEFACTS, comparison)


def test_it_comes_back_from_its_file_to_the_last_digit(fair: tuple[Comparison, Any], tmp_path: Path) -> None:
    comparison = fair[0].model_copy(update={"tuning": [TUNING]})
    manifest = recorded(comparison, seed=7, dnn={"dropout": 0.1}, evidence={"seeds": 3}, tuning={"budget": 2})
    path = tmp_path / "manifest.json"
    path.write_text(manifest.to_json())
    again = read_manifest(path)
    assert again == manifest
    assert again.settings.dnn.dropout == 0.1
    assert again.seeds == [7, 8, 9]
    assert (again.budget.trials, again.budget.seconds) == (TUNING.trials_allowed, TUNING.seconds_allowed)
    assert again.ratings.sha256 == "ab" * 32
    assert again.tuning[0].trials[0].val_mse == 0.1 + 0.2
    assert {"recsys.models.mlp", "recsys.training.compiled.engine", "recsys.data.ingest"} <= set(again.code)


def test_where_things_are_kept_is_not_recorded(fair: tuple[Comparison, Any]) -> None:
    places = {"output": {"store": "secret"}, "data": {"downloads": "hidden"}, "refresh": True}
    text = recorded(fair[0], **places).to_json()
    assert "secret" not in text
    assert "hidden" not in text
    assert "refresh" not in json.loads(text)["settings"]


def test_every_row_has_its_scores_and_nothing_that_a_clock_measured(fair: tuple[Comparison, Any]) -> None:
    split = OtherSplit(
        split_by="time",
        split_seed=42,
        test_rows=10,
        cold_test_rows=0,
        rating_sd=1.0,
        scores=[OtherScore(name="mf", title="MF", mse=1.25)],
        differences=[],
    )
    comparison = fair[0].model_copy(update={"other_splits": [split]})
    scores = recorded(comparison).scores
    rows = {row.name: row for row in (*comparison.models, *comparison.baselines)}
    assert set(scores) == {*rows, "mf, time, 42"}
    assert scores["mf, time, 42"] == {"mse": 1.25}
    assert scores["dnn"]["mse"] == rows["dnn"].mse
    assert {"rmse", "user_rmse", "mae", "r2", "ndcg_at_10", "recall_at_10", "mrr"} <= set(scores["dnn"])
    assert not any("second" in measure for measures in scores.values() for measure in measures)
    assert "tied_users" not in scores["dnn"]
    assert "ndcg_at_10" not in scores["item_knn"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ("sample", 100_000)),
        ({"max_rows": 9}, ("sample", 9)),
        ({"dataset": "ml-1m"}, ("ml-1m", None)),
    ],
)
def test_defaults_of_the_data_are_written_out(data: dict[str, Any], expected: tuple[str, int | None]) -> None:
    written = written_out(DataSettings.model_validate(data))
    assert (written.dataset, written.max_rows, written.ratings) == (*expected, None)


def test_a_path_is_recorded_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert written_out(DataSettings(ratings="my.csv")).ratings == str(tmp_path / "my.csv")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: text[: len(text) // 2], "is not the manifest of a run, or is damaged"),
        (lambda text: "{}", "code: Field required"),
        (lambda text: text.replace('"protocol": "fair"', '"protocol": "foul"'), "settings.protocol"),
        (lambda text: text.replace('"mse": 0.', '"mse": "?"', 1), "is damaged"),
    ],
)
def test_what_is_no_manifest_is_refused(
    fair: tuple[Comparison, Any], tmp_path: Path, damage: Callable[[str], str], sentence: str
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(damage(recorded(fair[0]).to_json()))
    with pytest.raises(BadManifest) as refused:
        read_manifest(path)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"manifest\.json cannot be read \(No such file or directory\)"):
        read_manifest(tmp_path / "manifest.json")


def test_a_processor_has_the_name_that_linux_gives_it_or_else_its_kind(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Fast One @ 3 GHz\n\nmodel name\t: other\n")
    assert processor_name(tmp_path / "cpuinfo") == "A Fast One @ 3 GHz"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert processor_name(tmp_path / "cpuinfo") == processor_name(tmp_path / "absent") != ""
