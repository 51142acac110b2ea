"""Runs whose scheduler, workers and store are processes apart, as on machines that share nothing but URLs."""

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from recsys.store.remote import WORKING_COPIES
from recsys.store.store import sha256_of
from tests.factories import EVERY_MODEL, small_settings, write_ratings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parent.parent.parent

WORKERS = "one", "other"

SCHEDULER = "scheduler.json"

LAYERS = "codes", "splits", "trials", "models"
"""Of the store, with everything that holds a number that was computed."""

Digests = dict[str, str]
"""Path inside the store -> digest of a file."""


def environment(place: Path, server: str, **more: str) -> dict[str, str]:
    """Return the environment of a process on a machine of its own, whose folder is `place`."""
    place.mkdir(exist_ok=True)
    own = {WORKING_COPIES: str(place / "stores"), "PREFECT_API_URL": server, "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own, **more}


def wait_until(happens: Callable[[], bool], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


@contextmanager
def started(command: list[str], place: Path, server: str) -> Iterator["subprocess.Popen[bytes]"]:
    own = environment(place, server)
    with (place / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=place, env=own, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


Cluster = dict[str, "subprocess.Popen[bytes]"]
"""The processes of the workers, by name."""


@pytest.fixture
def cluster(prefect_server: str, s3: str, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler and two workers, each in a folder of its own."""
    address = tmp_path / SCHEDULER
    local = ["--scheduler-file", str(address), "--dashboard-address", "127.0.0.1:0", "--host", "127.0.0.1"]
    with ExitStack() as stack:

        def start(name: str, *command: str) -> "subprocess.Popen[bytes]":
            return stack.enter_context(started(["-m", "dask", *command, *local], tmp_path / name, prefect_server))

        start("scheduler", "scheduler", "--port", "0")
        wait_until(address.exists)
        workers = {name: start(name, "worker", "--no-nanny", "--nthreads", "1", "--name", name) for name in WORKERS}
        with client(tmp_path) as asking:
            asking.wait_for_workers(len(WORKERS), timeout=600)
        yield workers


@contextmanager
def comparison(place: Path, server: str, store: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A comparison on a machine of its own, of the same ratings and settings each time."""
    machine = place / "run"
    own = environment(machine, server, **more)
    settings = small_settings(write_ratings(machine / "ratings.csv"), machine, **EVERY_MODEL)
    (machine / "run.yaml").write_text(settings.model_dump_json(exclude_unset=True))
    process = subprocess.Popen(
        [
            *(sys.executable, "flows/compare.py", "--config", str(machine / "run.yaml"), "--store", store),
            *("--workers", "2", *(["--runner", "dask"] if more else [])),
        ],
        cwd=ROOT,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def client(place: Path) -> Any:
    """Return a client of the cluster, to be closed."""
    return import_module("distributed").Client(scheduler_file=str(place / SCHEDULER))


def on_cluster(place: Path) -> dict[str, str]:
    return {"DASK_SCHEDULER_ADDRESS": json.loads((place / SCHEDULER).read_text())["address"]}


def require_success(run: "subprocess.Popen[str]") -> None:
    printed, complaints = run.communicate(timeout=1000)
    assert run.returncode == 0, printed + complaints


@pytest.fixture(scope="module")
def of_threads(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """What a run with threads, on one machine and with a local store, computes."""
    place = tmp_path_factory.mktemp("threads")
    with comparison(place, prefect_server, str(place / "store")) as run:
        require_success(run)
    return digests_in(place / "store")


def digests_in(store: Path) -> Digests:
    paths = [path for layer in LAYERS for path in store.glob(f"{layer}/*/*") if path.name != "artefact.json"]
    return {path.relative_to(store).as_posix(): sha256_of(path) for path in paths}


def digests_in_bucket(url: str) -> Digests:
    import s3fs

    files, base = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True), url.partition("://")[2]
    found = {path.removeprefix(f"{base}/"): data for path, data in files.cat(files.find(base)).items()}
    return {
        path: hashlib.sha256(data).hexdigest()
        for path, data in found.items()
        if path.startswith(LAYERS) and not path.endswith("/artefact.json")
    }


def finished(place: Path, worker: str) -> dict[str, float]:
    """When each trial appeared in a worker's copy of the store: it was computed there, or needed there later."""
    found = (place / worker / "stores").glob("*/trials/*/artefact.json")
    return {path.parent.name: path.stat().st_mtime for path in found}


def trials(of_threads: Digests) -> set[str]:
    return {path.split("/")[1] for path in of_threads if path.startswith("trials/")}


def is_busy(asking: Any, worker: str) -> bool:
    """Whether Dask has given tasks to a worker."""
    workers = asking.scheduler_info()["workers"]
    return any(tasks for address, tasks in asking.processing().items() if workers[address]["name"] == worker)


def test_trials_are_spread_over_workers_that_share_the_urls_of_store_and_scheduler_alone(
    cluster: Cluster, of_threads: Digests, s3: str, prefect_server: str, tmp_path: Path
) -> None:
    store = f"{s3}/spread"
    with comparison(tmp_path, prefect_server, store, **on_cluster(tmp_path)) as run:
        require_success(run)
    assert digests_in_bucket(store) == of_threads
    one, other = (finished(tmp_path, worker) for worker in WORKERS)
    assert {*one, *other} >= trials(of_threads)
    by_one = {trial for trial, when in one.items() if when < other.get(trial, math.inf)}
    assert by_one
    assert {*other} - by_one


def test_the_tasks_of_a_worker_that_is_killed_are_taken_over_by_the_other(
    cluster: Cluster, of_threads: Digests, s3: str, prefect_server: str, tmp_path: Path
) -> None:
    store = f"{s3}/killed"
    with comparison(tmp_path, prefect_server, store, **on_cluster(tmp_path)) as run, client(tmp_path) as asking:
        wait_until(lambda: (bool(finished(tmp_path, "one")) and is_busy(asking, "one")) or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        cluster["one"].kill()
        done = {*finished(tmp_path, "one")}
        require_success(run)
    assert digests_in_bucket(store) == of_threads
    rest = trials(of_threads) - done
    assert rest
    assert {*finished(tmp_path, "other")} >= rest
