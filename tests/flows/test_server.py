"""The server that a run tells what it does, and the one that it starts for itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_PORT, temporary_settings

import flows.server
from flows.server import OwnServer, running_server, server_record
from recsys.errors import ServerUnavailable
from tests.answering import answering

STARTS_ONE = """
import time
from flows.server import OwnServer
server = OwnServer()
server.wait()
print(server.url, flush=True)
time.sleep(600)
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def test_it_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    environment = {"PREFECT_HOME": str(tmp_path), "PATH": ""}
    run = subprocess.Popen([sys.executable, "-c", STARTS_ONE], stdout=subprocess.PIPE, text=True, env=environment)
    assert run.stdout
    url = run.stdout.readline().strip()
    assert answers(url)
    run.kill()
    run.communicate()
    until = time.monotonic() + 30
    while answers(url) and time.monotonic() < until:
        time.sleep(0.1)
    assert not answers(url)


def test_one_that_cannot_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db")
    server = OwnServer()
    with pytest.raises(
        ServerUnavailable, match=r"Prefect's server could not be started \(.*unable to open.*PREFECT_HOME"
    ):
        server.wait()
    server.stop()


def test_one_that_no_run_needs_is_killed_at_once() -> None:
    server = OwnServer()
    with pytest.raises(ServerUnavailable), server:
        raise ServerUnavailable("the ratings cannot be read")
    assert server._process.wait(30) == -signal.SIGKILL
    server.stop()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, "{}", r"answers with an error \(401 Unauthorized\)\."),
        (500, "{}", r"answers with an error \(500 Internal Server Error\)\."),
        (200, "<html>", r"does not answer as Prefect's server does\."),
    ],
)
def test_a_named_server_that_would_not_serve_us_is_refused(status: int, body: str, sentence: str) -> None:
    with (
        answering(status, body) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(ServerUnavailable, match=f"Prefect's server at {url} {sentence}"),
    ):
        running_server()


def test_a_named_server_that_answers_is_taken() -> None:
    with answering(200, "[]") as url, temporary_settings({PREFECT_API_URL: url}):
        assert running_server() == url


@pytest.fixture
def unnamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have PREFECT_API_URL name no server, and processes be recorded in a folder of the test's, which is yielded."""
    monkeypatch.setattr(flows.server, "STATE", tmp_path)
    monkeypatch.setattr(flows.server, "PROJECT", Path.cwd())
    with temporary_settings({PREFECT_SERVER_API_PORT: 9}, restore_defaults={PREFECT_API_URL}):
        yield tmp_path


@pytest.mark.parametrize("name", flows.server.SERVERS)
def test_the_server_that_this_folder_has_started_is_taken(name: str, unnamed: Path) -> None:
    with answering(200, "true", asked="[]") as url:
        server_record(name).write(os.getpid(), about=url)
        assert running_server() == url


def test_that_of_version_0_2_0_is_taken_at_the_usual_address(unnamed: Path) -> None:
    with answering(200, "true", asked="[]") as url, at_the_usual_address(url):
        (unnamed / "server.json").write_text(
            json.dumps({"pid": os.getpid(), "born": psutil.Process().create_time(), "about": ""})
        )
        assert running_server() == url


@contextmanager
def at_the_usual_address(url: str) -> Iterator[None]:
    port = urlsplit(url).port
    with temporary_settings({PREFECT_SERVER_API_PORT: port}):
        yield


def test_a_server_that_nobody_here_has_started_is_not_taken_and_it_is_said_how_to(unnamed: Path) -> None:
    said: list[str] = []
    with answering(200, "true", asked="[]") as url, at_the_usual_address(url):
        assert running_server(said.append) is None
        assert said == [
            f"Prefect's server at {url} was not started from this folder, so this run has a server of its own: "
            f"to report to that one, set PREFECT_API_URL={url}"
        ]
        with temporary_settings({PREFECT_API_URL: url}):
            assert running_server(said.append) == url
    assert len(said) == 1


@pytest.mark.parametrize(("status", "body"), [(200, "a page"), (404, "")])
def test_what_is_not_prefects_server_is_not_worth_a_word(status: int, body: str, unnamed: Path) -> None:
    with answering(status, body) as url, at_the_usual_address(url):
        assert running_server(pytest.fail) is None


def test_one_that_has_taken_the_port_of_ours_is_not_taken(unnamed: Path) -> None:
    ours = subprocess.Popen(["sleep", "600"])
    try:
        with answering(200, "true", asked="[]") as url:
            server_record("server").write(ours.pid, about=url)
            assert running_server() is None
    finally:
        ours.kill()
        ours.wait()


def test_that_of_the_folder_that_this_one_was_copied_from_is_not_taken(
    unnamed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(200, "true", asked="[]") as url:
        server_record("server").write(os.getpid(), about=url)
        monkeypatch.setattr(flows.server, "PROJECT", unnamed)
        assert running_server() is None


def test_one_that_wants_a_password_is_left_alone(unnamed: Path) -> None:
    said: list[str] = []
    with answering(200, "true", refused=401) as url:
        server_record("ui").write(os.getpid(), about=url)
        assert running_server(said.append) is None
    assert said == [
        f"Prefect's server at {url} answers with an error (401 Unauthorized): this run has a server of its own instead."
    ]


def test_without_any_there_is_none(unnamed: Path) -> None:
    assert running_server(pytest.fail) is None
