"""Fixtures of the whole suite."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.processes import PrefectServer, kill_family

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

SHARED = "FOLDER_OF_THE_TEST_SESSION"
"""Environment variable: a folder for what the processes of a session share."""

OF_MAKE = "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS"
"""Variables by which a make that a test runs would take over the options of the make that runs the tests."""

RARELY = 100_000, 10, 10
"""When to look for unreachable objects: by Python's own thresholds, visiting the million objects of the libraries takes
a fifth of a session's time."""

LONGEST = (
    "flows/test_caching.py",
    "recsys/training/compiled/test_engine.py",  # needs no server, for whose start the first one waits
    "flows/test_command_line.py",
    "flows/test_winner.py",
    "flows/test_golden.py",
    "recsys/report/test_write.py",
    "flows/test_poisoned.py",
    "flows/test_toy_model.py",
    "flows/test_repeated_pairs.py",
    "flows/test_failures.py",
    "recsys/evaluation/test_evaluate.py",
    "recsys/training/test_keras_engine.py",
    "flows/test_learning_curve.py",
    "flows/test_watch.py",
    "flows/test_replay.py",
    "flows/test_use.py",
    "flows/test_killed_run.py",
    "recsys/report/test_accessible.py",
    "recsys/evaluation/test_scale.py",
    "faults/test_numbers.py",
    "faults/test_hostile_texts.py",
    "flows/test_outcome.py",
    "flows/test_server.py",
    "recsys/training/test_odd_tables.py",
    "recsys/training/test_checkpoint.py",
)
"""The files that take longest, the longest first; a process runs the whole of a file."""


def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: a quarter of the time, tests wait for servers and other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process is left with one while the other has ended."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_configure() -> None:
    """Make the folder that is shared, in the process that begins the session and ends last."""
    gc.set_threshold(*RARELY)
    for name in OF_MAKE:
        os.environ.pop(name, None)
    if SHARED not in os.environ:
        shared = tempfile.mkdtemp(prefix="test-session-")
        os.environ[SHARED] = shared
        atexit.register(_end, Path(shared))  # after Prefect has sent its last events to the server


def _end(shared: Path) -> None:
    if (process := shared / "server.pid").exists():
        kill_family(int(process.read_text()))
    shutil.rmtree(shared)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Have a Prefect server run, one for the whole session as its start takes half a minute, and yield its address."""
    from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

    shared = Path(os.environ[SHARED])
    address = shared / "server.url"
    with FileLock(shared / "server.lock"):
        if not address.exists():
            server = PrefectServer(shared)
            try:
                server.start()
            except BaseException:  # also pytest's timeout
                server.kill()
                raise
            (shared / "server.pid").write_text(str(server.process.pid))
            address.write_text(server.url)
    url = address.read_text()
    results = tmp_path_factory.mktemp("results")
    with temporary_settings({PREFECT_API_URL: url, PREFECT_LOCAL_STORAGE_PATH: results}):
        yield url


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of an empty folder of fsspec's memory, and forget what was seen there."""
    from fsspec.implementations.memory import MemoryFileSystem

    from recsys.store.remote import WORKING_COPIES, remote_at

    monkeypatch.setenv(WORKING_COPIES, str(tmp_path / "working-copies"))
    MemoryFileSystem.store.clear()
    remote_at.cache_clear()
    yield "memory://bucket/store"
    MemoryFileSystem.store.clear()
    remote_at.cache_clear()
