"""Whole runs on a store in a bucket, of machines that have nothing in common but its URL."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.store.remote import WORKING_COPIES, remote_at
from tasks.progress import LISTENERS, Event
from tests.factories import small_settings, write_ratings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent

Machine = Callable[[str], Settings]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("ratings") / "ratings.csv")


@pytest.fixture
def on(s3: str, ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that moves to a machine and makes the settings of a run on it."""

    def move(machine: str) -> Settings:
        monkeypatch.setenv(WORKING_COPIES, str(tmp_path / machine))
        remote_at.cache_clear()
        settings = small_settings(ratings, tmp_path / machine, protocol="notebook")
        return settings.model_copy(update={"output": settings.output.model_copy(update={"store": s3})})

    return move


def run(settings: Settings) -> set[str]:
    """Run, and return the tasks that were computed."""
    from flows.compare import compare

    computed: set[str] = set()

    def hear(event: Event) -> None:
        if event.status == "done":
            computed.add(event.task)

    LISTENERS.append(hear)
    try:
        compare(settings)
    finally:
        LISTENERS.remove(hear)
    return computed - {"report"}


def plan(settings: Settings) -> dict[str, str]:
    from flows.compare import wire
    from flows.plan import Planner
    from recsys.data.source import locate

    planning = Planner(settings.output.store)
    wire(settings, locate(settings.data), planning)
    return {planned.task: planned.why for planned in planning.tasks}


def report(settings: Settings) -> dict[str, bytes]:
    folder = Path(settings.output.reports) / "run"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def working_copy(tmp_path: Path, machine: str, pattern: str) -> list[Path]:
    return list((tmp_path / machine).glob(f"*/{pattern}"))


def in_bucket() -> dict[str, bytes]:
    """Return path -> content of everything in the bucket."""
    import s3fs

    files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    return dict(files.cat(files.find("ratings/comparisons")))


def test_what_one_machine_computed_no_other_computes_again(prefect_server: str, on: Machine, tmp_path: Path) -> None:
    one = on("one")
    assert run(one) == {"ingest", "encode", "split", "train_mf", "train_dnn", "train_dnn_tuned"}
    told = [*in_bucket().values(), *report(one).values()]
    assert len(told) > 20
    assert not [data for data in told if b"a-secret-that-is-nowhere" in data or str(tmp_path / "one").encode() in data]

    other = on("other")
    assert set(plan(other).values()) == {""}
    assert not working_copy(tmp_path, "other", "[!r]*/*/*")
    assert run(other) == set()
    assert report(other) == report(one)
    assert working_copy(tmp_path, "other", "models/*/model.keras")

    third = on("third")
    changed = third.model_copy(update={"dnn_tuned": third.dnn_tuned.model_copy(update={"dropout": 0.2})})
    assert plan(changed)["train_dnn_tuned"] == "dropout 0.3 -> 0.2"
    assert plan(changed)["train_mf"] == ""


def test_what_was_lost_or_damaged_in_the_bucket_is_made_anew_and_alone(prefect_server: str, on: Machine) -> None:
    import s3fs

    whole = on("one")
    run(whole)
    models = {path: data for path, data in in_bucket().items() if path.endswith("/model.keras")}
    damaged, lost, _ = sorted(models)
    files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    files.pipe_file(damaged, bytes(len(models[damaged])))
    files.rm_file(f"{lost.rpartition('/')[0]}/artefact.json")

    other = on("other")
    assert len(run(other)) == 2
    assert report(other)["predictions.parquet"] == report(whole)["predictions.parquet"]
    assert {path: in_bucket()[path] for path in models} == models
    assert run(on("third")) == set()


def test_a_bucket_that_is_not_there_is_one_sentence(
    s3: str, prefect_server: str, ratings: Path, tmp_path: Path
) -> None:
    refused = subprocess.run(
        [
            *(sys.executable, "flows/compare.py", "--ratings", str(ratings)),
            *("--store", "s3://no-such-bucket/place", "--reports", str(tmp_path / "reports")),
        ],
        cwd=ROOT,
        env={**os.environ, WORKING_COPIES: str(tmp_path / "one"), "PREFECT_API_URL": prefect_server},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert refused.stderr.startswith("compare: The store s3://no-such-bucket/place cannot be written (")
    assert refused.stderr.count("\n") == 1
