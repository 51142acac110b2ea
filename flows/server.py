"""The Prefect server that a run tells what it does: one that is running, or one of the run's own.

Prefect would start one itself, but only once the flow begins, after two seconds of importing the server
into the run's process, and it would leave it behind if the run were killed. `OwnServer` begins to start while
the run is still loading Keras, and ends with the run however that ends: it watches a pipe that closes then.
"""

import atexit
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO

import httpx

from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

LOCAL_SERVER = "http://127.0.0.1:4200/api"
"""Where `make ui` starts a server."""

PATIENCE = 180.0
"""Seconds until it has to answer; a first start migrates a database, which takes 30 s and more on 2 cores."""

FAREWELL = 5.0
"""Seconds that it may take to end."""

log = logging.getLogger(__name__)

SILENCE = 30.0
"""Seconds after which a server that PREFECT_API_URL names is taken for absent."""


def running_server(warn: Callable[[str], object] = log.warning) -> str | None:
    """Return the address of the server that PREFECT_API_URL names, or of one at Prefect's usual place, if any.

    Args:
        warn: is told in one sentence of a server at the usual place that turns the run away.

    Raises:
        ServerUnavailable: PREFECT_API_URL names a server that does not answer, or that turns the run away.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if named := PREFECT_API_URL.value():
        _ask(named)
        return str(named)
    try:
        found = httpx.get(f"{LOCAL_SERVER}/health", timeout=1).text == "true"
    except httpx.TransportError:
        found = False
    if not found:
        return None
    try:
        with temporary_settings({PREFECT_API_URL: LOCAL_SERVER}):
            _ask(LOCAL_SERVER)
    except ServerUnavailable as trouble:
        warn(f"{str(trouble).removesuffix('.')}: this run has a server of its own instead.")
        return None
    return LOCAL_SERVER


def _ask(named: str) -> None:
    """Ask a named server something that takes its database, with the credentials of Prefect's settings."""
    from prefect.client.orchestration import get_client

    from tasks.progress import asking_once

    with asking_once(), get_client(httpx_settings={"timeout": SILENCE}, sync_client=True) as client:
        try:
            client.read_flows(limit=1)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as trouble:
            where = without_password(named)
            raise ServerUnavailable(f"Prefect's server at {where} {what_is_wrong(trouble)}.") from trouble


def what_is_wrong(trouble: Exception) -> str:
    """Return what a server does that Prefect's client could not talk to, as the predicate of a sentence."""
    if isinstance(trouble, httpx.HTTPStatusError):
        status = f"{trouble.response.status_code} {trouble.response.reason_phrase}".strip()
        return f"answers with an error ({status})"
    if isinstance(trouble, ValueError):
        return "does not answer as Prefect's server does"
    return "does not answer"


class OwnServer:
    """A server process, which ends when this process does, after Prefect's workers have said all they have to say."""

    def __init__(self) -> None:
        """Begin to start it; `wait` before the first request."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server runs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            env={"PREFECT_SERVER_ANALYTICS_ENABLED": "false", **os.environ, "PREFECT_API_URL": self.url},
            start_new_session=True,  # Ctrl-C ends the run, which has to tell the server so
        )
        atexit.register(self.stop)

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            ServerUnavailable: it does not, and here is why.
        """
        until = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/health", timeout=PATIENCE).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").splitlines()
        reasons = [line.strip() for line in said if re.match(r"[\w.]+(Error|Exception): ", line)] or said
        reason = reasons[-1] if reasons else "it said nothing"
        remedy = "try to start one with make ui"
        if "unable to open database file" in reason:
            remedy = "set PREFECT_HOME, which is ~/.prefect otherwise, to a folder that can be written"
        raise ServerUnavailable(f"Prefect's server could not be started ({reason}): {remedy}, and repeat the command.")

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()


def _serve(port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))

    def end_with_the_run() -> None:
        os.read(sys.stdin.fileno(), 1)
        server.should_exit = True
        time.sleep(FAREWELL)
        os._exit(1)

    threading.Thread(target=end_with_the_run, daemon=True).start()
    server.run()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
