"""A metric is added by a record in `recsys.evaluation.metrics`, and by nothing else."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.screen import show_comparison
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.inputs import Ratings
from recsys.evaluation.metrics import METRICS, RankedItems, RankingMetric, RatingMetric, described_metrics
from recsys.evaluation.results import Comparison
from recsys.report.manifest import RunManifest, run_manifest
from recsys.report.outcomes import every_row
from recsys.report.replay import agreement
from recsys.report.sections.results import shown_columns, shown_rows, table_csv
from recsys.settings import EvidenceSettings, RankingSettings, Settings, SplitSettings
from recsys.store.store import Manifest
from tasks.report import _table
from tests.made_reports import pages_of

MAX_ERROR = RatingMetric(
    key="max_error",
    title="Max. error",
    meaning="largest absolute error",
    unit="rating units",
    better="lower",
    compute=lambda rating, prediction, user: float(np.abs(rating - prediction).max()),
)
HIT_RATE = RankingMetric(
    key="hit_rate_at_10",
    title="Hit rate@10",
    meaning="share of users with a relevant item among the first 10",
    better="higher",
    compute=lambda ranked: ranked.hits.any(axis=1).astype(float),
    with_error=True,
)
USERS, ITEMS, ROWS = 12, 40, 400


def compared(folder: Path) -> tuple[Comparison, pd.DataFrame]:
    """Evaluate the baselines on made-up ratings."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for name, many in (("users", USERS), ("items", ITEMS)):
        pq.write_table(pa.table({"code": range(many), "id": range(many)}), folder / name)
    ratings = Ratings(
        random.integers(USERS, size=ROWS).astype(np.int32),
        random.integers(ITEMS, size=ROWS).astype(np.int32),
        random.integers(1, 6, size=ROWS).astype(np.float32),
        train=np.arange(250),
        validation=np.arange(250, 300),
        test=np.arange(300, ROWS),
        users=folder / "users",
        items=folder / "items",
    )
    facts: dict[str, Any] = {"source": "", "licence": None, "duplicates": "keep", "ignored_columns": []}
    return evaluate(
        ratings,
        {},
        {},
        protocol="fair",
        seed=1,
        split=SplitSettings(),
        evidence=EvidenceSettings(resamples=100),
        ranking=RankingSettings(),
        data={**facts, "quarantined_rows": 0, "repeated_pairs": 0},
        winners={},
    )


def recorded(comparison: Comparison) -> RunManifest:
    ratings = Manifest(kind="ingest", key="a", files=[], facts={"sha256": "0" * 64}, seconds=0.0)
    return run_manifest(Settings(), {"ratings": ratings}, comparison)


@pytest.fixture
def before(tmp_path: Path) -> tuple[Comparison, RunManifest]:
    """A comparison by the metrics that there are, and its manifest."""
    comparison, _ = compared(tmp_path / "before")
    return comparison, recorded(comparison)


@pytest.fixture
def now(before: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Comparison, pd.DataFrame]:
    """The same, and its predictions, with two metrics more."""
    monkeypatch.setitem(METRICS, MAX_ERROR.key, MAX_ERROR)
    monkeypatch.setitem(METRICS, HIT_RATE.key, HIT_RATE)
    return compared(tmp_path / "now")


def test_it_is_computed_for_all_warm_and_cold_ratings_and_for_the_lists(now: tuple[Comparison, pd.DataFrame]) -> None:
    comparison, predictions = now
    for row in comparison.baselines:
        errors = (predictions[row.name].astype(float) - predictions["rating"]).abs()
        assert row.metric("max_error") == pytest.approx(errors.max())
        assert row.warm is not None
        assert row.warm.metric("max_error") == pytest.approx(errors[~predictions["cold"]].max())
    (biases,) = (row.ranking for row in comparison.baselines if row.name == "bias_only")
    assert biases is not None
    assert 0 < (biases.metric("hit_rate_at_10") or 0) <= 1
    assert 0 < (biases.metric("hit_rate_at_10_error") or 0) < 1


