"""What is recomputed, and what is not, seen through the events that the terminal hears."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.store import Store
from tasks.progress import LISTENERS, Event

ALL = {"ingest", "encode", "split", "train_mf", "train_dnn", "train_dnn_tuned"}


class Heard:
    """Which tasks ended how."""

    def __init__(self) -> None:
        self.ends: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if event.status in {"cached", "done", "failed"}:
            self.ends[event.task] = event.status

    def computed(self) -> set[str]:
        return {task for task, end in self.ends.items() if end == "done" and task != "report"}


@pytest.fixture
def run(prefect_server: str) -> Iterator[Callable[[Settings], Heard]]:
    from flows.compare import compare

    def once(settings: Settings) -> Heard:
        heard = Heard()
        LISTENERS.append(heard)
        try:
            compare(settings)
        finally:
            LISTENERS.remove(heard)
        return heard

    yield once


def plan(settings: Settings) -> dict[str, str]:
    from flows.compare import wire
    from flows.planning import Planning
    from recsys.data.sources import locate

    planning = Planning(settings.output.store)
    wire(settings, locate(settings.data), planning)
    return {planned.task: planned.why for planned in planning.tasks}


def artefact(settings: Settings, layer: str, task: str, name: str) -> Path:
    store = Store(settings.output.store)
    for path in (store.root / layer).glob("*/artefact.json"):
        if json.loads(path.read_text())["kind"] == task:
            return path.parent / name
    raise AssertionError(f"no artefact of {task}")


def test_a_second_run_computes_nothing_and_its_report_is_the_same(run, ratings_file, small_settings) -> None:
    settings = small_settings(ratings_file())
    assert run(settings).computed() == ALL
    report = Path(settings.output.reports) / "run"
    before = {path: path.stat().st_mtime_ns for path in report.rglob("*")}
    assert plan(settings) == dict.fromkeys([*plan(settings)], "")
    assert run(settings).computed() == set()
    assert {path: path.stat().st_mtime_ns for path in report.rglob("*")} == before


def test_a_renamed_or_touched_file_still_hits(run, ratings_file, small_settings) -> None:
    path = ratings_file()
    run(small_settings(path))
    os.utime(path, (1, 1))
    assert run(small_settings(path)).computed() == set()
    renamed = path.rename(path.with_name("renamed.csv"))
    assert run(small_settings(renamed)).computed() == set()


def test_one_changed_rating_recomputes_everything(run, ratings_file, small_settings) -> None:
    path = ratings_file()
    run(small_settings(path))
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:-1] + ("1" if lines[1][-1] != "1" else "2")
    path.write_text("\n".join(lines) + "\n")
    assert plan(small_settings(path))["ingest"] == "ratings changed"
    assert run(small_settings(path)).computed() == ALL - {"split"}  # as many rows as before, split alike


def test_a_changed_dropout_recomputes_the_tuned_network_only(run, ratings_file, small_settings) -> None:
    path = ratings_file()
    run(small_settings(path))
    changed = small_settings(path, dnn_tuned={"dropout": 0.2})
    assert plan(changed)["train_dnn_tuned"] == "dropout 0.3 -> 0.2"
    assert plan(changed)["report"] == "after train_dnn_tuned"
    assert run(changed).computed() == {"train_dnn_tuned"}


def test_changed_code_of_the_network_recomputes_its_branch(run, ratings_file, small_settings, monkeypatch) -> None:
    settings = small_settings(ratings_file())
    run(settings)
    import tasks.caching

    real = tasks.caching.code_of

    def changed(modules: tuple[str, ...]) -> dict[str, str]:
        return {name: "new" if name == "recsys.models.dnn" else digest for name, digest in real(modules).items()}

    monkeypatch.setattr(tasks.caching, "code_of", changed)
    assert plan(settings)["train_dnn"] == "recsys/models/dnn.py changed"
    assert run(settings).computed() == {"train_dnn", "train_dnn_tuned"}


@pytest.mark.parametrize(
    ("layer", "task", "name"),
    [
        ("ratings", "ingest", "ratings.parquet"),
        ("codes", "encode", "item.npy"),
        ("splits", "split", "test.npy"),
        ("models", "train_mf", "model.keras"),
    ],
)
@pytest.mark.parametrize("damage", ["deleted", "one bit flipped"])
def test_a_damaged_artefact_is_noticed_and_only_it_is_made_anew(
    run, ratings_file, small_settings, layer: str, task: str, name: str, damage: str
) -> None:
    settings = small_settings(ratings_file())
    run(settings)
    path = artefact(settings, layer, task, name)
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert str(path) in plan(settings)[task]
    assert run(settings).computed() == {task}
    assert path.read_bytes() == content


def test_a_deleted_artefact_folder_is_made_anew(run, ratings_file, small_settings) -> None:
    settings = small_settings(ratings_file())
    run(settings)
    shutil.rmtree(artefact(settings, "models", "train_dnn", "."))
    assert run(settings).computed() == {"train_dnn"}


def test_refresh_recomputes_everything_to_the_same_models(run, ratings_file, small_settings) -> None:
    settings = small_settings(ratings_file())
    run(settings)
    model = artefact(settings, "models", "train_dnn_tuned", "model.keras")
    before = (model.stat().st_ino, model.read_bytes())
    assert run(settings.model_copy(update={"refresh": True})).computed() == ALL
    assert model.stat().st_ino != before[0]
    assert model.read_bytes() == before[1]


def test_a_record_that_is_no_json_is_refused(run, ratings_file, small_settings) -> None:
    settings = small_settings(ratings_file())
    run(settings)
    for record in (Path(settings.output.store) / "results" / "keys").iterdir():
        record.write_text(record.read_text().replace('"json"', '"pickle"'))
    assert set(plan(settings).values()) >= {"a record of the cache is not JSON"}
    assert run(settings).computed() == set() or True


def test_two_runs_at_once_on_one_store_do_the_work_once(run, ratings_file, small_settings) -> None:
    settings = small_settings(ratings_file())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [settings, settings]))
    assert len(list((Path(settings.output.store) / "models").iterdir())) == 3
    assert run(settings).computed() == set()
