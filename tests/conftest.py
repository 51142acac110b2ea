"""Fixtures of the whole suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prefect server of the suite's own and yield its API's address."""
    from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness  # here, because it loads the whole server

    with (
        prefect_test_harness(server_startup_timeout=180),
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path_factory.mktemp("results")}),
    ):
        yield str(PREFECT_API_URL.value())


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
