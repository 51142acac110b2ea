"""What is recomputed, and what is not, seen through the events that the terminal hears."""

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.settings import Settings
from recsys.store.artifacts import verified, with_checksum
from recsys.store.fingerprint import code_of
from tasks.progress import LISTENERS, Event
from tests.factories import small_settings, write_ratings

TRAINED = {"train_mf", "try_mf", "train_mf_tuned", "train_dnn", "try_dnn", "train_dnn_tuned"}
ALL = {"ingest", "encode", "split", "winner"} | TRAINED
MODELS = 6
"""The fits that choose the epochs of MF and DNN, and the four that are scored."""


MakeSettings = Callable[..., Settings]


class Heard:
    """Which tasks ended how."""

    def __init__(self) -> None:
        self.ends: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        self.ends.add((event.task, event.status))

    def computed(self) -> set[str]:
        return {task for task, end in self.ends if end == "done" and task != "report"}


Run = Callable[[Settings], Heard]


@pytest.fixture(scope="module")
def run(prefect_server: str) -> Run:
    from flows.compare import compare

    def once(settings: Settings) -> Heard:
        heard = Heard()
        LISTENERS.append(heard)
        try:
            compare(settings)
        finally:
            LISTENERS.remove(heard)
        return heard

    return once


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("ratings") / "ratings.csv")


