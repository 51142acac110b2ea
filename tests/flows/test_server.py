"""The server that a run tells what it does, and the one that it starts for itself."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.server
from flows.server import OwnServer, running_server
from recsys.errors import ServerUnavailable

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


@contextmanager
def answering(status: int, body: str, asked: str | None = None, refused: int | None = None) -> Iterator[str]:
    """Run a server that knows no CSRF tokens and answers all else alike, and yield its address.

    Args:
        status: of its answers.
        body: of its answers.
        asked: of its answers to what is posted, if that is another.
        refused: status of its answers to what is posted, if that is another.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(404 if "csrf-token" in self.path else status, body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(refused or status, asked or body)

        def answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()


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


@pytest.mark.parametrize(("status", "body", "found"), [(200, "true", True), (200, "a page", False), (404, "", False)])
def test_without_a_name_a_server_at_the_usual_place_is_taken_if_it_is_prefects(
    status: int, body: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body, asked="[]") as url, temporary_settings(restore_defaults={PREFECT_API_URL}):
        monkeypatch.setattr(flows.server, "LOCAL_SERVER", url)
        assert running_server() == (url if found else None)


def test_without_a_name_a_server_that_wants_a_password_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with (
        answering(200, "true", refused=401) as url,
        temporary_settings(restore_defaults={PREFECT_API_URL}),
    ):
        monkeypatch.setattr(flows.server, "LOCAL_SERVER", url)
        assert running_server(said.append) is None
    assert said == [
        f"Prefect's server at {url} answers with an error (401 Unauthorized): this run has a server of its own instead."
    ]


def test_without_a_name_and_a_server_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.server, "LOCAL_SERVER", "http://127.0.0.1:9/api")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert running_server() is None
