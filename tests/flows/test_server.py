"""The server that a run starts for itself."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from flows.server import OwnServer
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
    with pytest.raises(ServerUnavailable, match=r"Prefect's server could not be started \(.*unable to open"):
        server.wait()
    server.stop()
