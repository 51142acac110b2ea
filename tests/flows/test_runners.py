"""Wherever the tasks run: the same numbers, the same words, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import flows.runners
from flows.replay import replay
from flows.runners import check_installed, environment_of_workers, started
from recsys.errors import BadRatings, BadSettings, WorkersUnavailable
from recsys.settings import ScalingSettings, Settings
from recsys.store.store import sha256_of
from tasks.progress import LISTENERS, Event
from tasks.report import REPORT, SCORE
from tests.factories import DIVERGING, EVERY_MODEL, small_settings, write_ratings

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(1200)

PATIENCE = 600.0
"""Seconds in which workers have to load TensorFlow, or to end."""

BRANCHES = {"train_mf", "train_dnn"}

WITH_RAY = pytest.param(
    "ray", marks=pytest.mark.skipif(find_spec("prefect_ray") is None, reason="the extra ray is not installed")
)
EVERYWHERE = ["threads", "processes", "dask", WITH_RAY]
ELSEWHERE = ["processes", "dask", WITH_RAY]

Ended = tuple[Settings, list[Event]]


@pytest.fixture(scope="module")
def run_on(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """A function that runs the comparison once on each kind of two workers, with a store of its own."""
    from flows.compare import compare

    ratings = write_ratings(tmp_path_factory.mktemp("ratings") / "ratings.csv")
    finished: dict[str, Ended] = {}

    def run(runner: str) -> Ended:
        if runner not in finished:
            settings = small_settings(
                ratings,
                tmp_path_factory.mktemp(runner),
                scaling={"runner": runner, "workers": 2},
                **EVERY_MODEL,
            )
            heard: list[Event] = []
            LISTENERS.append(heard.append)
            try:
                compare(settings)
            finally:
                LISTENERS.remove(heard.append)
            finished[runner] = settings, heard
        return finished[runner]

    return run


def report(settings: Settings, name: str) -> Any:
    return json.loads((Path(settings.output.reports) / "run" / name).read_text())


def artefacts(settings: Settings) -> dict[str, str]:
    """Path inside the store -> digest, of everything that holds a number that was trained."""
    store = Path(settings.output.store)
    paths = [path for layer in ("codes", "splits", "models", "trials") for path in store.glob(f"{layer}/*/*")]
    return {str(path.relative_to(store)): sha256_of(path) for path in paths if path.name != "artefact.json"}


@pytest.mark.slow
@pytest.mark.parametrize("runner", ELSEWHERE)
def test_every_runner_gives_the_bits_of_threads(run_on: Callable[[str], Ended], runner: str) -> None:
    (in_threads, _), (settings, _) = run_on("threads"), run_on(runner)
    assert len(artefacts(in_threads)) > 20
    assert artefacts(settings) == artefacts(in_threads)
    assert report(settings, "manifest.json")["scores"] == report(in_threads, "manifest.json")["scores"]


@pytest.mark.slow
def test_a_replay_gives_the_same_numbers(run_on: Callable[[str], Ended]) -> None:
    settings, _ = run_on("threads")
    manifest = Path(settings.output.reports) / "run" / "manifest.json"
    assert {"bayes_mf", "towers", "autorec"} <= report(settings, "manifest.json")["scores"].keys()
    assert replay(str(manifest), Settings(), as_json=False, verbose=False)


@pytest.mark.slow
@pytest.mark.parametrize("runner", EVERYWHERE)
def test_the_manifest_names_the_runner(run_on: Callable[[str], Ended], runner: str) -> None:
    settings, _ = run_on(runner)
    scaling = report(settings, "manifest.json")["settings"]["scaling"]
    assert (scaling["runner"], scaling["workers"]) == (runner, 2)


@pytest.mark.slow
@pytest.mark.parametrize("runner", EVERYWHERE)
def test_both_branches_are_under_way_before_either_ends(run_on: Callable[[str], Ended], runner: str) -> None:
    _, heard = run_on(runner)
    begun: set[str] = set()
    for event in heard:
        if event.task in BRANCHES and event.status == "running":
            begun.add(event.task)
        if event.task in BRANCHES and event.status == "done":
            break
    assert begun == BRANCHES


@pytest.mark.slow
@pytest.mark.parametrize("runner", EVERYWHERE)
def test_the_flow_hears_of_every_task_that_it_runs_and_how_far_it_is(
    run_on: Callable[[str], Ended], runner: str
) -> None:
    settings, heard = run_on(runner)
    tasks = {event.task for event in heard}
    assert {"ingest", "try_mf", "train_dnn_tuned", "report"} <= tasks
    for task in tasks:
        of_task = [event for event in heard if event.task == task]
        assert of_task[0].status == "waiting"
        assert of_task[-1].status == "done"
        assert any(event.status == "running" for event in of_task)
    assert any(event.task == "train_mf" and event.text.startswith("epoch 2/2") for event in heard)
    assert not list((Path(settings.output.store) / "channels").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("runner", ELSEWHERE)
def test_a_mistake_in_the_ratings_is_the_same_sentence_from_a_worker(
    prefect_server: str, tmp_path: Path, runner: str
) -> None:
    from flows.compare import compare

    ratings = write_ratings(tmp_path / "ratings.csv")
    ratings.write_text(ratings.read_text() + "3,4,good\n")
    with pytest.raises(BadRatings, match=r"ratings\.csv, line 402: rating 'good' is not a number"):
        compare(small_settings(ratings, tmp_path, scaling={"runner": runner, "workers": 2}))
    assert not list((tmp_path / "store" / "channels").glob("*"))


@pytest.mark.slow
def test_a_model_that_fails_in_a_worker_leaves_the_others_alone(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare
    from flows.executor import ModelsFailed

    ratings = write_ratings(tmp_path / "ratings.csv")
    settings = small_settings(ratings, tmp_path, dnn=DIVERGING, scaling={"runner": "processes", "workers": 2})
    with pytest.raises(ModelsFailed, match="train_dnn failed: dnn: the loss became") as failed:
        compare(settings)
    assert [model["name"] for model in report(settings, "comparison.json")["failed"]] == ["dnn"]
    assert failed.value.tasks == ["train_dnn"]


@contextmanager
def long_run(place: Path, server: str, *options: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A run of the command line that trains for hours, once its first training is under way."""
    settings = small_settings(
        write_ratings(place / "ratings.csv"),
        place,
        protocol="notebook",
        **{name: {"epochs": 10_000, "patience": 0} for name in ("mf", "dnn", "dnn_tuned")},
    )
    file = place / "run.yaml"
    file.write_text(settings.model_dump_json(exclude_unset=True))
    run = subprocess.Popen(
        [sys.executable, "flows/compare.py", "--config", str(file), "--workers", "2", *options],
        cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": server, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: any((place / "store" / "checkpoints").glob("*/epoch-*")) or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        yield run
    finally:
        for process in [*psutil.Process(run.pid).children(recursive=True)] if run.poll() is None else []:
            process.kill()
        run.kill()
        run.communicate()


def wait_until(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.1)


def workers_of(run: "subprocess.Popen[str]") -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(run.pid).children(recursive=True)
    assert len(found) >= 2
    return found


@pytest.mark.slow
@pytest.mark.parametrize("runner", ELSEWHERE)
def test_ctrl_c_ends_run_and_workers_with_one_sentence(prefect_server: str, tmp_path: Path, runner: str) -> None:
    with long_run(tmp_path, prefect_server, "--runner", runner) as run:
        workers = workers_of(run)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of its processes
        printed, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, complaints
    assert complaints == "compare: stopped; every finished task is kept, and the same command goes on from there.\n"
    assert "Traceback" not in printed
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive


@pytest.mark.slow
@pytest.mark.parametrize("runner", ELSEWHERE)
def test_workers_end_with_a_run_that_is_killed(prefect_server: str, tmp_path: Path, runner: str) -> None:
    with long_run(tmp_path, prefect_server, "--runner", runner) as run:
        workers = workers_of(run)
        run.kill()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive


@pytest.mark.slow
def test_a_worker_process_that_dies_ends_the_run_with_one_sentence(prefect_server: str, tmp_path: Path) -> None:
    with long_run(tmp_path, prefect_server, "--runner", "processes") as run:
        busiest = max(workers_of(run), key=lambda process: process.memory_info().rss)
        busiest.kill()
        _, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert complaints.startswith("compare: The worker that ran ")
    assert "fewer --workers" in complaints
    assert complaints.count("\n") == 1


@contextmanager
def cluster(place: Path) -> Iterator[str]:
    """A Dask cluster of two workers that were started by somebody else, in another folder."""
    place.mkdir()
    address = place / "scheduler.json"
    with (place / "log.txt").open("w") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--scheduler-file", str(address)],
                cwd=place,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
            for command in (
                ["scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"],
                ["worker", "--nworkers", "2", "--nthreads", "1", "--dashboard-address", "127.0.0.1:0"],
            )
        ]
        try:
            wait_until(address.exists)
            yield json.loads(address.read_text())["address"]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(PATIENCE)


