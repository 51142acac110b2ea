"""Which server `make deploy` uses, and where it starts one, without one that is really started."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_PORT, temporary_settings

import deployments.machine
import flows.server
from deployments.machine import ensure_server, ui
from deployments.process import Background
from flows.server import server_record
from recsys.errors import ServerUnavailable
from tests.answering import answering
from tests.processes import free_port

HEALTHY = (200, "true", "[]")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have no server named, none started, and whoever would start one fail."""

    def start(self: Background, *command: object, **options: object) -> None:
        raise AssertionError("a server is started")

    monkeypatch.setattr(Background, "start", start)
    monkeypatch.setattr(deployments.machine, "SERVER", Background("server", tmp_path, Path.cwd()))
    monkeypatch.setattr(flows.server, "STATE", tmp_path)
    monkeypatch.setattr(flows.server, "PROJECT", Path.cwd())
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield tmp_path


def test_the_server_of_this_folder_is_used_wherever_it_listens() -> None:
    with answering(*HEALTHY) as url:
        server_record("ui").write(os.getpid(), about=url)
        assert ensure_server() == url


def test_the_server_that_is_named_is_used_whosever_it_is() -> None:
    with answering(*HEALTHY) as url, temporary_settings({PREFECT_API_URL: url}):
        assert ensure_server() == url


@pytest.mark.parametrize("start", [ensure_server, ui])
def test_another_one_at_the_usual_address_is_not_used_and_both_ways_on_are_said(start: Callable[[], object]) -> None:
    with answering(*HEALTHY) as url, temporary_settings({PREFECT_SERVER_API_PORT: urlsplit(url).port}):
        with pytest.raises(ServerUnavailable) as refused:
            start()
        said = str(refused.value)
        assert f"was not started from this folder: to use it nevertheless, set PREFECT_API_URL={url}, and" in said
        other = said.rpartition("PREFECT_API_URL=")[2]
        with temporary_settings({PREFECT_API_URL: other}), pytest.raises(AssertionError, match="a server is started"):
            ensure_server()


def test_something_else_at_the_usual_address_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        temporary_settings({PREFECT_SERVER_API_PORT: taken.getsockname()[1]}),
        pytest.raises(ServerUnavailable, match="listens something else than Prefect's server: to start one"),
    ):
        ensure_server()


def test_on_another_machine_none_is_started() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://prefect.invalid:4200/api"}),
        pytest.raises(ServerUnavailable, match="does not answer: start it there, or unset PREFECT_API_URL"),
    ):
        ensure_server()


def test_one_that_this_folder_has_started_elsewhere_is_not_waited_for() -> None:
    server_record("server").write(os.getpid(), about="http://127.0.0.1:9/api")
    named = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: named}),
        pytest.raises(
            ServerUnavailable, match=r"was started at http://127\.0\.0\.1:9 and not at .*: end it with make stop"
        ),
    ):
        ensure_server()


def test_the_ui_that_runs_already_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(*HEALTHY) as url:
        server_record("server").write(os.getpid(), about=url)
        ui()
        assert capsys.readouterr().out == f"Prefect's UI is at {url.removesuffix('/api')} already.\n"