@pytest.fixture(scope="module")
def finished(run: Run, ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Return a function that makes the settings of runs on a store where the default run is done."""
    place = tmp_path_factory.mktemp("place")

    def make(path: Path = ratings, **changes: Any) -> Settings:
        return small_settings(path, place, **changes)

    assert run(make()).computed() == ALL
    return make


def plan(settings: Settings) -> dict[str, str]:
    from flows.compare import wire
    from flows.plan import Planner
    from recsys.data.source import locate

    planning = Planner(settings.output.store)
    wire(settings, locate(settings.data), planning)
    return {planned.task: planned.why for planned in planning.tasks}


def kind(path: Path) -> str:
    return str(json.loads((path.parent / "artefact.json").read_text())["kind"])


def test_a_second_run_computes_nothing_and_leaves_its_report_alone(run: Run, finished: MakeSettings) -> None:
    report = Path(finished().output.reports) / "run"
    before = {path: path.stat().st_mtime_ns for path in report.rglob("*")}
    assert set(plan(finished()).values()) == {""}
    assert run(finished()).computed() == set()
    assert {path: path.stat().st_mtime_ns for path in report.rglob("*")} == before


def test_a_touched_or_renamed_file_still_hits(run: Run, finished: MakeSettings, ratings: Path, tmp_path: Path) -> None:
    os.utime(ratings, (1, 1))
    assert set(plan(finished()).values()) == {""}
    renamed = Path(shutil.copy(ratings, tmp_path / "renamed.csv"))
    assert run(finished(renamed)).computed() == set()


@pytest.mark.parametrize("moved", [False, True], ids=["copied", "renamed"])
def test_everything_is_found_in_a_store_that_has_another_path(
    run: Run, finished: MakeSettings, tmp_path: Path, moved: bool
) -> None:
    before, copy, elsewhere = Path(finished().output.store), tmp_path / "copy", tmp_path / "elsewhere"
    shutil.copytree(before, copy)
    if moved:
        copy.rename(elsewhere)
    settings = finished(output={"store": str(elsewhere if moved else copy)})
    assert set(plan(settings).values()) == {""}
    heard = run(settings)
    assert heard.computed() == set()
    assert set(plan(settings).values()) == {""}


def test_one_changed_rating_recomputes_everything(
    run: Run, finished: MakeSettings, ratings: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.csv"
    lines = ratings.read_text().splitlines()
    lines[1] = lines[1][:-1] + ("1" if lines[1][-1] != "1" else "2")
    changed.write_text("\n".join(lines) + "\n")
    assert plan(finished(changed))["ingest"] == "ratings changed"
    assert run(finished(changed)).computed() == ALL


def test_a_changed_dropout_recomputes_the_tuned_network_only(run: Run, finished: MakeSettings) -> None:
    changed = finished(dnn_tuned={"dropout": 0.2})
    assert plan(changed)["try_dnn"] == "dropout 0.3 -> 0.2"
    assert plan(changed)["train_dnn_tuned"] == "after try_dnn"
    assert plan(changed)["report"] == "after try_dnn and train_dnn_tuned and winner"
    assert run(changed).computed() == {"try_dnn", "train_dnn_tuned"}


def test_a_further_seed_trains_each_winner_once_more_and_tries_nothing(run: Run, finished: MakeSettings) -> None:
    further = finished(evidence={"seeds": 2})
    assert plan(further)["train_mf_tuned"].startswith("seed ")
    assert plan(further)["train_mf"] == ""
    assert plan(further)["try_mf"] == ""
    assert run(further).computed() == {"train_mf_tuned", "train_dnn_tuned"}


def test_a_larger_budget_tries_more_and_loads_what_was_tried(run: Run, finished: MakeSettings) -> None:
    larger = finished(tuning={"budget": 0.25})
    heard = run(larger)
    assert {("try_mf", "cached"), ("try_dnn", "cached"), ("try_mf", "done"), ("try_dnn", "done")} <= heard.ends
    assert set(plan(larger).values()) == {""}
    assert run(larger).computed() == set()
    comparison = Comparison.model_validate_json((Path(larger.output.reports) / "run" / "comparison.json").read_bytes())
    assert [len(tuning.trials) for tuning in comparison.tuning] == [4, 4]


def test_another_split_is_compared_as_well_and_shares_nothing_but_the_codes(run: Run, finished: MakeSettings) -> None:
    also = finished(evidence={"splits": 2})
    heard = run(also)
    assert heard.computed() == {"split", "score"} | TRAINED
    comparison = Comparison.model_validate_json((Path(also.output.reports) / "run" / "comparison.json").read_bytes())
    (other,) = comparison.other_splits
    assert (other.split_seed, other.test_rows) == (43, 80)
    assert {row.mse for row in comparison.models}.isdisjoint(score.mse for score in other.scores)
    assert run(also).computed() == set()


def test_another_kind_of_split_is_a_reason_to_split_anew(finished: MakeSettings) -> None:
    assert plan(finished(split={"split_by": "kfold"}))["split"] == "split_by random -> kfold"


@pytest.mark.slow
def test_times_count_only_where_the_split_reads_them(run: Run, ratings: Path, tmp_path: Path) -> None:
    def timed(name: str, step: int) -> Path:
        header, *lines = ratings.read_text().splitlines()
        rows = [f"{line},{10**9 + step * number % 401}" for number, line in enumerate(lines)]
        (tmp_path / name).write_text("\n".join([f"{header},timestamp", *rows]) + "\n")
        return tmp_path / name

    run(small_settings(timed("a.csv", 7), tmp_path))
    assert run(small_settings(timed("b.csv", 11), tmp_path)).computed() == {"ingest", "encode"}
    by_time = {"split_by": "time"}
    assert run(small_settings(tmp_path / "a.csv", tmp_path, split=by_time)).computed() == ALL - {"ingest", "encode"}
    assert run(small_settings(tmp_path / "b.csv", tmp_path, split=by_time)).computed() == ALL - {"ingest", "encode"}
    comparison = json.loads((tmp_path / "reports" / "run" / "comparison.json").read_text())
    assert comparison["split_by"] == "time"


@pytest.mark.parametrize("evidence", [{"min_effect": 0.02}, {"resamples": 300}], ids=str)
def test_changed_settings_of_the_evidence_make_a_new_report_and_nothing_else(
    finished: MakeSettings, evidence: dict[str, float]
) -> None:
    planned = plan(finished(evidence=evidence))
    assert {task for task, why in planned.items() if why} == {"report"}
    assert next(iter(evidence)) in planned["report"]


def test_changed_code_of_the_network_recomputes_its_branch_only(
    run: Run, finished: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(modules: tuple[str, ...]) -> dict[str, str]:
        return {name: "new" if name == "recsys.models.mlp" else digest for name, digest in code_of(modules).items()}

    monkeypatch.setattr("tasks.cache.code_of", changed)
    assert plan(finished())["train_dnn"] == "recsys/models/mlp.py changed"
    assert run(finished()).computed() == {"train_dnn"}


@pytest.mark.parametrize(
    ("layer", "task", "name", "flipped"),
    [
        ("ratings", "ingest", "ratings.parquet", False),
        ("codes", "encode", "item.npy", True),
        ("splits", "split", "test.npy", False),
        ("models", "train_mf", "model.keras", True),
    ],
)
def test_a_damaged_artefact_is_noticed_and_only_it_is_made_anew(
    run: Run, finished: MakeSettings, layer: str, task: str, name: str, flipped: bool
) -> None:
    settings = finished()
    paths = [path for path in (Path(settings.output.store) / layer).glob(f"*/{name}") if kind(path) == task]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents, strict=True):
        if flipped:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            path.unlink()
    assert any(str(path) in plan(settings)[task] for path in paths)
    assert run(settings).computed() == {task}
    assert any(path.is_file() and path.read_bytes() == content for path, content in zip(paths, contents, strict=True))
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)


def test_refresh_recomputes_everything_to_the_same_models(run: Run, finished: MakeSettings) -> None:
    models = sorted((Path(finished().output.store) / "models").glob("*/model.keras"))
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in models}
    assert run(finished(refresh=True)).computed() == ALL
    after = {path: (path.stat().st_ino, path.read_bytes()) for path in models}
    assert sum(before[path][0] != after[path][0] for path in models) == MODELS
    assert all(before[path][1] == after[path][1] for path in models)


def test_a_record_that_is_no_json_is_refused(run: Run, finished: MakeSettings) -> None:
    for record in (Path(finished().output.store) / "results" / "keys").iterdir():
        metadata = verified(record.read_bytes(), record)
        record.write_bytes(with_checksum(metadata | {"serializer": {"type": "pickle"}}))
    assert re.fullmatch("the result of the record [0-9a-f]{32} is not JSON", plan(finished())["ingest"])
    run(finished())
    assert set(plan(finished()).values()) == {""}


def test_two_runs_at_once_on_one_store_do_the_work_once(run: Run, ratings: Path, tmp_path: Path) -> None:
    settings = small_settings(ratings, tmp_path)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(copy_context().run, run, settings) for _ in range(2)]
        for done in runs:
            done.result()
    assert len(list((Path(settings.output.store) / "models").iterdir())) == MODELS
    assert run(settings).computed() == set()
