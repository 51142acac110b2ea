"""Fixtures of the whole suite."""

import atexit
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


def pytest_configure() -> None:
    """Make the folder that is shared, in the process that begins the session and ends last."""
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
            server.start()
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
