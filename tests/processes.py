"""Real processes that the slow tests start and kill: Prefect's server, a worker, the command line, PostgreSQL."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from flows.access import ALLOWED_PATHS
from flows.server import certificates

ROOT = Path(__file__).parent.parent

PATIENCE = 600.0
"""Seconds in which anything comes about that comes about at all, on a busy machine."""


def until(happens: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := happens():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {patience:.0f} s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def started(*arguments: str, environment: dict[str, str], output: Path | None = None) -> subprocess.Popen[bytes]:
    """Start Python with some arguments at the project's root, in a process group of its own."""
    with open(output or os.devnull, "ab") as written:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, none of which can do anything about it."""
    if process.poll() is None:
        kill_family(process.pid)
    process.wait()


def kill_family(pid: int) -> None:
    """Kill the process of this number, which may be another's child, and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)


@dataclass
class PrefectServer:
    """A Prefect server with a home and a port of its own, which can be killed and started again.

    Attributes:
        home: its PREFECT_HOME, with its database unless there is another.
        database: URL of another database.
        port: where it listens, the same each time.
    """

    home: Path
    database: str | None = None
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to know to talk to it."""
        # the runs of its deployments read and write beside its home
        return {"PREFECT_HOME": str(self.home), "PREFECT_API_URL": self.url, ALLOWED_PATHS: str(self.home.parent)}

    def start(self) -> None:
        """Start it, and return once it answers."""
        database = {"PREFECT_API_DATABASE_CONNECTION_URL": self.database} if self.database else {}
        self._process = started(
            *("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)),
            environment={**self.environment, **database, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
            output=self.home / "server.log",
        )
        until(self.answers, "an answer of Prefect's server")

    @property
    def process(self) -> psutil.Process:
        """The process that runs."""
        assert self._process
        return psutil.Process(self._process.pid)

    def kill(self) -> None:
        if self._process:
            kill(self._process)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=30, verify=certificates()).is_success
        except httpx.TransportError:
            return False

    def ask(self, what: str, /, **body: Any) -> Any:
        """Post a request of the API and return the answer; a server that is too busy is asked again."""
        for _ in range(20):
            with suppress(httpx.TimeoutException):
                answer = httpx.post(f"{self.url}/{what}", json=body, timeout=60)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    answer.raise_for_status()
                    return answer.json()
            time.sleep(1)
        raise AssertionError(f"Prefect's server is too busy to answer {what}")
