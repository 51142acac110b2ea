"""Fixtures of the whole suite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

RatingsFile = Callable[..., Path]


@pytest.fixture
def ratings_file(tmp_path: Path) -> RatingsFile:
    """Return a function that writes a small ratings file of users' and items' tastes plus noise."""

    def write(name: str = "ratings.csv", *, rows: int = 400, users: int = 20, items: int = 30, seed: int = 0) -> Path:
        random = np.random.default_rng(seed)
        user, item = random.integers(users, size=rows), random.integers(items, size=rows)
        taste = random.normal(size=users)[user] + random.normal(size=items)[item] + random.normal(size=rows)
        rating = np.clip(np.round(3 + taste), 1, 5)
        lines = [f"{u + 1},{i + 1},{r:g}" for u, i, r in zip(user, item, rating, strict=True)]
        path = tmp_path / name
        path.write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
        return path

    return write


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
