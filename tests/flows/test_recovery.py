"""What is lost when the server, the worker or the database is killed during a run: nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.factories import write_ratings
from tests.interrupting import IMPATIENT, PATIENT, Run, config, long_settings, numbers
from tests.processes import PATIENCE, ROOT, PrefectServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("ratings") / "ratings.csv")


@pytest.fixture(scope="module")
def undisturbed(server: PrefectServer, ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The numbers of a run that nothing happens to."""
    settings = long_settings(ratings, tmp_path_factory.mktemp("undisturbed"))
    done = Run(settings, server.environment)
    assert done.ends() == 0, done.said()
    return numbers(settings)


def test_a_server_that_is_killed_takes_nothing_with_it(
    server: PrefectServer, ratings: Path, undisturbed: Any, tmp_path: Path
) -> None:
    settings = long_settings(ratings, tmp_path)
    run = Run(settings, server.environment | IMPATIENT)
    run.come_to_its_long_training()
    server.kill()
    assert run.ends() == 2
    *_, last = run.said().splitlines()
    assert last == (
        f"compare: The run has lost Prefect's server: {server.url} does not answer; the report is complete, and only "
        "Prefect's UI lacks the end of the run."
    )
    assert "Report: " in run.said()
    assert numbers(settings) == undisturbed
    assert "Traceback" not in run.said()
    assert "Error" not in run.said()

    server.start()
    again = Run(settings, server.environment)
    assert again.ends() == 0, again.said()
    assert "Every task was cached" in again.said()
    assert numbers(settings) == undisturbed


def test_a_server_that_comes_back_in_time_is_not_missed(
    server: PrefectServer, ratings: Path, undisturbed: Any, tmp_path: Path
) -> None:
    settings = long_settings(ratings, tmp_path)
    run = Run(settings, server.environment | PATIENT)
    run.come_to_its_long_training()
    server.kill()
    server.start()
    assert run.ends() == 0, run.said()
    assert numbers(settings) == undisturbed
    newest, *_ = server.ask("flow_runs/filter", sort="START_TIME_DESC", limit=1)
    assert newest["state_type"] == "COMPLETED"


def test_an_absent_server_is_done_without_where_the_user_says_so(
    server: PrefectServer, ratings: Path, undisturbed: Any, tmp_path: Path
) -> None:
    settings = long_settings(ratings, tmp_path)
    absent = {**server.environment, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    terminal, theirs = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "flows/compare.py", *config(settings, tmp_path / "run.yaml")],
        cwd=ROOT,
        env={**os.environ, **absent, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(terminal, b"\n")  # the answer to the question that will be asked
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while more := os.read(terminal, 10_000):
            shown += more
    assert run.wait(PATIENCE) == 0, shown.decode()
    assert b"Go on without it?" in shown
    assert numbers(settings) == undisturbed

    again = Run(settings, absent, "--without-server")
    assert again.ends() == 0, again.said()
    assert "Every task was cached" in again.said()
