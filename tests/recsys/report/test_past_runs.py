"""The record of a run, and a report that is published with earlier runs."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.manifest import RunManifest, run_manifest, this_environment
from recsys.report.past_runs import past_run, with_past_runs
from recsys.report.publish import pages
from recsys.report.sections.trends import MAX_SHOWN, TITLE
from recsys.settings import Settings
from recsys.store.fingerprint import Fingerprint
from recsys.store.run_history import PastRun, append, read
from recsys.store.store import Facts, Manifest, Store
from tests.made_reports import pages_of

START = datetime(2026, 11, 3, 3, 0, tzinfo=UTC)
ENVIRONMENT = cache(this_environment)
Rate = Callable[..., Comparison]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code, versions and machine in every run, looked up once."""
    monkeypatch.setattr("recsys.report.manifest.this_environment", ENVIRONMENT)


def artefact(digest: str, *names: str) -> Manifest:
    files: Any = [{"path": f"layer/key/{name}", "sha256": digest, "bytes": 1} for name in names]
    return Manifest(kind="", key="key", files=files, facts={"sha256": digest}, seconds=1.0)


def recorded(comparison: Comparison, ratings: str = "a", titles: str = "t", **settings: Any) -> RunManifest:
    artefacts = {
        "ratings": artefact(ratings, "ratings.parquet"),
        "codes": artefact(ratings, "user.npy", "item.npy", "rating.npy"),
        "test": artefact(ratings, "test.npy"),
    }
    artefacts["codes"]["files"] += artefact(titles, "items.parquet")["files"]
    return run_manifest(Settings.model_validate(settings), artefacts, comparison)


def past(comparison: Comparison, hour: int = 0, **changes: Any) -> PastRun:
    return past_run(comparison, recorded(comparison, **changes), "run", START + timedelta(hours=hour))