@pytest.mark.slow
def test_a_cluster_that_is_there_is_found_and_left_running_and_its_tasks_stop_as_well(
    prefect_server: str, tmp_path: Path
) -> None:
    with (
        cluster(tmp_path / "cluster") as address,
        long_run(tmp_path, prefect_server, "--runner", "dask", DASK_SCHEDULER_ADDRESS=address) as run,
    ):
        run.send_signal(signal.SIGINT)
        _, complaints = run.communicate(timeout=PATIENCE)
        assert complaints.startswith("compare: stopped;")
        distributed: Any = import_module("distributed")
        with distributed.Client(address) as client:
            wait_until(lambda: not any(client.processing().values()))
            assert len(client.scheduler_info()["workers"]) == 2


def test_a_runner_that_is_not_installed_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.runners, "find_spec", lambda package: None)
    with pytest.raises(BadSettings, match=r"--runner ray needs the package prefect-ray.* pip install '\.\[ray\]'"):
        check_installed(ScalingSettings(runner="ray"))
    check_installed(ScalingSettings(runner="processes"))


@pytest.mark.parametrize("recipe", [REPORT, SCORE], ids=lambda recipe: recipe.task)
def test_no_key_depends_on_the_runner(recipe: Any, tmp_path: Path) -> None:
    def key(settings: Settings) -> str:
        nothing = dict.fromkeys((*recipe.manifests, *recipe.settings))
        given = {"settings": settings, "split": settings.split, "store": str(tmp_path)}
        return str(recipe.fingerprint({**nothing, **given}).key)

    assert key(Settings()) == key(Settings(scaling=ScalingSettings(runner="dask", workers=7)))
    assert key(Settings()) != key(Settings.model_validate({"evidence": {"resamples": 100}}))


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.config

    with (
        dask.config.set({"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(WorkersUnavailable, match="--runner dask: the workers could not be started"),
        started(ScalingSettings(runner="dask")),
    ):
        pass


@pytest.mark.parametrize(
    ("changed", "one_thread"),
    [
        ({}, True),
        ({"dnn": {"batch_size": 4_096}}, True),
        ({"dnn_tuned": {"units": (256, 257)}}, False),
        ({"dnn": {"embedding_size": 129}}, False),
        ({"engine": "keras"}, False),
        ({"protocol": "notebook"}, True),
        ({"scaling": {"workers": 1}}, False),
    ],
)
def test_workers_have_one_thread_where_they_share_cores_and_no_bit_depends_on_it(
    changed: dict[str, Any], one_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    settings = Settings.model_validate({"scaling": {"workers": 2}} | changed)
    assert environment_of_workers(settings) == ({"TF_NUM_INTRAOP_THREADS": "1"} if one_thread else {})


def test_workers_of_dask_have_the_environment_that_is_asked_for() -> None:
    with started(ScalingSettings(runner="dask", workers=2), {"ASKED": "for"}) as runner:
        assert set(runner.client.run(os.getenv, "ASKED").values()) == {"for"}  # type: ignore[attr-defined]


def test_workers_of_dask_keep_freed_memory_for_the_next_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with started(ScalingSettings(runner="dask", workers=1)) as runner:
        found = runner.client.run(os.getenv, "MALLOC_TRIM_THRESHOLD_")  # type: ignore[attr-defined]
    assert list(found.values()) == [None]