def test_it_is_in_comparison_json_beside_the_others_which_stay_as_they_are(
    before: tuple[Comparison, RunManifest], now: tuple[Comparison, pd.DataFrame]
) -> None:
    text = now[0].model_dump_json()
    assert Comparison.model_validate_json(text) == now[0]
    for old, new in zip(before[0].baselines, json.loads(text)["baselines"], strict=True):
        assert isinstance(new["max_error"], float)
        clocks = {"fit_seconds", "predict_microseconds"}
        kept = old.model_dump(mode="json", exclude=clocks)
        assert {key: new[key] for key in kept if key not in ("warm", "cold", "ranking")} == {
            key: value for key, value in kept.items() if key not in ("warm", "cold", "ranking")
        }
        if kept["ranking"]:
            assert kept["ranking"].items() <= new["ranking"].items()
            assert "hit_rate_at_10_error" in new["ranking"]


def test_it_has_a_column_in_every_table(now: tuple[Comparison, pd.DataFrame]) -> None:
    comparison = now[0]
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(table_csv(comparison)))}
    (biases,) = (row for row in comparison.baselines if row.name == "bias_only")
    assert biases.ranking is not None
    assert float(rows["bias_only"]["max_error"]) == biases.metric("max_error")
    assert float(rows["bias_only"]["hit_rate_at_10_error"]) == biases.ranking.metric("hit_rate_at_10_error")
    page, markdown = pages_of(comparison)
    for metric in (MAX_ERROR, HIT_RATE):
        assert f'title="{metric.description}">{metric.title}</th>' in page
        assert f"| {metric.title} |" in markdown.replace("\\", "")
    assert MAX_ERROR.title in _table(comparison)[0]


def test_it_is_on_the_terminal_and_the_best_value_is_marked(now: tuple[Comparison, pd.DataFrame]) -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    show_comparison(console, now[0])
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue().splitlines()
    [heading] = [place for place, line in enumerate(printed) if "R²  Max. error  Parameters" in line]
    lines = printed[heading + 1 :]
    values = [row.metric("max_error") or 0 for row in every_row(now[0])]
    assert all(f"{value:.4f}" in line for value, line in zip(values, lines, strict=False))
    column = [column.key for column in shown_columns(now[0])].index("max_error")
    best = [row[column].best for row in shown_rows(now[0])]
    assert best[values.index(min(values))]
    assert not best[values.index(max(values))]


def test_a_run_recorded_without_it_is_still_the_same_and_one_recorded_with_it_is_compared(
    before: tuple[Comparison, RunManifest], now: tuple[Comparison, pd.DataFrame]
) -> None:
    old, new = before[1], recorded(now[0])
    found = agreement(old, new)
    assert found.same
    assert any("max_error" in sentence for sentence in found.sentences)
    scores = {name: {**values, "max_error": 9.0} for name, values in new.scores.items()}
    other = agreement(new, new.model_copy(update={"scores": scores}))
    assert not other.same
    assert "in max_error of" in other.sentences[0]


def test_help_lists_every_metric(now: tuple[Comparison, pd.DataFrame]) -> None:
    assert all(metric.title in described_metrics() for metric in (MAX_ERROR, HIT_RATE))
    root = Path(__file__).parent.parent
    command = [sys.executable, "flows/compare.py", "--help"]
    env = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True).stdout
    built_in = [metric for metric in METRICS.values() if metric not in (MAX_ERROR, HIT_RATE)]
    assert all(metric.title in shown and metric.description in shown for metric in built_in)


def test_the_first_places_of_a_short_list_do_not_count_what_is_not_in_it() -> None:
    ranked = RankedItems(
        np.array([[3, -1]], np.int32), np.array([[True, False]]), np.array([1]), np.array([1]), items=4
    )
    assert METRICS["coverage_at_10"].compute(ranked) == 0.25  # type: ignore[attr-defined]