def report(store: Store, comparison: Comparison, key: str = "", *, plots: bool = True, **changes: Any) -> Manifest:
    """A report with one plot or none, in the store."""

    def build(folder: Path) -> Facts:
        (folder / "plots").mkdir()
        named = {"name": "errors", "section": "results", "caption": "Errors.", "alt": "Errors."}
        texts = {
            "plots.json": json.dumps([named] if plots else []),
            "plots/errors.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1" font-family="sans" />',
            "plots/errors.png": "",
            "comparison.json": comparison.model_dump_json(),
            "manifest.json": recorded(comparison, **changes).to_json(),
            "comparison.csv": "as it was",
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return {}

    made_of = {"comparison": comparison.model_dump_json(), "changes": changes, "plots": plots}
    return store.make(Fingerprint("report", "reports", {}, made_of, {}, {}), build)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_record_has_the_verdict_and_every_row(whole: tuple[Comparison, Any]) -> None:
    comparison = whole[0]
    run = past(comparison, seed=7, dnn={"units": [8]})
    assert run.series == f"{comparison.data.source} · fair · random"
    assert (run.side, run.winner) == ("factorisation", "tuned MF")
    assert run.headline == headline(comparison)
    assert {score.name: score.mse for score in run.scores} == {
        row.name: row.mse for row in (*comparison.models, *comparison.combinations, *comparison.baselines)
    }
    tuned = run.score("mf_tuned")
    assert tuned is not None
    assert comparison.models[1].spread is not None
    assert (tuned.kind, tuned.seeds, tuned.sd) == ("model", 5, comparison.models[1].spread.sd)
    assert run.settings == {"seed": 7, "dnn.units": [8]}
    assert {"keras", "tensorflow"} <= set(run.versions)


def test_ties_and_missing_sides_have_no_winner(with_mse: Rate) -> None:
    tied, alone = past(with_mse(mf=0.8, dnn=0.8)), past(with_mse(mf=0.8))
    assert (tied.side, tied.winner) == ("tie", None)
    assert (alone.side, alone.winner) == (None, None)


def test_files_of_one_name_in_two_places_are_two_series_without_their_places(with_mse: Rate) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    one, other = (past(comparison, data={"ratings": f"/home/{who}/r.csv"}) for who in ("ann", "bob"))
    assert one.series != other.series
    assert "ann" not in one.model_dump_json()


def test_folds_are_series_of_their_own_and_seeds_are_not(with_mse: Rate) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    folds = [comparison.model_copy(update={"split_by": "kfold", "fold": fold}) for fold in (0, 1)]
    assert past(folds[0]).series != past(folds[1]).series
    assert past(comparison.model_copy(update={"split_seed": 7})).series == past(comparison).series


def test_other_titles_or_bytes_of_the_id_tables_are_no_other_ratings(with_mse: Rate) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    assert past(comparison, titles="t").ratings == past(comparison, titles="u").ratings
    assert past(comparison, ratings="a").ratings != past(comparison, ratings="b").ratings


def test_a_first_run_is_published_as_it_was_made_however_often(store: Store, with_mse: Rate) -> None:
    made = report(store, with_mse(mf=0.8, dnn=0.9))
    for hour in range(3):
        files, run = with_past_runs(store, made, "run", START + timedelta(hours=hour))
        append(store, run)
        assert files == store.files(made)
    assert not [path for path in (store.root / "history").iterdir() if path.is_dir()]
    assert len(read(store)) == 2


def test_another_result_brings_earlier_runs_into_page_markdown_and_comparison(store: Store, with_mse: Rate) -> None:
    append(store, past(with_mse(mf=0.8, dnn=0.9)))
    append(store, past(with_mse(mf=0.7, dnn=0.9), data={"ratings": "/other.csv"}))
    made = report(store, with_mse(mf=0.8, dnn=0.6), dnn={"epochs": 3})
    files, run = with_past_runs(store, made, "run", START + timedelta(hours=5))
    page, markdown = (text.decode() for text in pages(files).values())
    assert page.count(f">{TITLE}<span>") == markdown.count(f"## {TITLE}: ") == 1
    for text in (page, markdown):
        assert "2026-11-03 03:00" in text
        assert "2026-11-03 08:00" in text
        assert "The verdict has changed: on 2026-11-03 03:00 UTC it was" in text
    assert "| 2026-11-03 08:00 | 15,000 | DNN | 0.8000 | 0.6000 | dnn.epochs default → 3 |" in markdown
    assert "![Test MSE over 2 runs" in markdown
    assert 'aria-labelledby="history-title"' in page
    assert files["comparison.csv"].read_text() == "as it was"
    assert {"plots/history.svg", "plots/history.png"} <= set(files)
    comparison = Comparison.model_validate_json(files["comparison.json"].read_bytes())
    assert "test-read-before" in {check.name for check in comparison.checks or []}
    assert [past.side for past in comparison.history] == ["factorisation", "network"]
    assert comparison.history[-1] == run


def test_a_report_without_plots_gets_none_of_earlier_runs_either(store: Store, with_mse: Rate) -> None:
    append(store, past(with_mse(mf=0.8, dnn=0.9)))
    files, _ = with_past_runs(store, report(store, with_mse(mf=0.8, dnn=0.6), plots=False), "run", START)
    assert json.loads(files["plots.json"].read_text()) == []
    assert "plots/history.svg" not in files
    assert TITLE in pages(files)["report.html"].decode()


def test_the_same_result_again_gives_the_same_files(store: Store, with_mse: Rate) -> None:
    append(store, past(with_mse(mf=0.8, dnn=0.9)))
    made = report(store, with_mse(mf=0.8, dnn=0.6))
    contents = []
    for hour in (5, 6, 7):
        files, run = with_past_runs(store, made, "run", START + timedelta(hours=hour))
        append(store, run)
        contents.append({name: (path, path.stat().st_mtime_ns) for name, path in files.items()})
    assert contents[0] == contents[1] == contents[2]


def test_of_many_runs_the_last_are_shown(store: Store, with_mse: Rate) -> None:
    one = past(with_mse(mf=0.8, dnn=0.9))
    for hour in range(MAX_SHOWN + 5):
        append(store, one.model_copy(update={"when": START + timedelta(hours=hour), "ratings": str(hour)}))
    files, run = with_past_runs(store, report(store, with_mse(mf=0.7, dnn=0.9)), "run", START + timedelta(days=9))
    runs = Comparison.model_validate_json(files["comparison.json"].read_bytes()).history
    assert len(runs) == MAX_SHOWN
    assert runs[-1] == run


def told(*runs: PastRun, comparison: Comparison) -> Comparison:
    return comparison.model_copy(update={"history": list(runs)})


def test_warnings_stand_below_the_answer_in_both_twins(with_mse: Rate) -> None:
    worse = with_mse(mf=1.2, dnn=1.3)
    comparison = told(past(with_mse(mf=0.8, dnn=0.9)), past(worse, 1), comparison=worse)
    page, markdown = pages_of(comparison)
    for text in (page, markdown):
        warning = text.index("The error of MF increased")
        assert warning < text.index("Results") < text.index(TITLE)


def test_texts_of_the_past_stay_texts(with_mse: Rate) -> None:
    hostile = '<script>alert("x")</script> | $x$ `a`\n## Results\n'
    comparison = with_mse(mf=0.8, dnn=0.9)
    before = past(comparison).model_copy(update={"headline": hostile, "side": "tie", "settings": {hostile: hostile}})
    comparison = told(before, past(with_mse(mf=0.7, dnn=0.9), 1), comparison=comparison)
    page, markdown = pages_of(comparison)
    assert page.count("<script") == 1  # its own
    assert "<script" not in markdown
    assert len(re.findall(r"(?m)^## Results: ", markdown)) == 1
