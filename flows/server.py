"""The Prefect server that a run reports to: one that is running, or one that the run starts for itself.

Prefect would start one itself, but only when the flow begins, after two seconds of importing the server into the run's
process, and would leave it behind if the run were killed. `OwnServer` starts while the run still loads Keras, and ends
with the run however that ends, as it watches a pipe that is closed then.
"""

import atexit
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

import httpx

from flows.process_record import ProcessRecord
from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

PROJECT = Path(__file__).resolve().parent.parent

STATE = PROJECT / ".deploy"
"""Folder of the records and logs of the processes that `make ui` and `make deploy` start."""

SERVERS = ("server", "ui")
"""Names of the records of servers: of `make deploy`, and of `make ui`."""

WITHOUT_SERVER = "ephemeral"
"""Prefect's own profile that is active where no other is."""

START_TIMEOUT = 180.0
"""Seconds; a first start migrates a database, which takes 30 s and more on 2 cores."""

STOP_TIMEOUT = 5.0

REQUEST_TIMEOUT = httpx.Timeout(90.0, connect=30.0)
"""After which a server that PREFECT_API_URL names is taken for absent; a busy one can take half a minute to answer."""

log = logging.getLogger(__name__)


def running_server(warn: Callable[[str], object] = log.warning) -> str | None:
    """Return the URL of the server that PREFECT_API_URL names, or of the one that was started from this folder, if any.

    No other server is joined: it may belong to somebody else, or end at any time. If there is one at the usual address,
    or if the one of this folder refuses requests, `warn` is called with one sentence.

    Raises:
        ServerUnavailable: the server that PREFECT_API_URL names does not answer, or refuses requests.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if named := PREFECT_API_URL.value():
        _check(named)
        return str(named)
    if started := started_server():
        try:
            with temporary_settings({PREFECT_API_URL: started}):
                _check(started)
        except ServerUnavailable as error:
            warn(f"{str(error).removesuffix('.')}: this run has a server of its own instead.")
            return None
        return started
    if is_healthy(usual := usual_address(), timeout=1):
        warn(
            f"Prefect's server at {usual} was not started from this folder, so this run has a server of its own: "
            f"to report to that one, set PREFECT_API_URL={usual}"
        )
    return None


def none_configured() -> bool:
    """Return whether there is no server that `running_server` could return, without importing Prefect.

    None is named in Prefect's environment, its active profile or its files of settings, and none runs from this folder.
    Where that is in doubt, the answer is no.
    """
    environment = os.environ
    if environment.get("PREFECT_API_URL"):
        return False
    home = Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = Path(environment.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    if _profile_may_name_server(profiles, environment.get("PREFECT_PROFILE")):
        return False
    files = Path(".env"), Path("prefect.toml"), Path("pyproject.toml")
    return not any(map(_may_name_server, files)) and not any(server_record(name).process for name in SERVERS)


def _profile_may_name_server(file: Path, active: str | None) -> bool:
    """Whether a profile, the file's active one if there is no other, could name a server; its file need not exist."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        name = active or document.get("active") or WITHOUT_SERVER
        profile = document.get("profiles", {}).get(name)
        return name != WITHOUT_SERVER if profile is None else "PREFECT_API_URL" in profile
    except (OSError, ValueError, AttributeError, TypeError):
        return True


def _may_name_server(file: Path) -> bool:
    """Whether a file could name a server as one of Prefect's settings, PREFECT_API_URL or `url` in the table `api`."""
    try:
        text = file.read_text(encoding="utf-8")
        if "PREFECT_API_URL" in text or file.suffix != ".toml":
            return "PREFECT_API_URL" in text
        document = tomllib.loads(text)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    ours = document.get("tool", {}).get("prefect", {}) if file.name == "pyproject.toml" else document
    return "api" in ours


def started_server() -> str | None:
    """Return the URL of the API of the server that `make ui` or `make deploy` started from this folder, if it runs.

    That is the process that is recorded, runs in this folder as this user, and listens.
    """
    for name in SERVERS:
        record = server_record(name)
        url = record.about or usual_address()  # version 0.2.0 recorded no URL
        if record.listens(urlsplit(url).port or 80):
            return url
    return None


def server_record(name: str) -> ProcessRecord:
    """Return the record of one of the `SERVERS` of this folder."""
    return ProcessRecord(STATE / f"{name}.json", PROJECT)


def usual_address() -> str:
    """Return the URL of the API of a server to be started from this folder, unless PREFECT_API_URL gives another."""
    from prefect.settings import PREFECT_SERVER_API_PORT

    return f"http://127.0.0.1:{PREFECT_SERVER_API_PORT.value()}/api"


def is_healthy(url: str, timeout: float = 10) -> bool:
    """Return whether a Prefect server answers at this URL of its API."""
    try:
        return httpx.get(f"{url}/health", timeout=timeout, verify=certificates()).text == "true"
    except httpx.TransportError:
        return False


@cache
def certificates() -> ssl.SSLContext:
    """Load the certificates once: that takes a tenth of a second, in which a server that is asked for could start."""
    return httpx.create_ssl_context()


def _check(url: str) -> None:
    """Make a request that needs the server's database, with the credentials of Prefect's settings."""
    from prefect.client.orchestration import get_client

    from tasks.progress import without_retries

    with without_retries(), get_client(httpx_settings={"timeout": REQUEST_TIMEOUT}, sync_client=True) as client:
        try:
            client.read_flows(limit=1)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ServerUnavailable(f"Prefect's server at {without_password(url)} {failure_of(error)}.") from error


def failure_of(error: Exception) -> str:
    """Return how a server failed a request of Prefect's client, as the predicate of a sentence."""
    from prefect.exceptions import ObjectNotFound

    if isinstance(error, httpx.HTTPStatusError):
        status = f"{error.response.status_code} {error.response.reason_phrase}".strip()
        return f"answers with an error ({status})"
    if isinstance(error, ObjectNotFound):
        return "does not know the run any more, as another server or database has taken its place"
    return "does not answer as Prefect's server does" if isinstance(error, ValueError) else "does not answer"


class OwnServer:
    """A server process that ends when this process does, after Prefect's threads have sent their last messages.

    As a context manager, it is killed where what is done while it starts fails: there is no run that needs it.
    """

    def __init__(self) -> None:
        """Begin to start it; call `wait` before the first request."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server runs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            env={"PREFECT_SERVER_ANALYTICS_ENABLED": "false", **os.environ, "PREFECT_API_URL": self.url},
            start_new_session=True,  # Ctrl-C ends the run, which has to report that to the server
        )
        atexit.register(self.stop)

    def wait(self) -> None:
        """Wait until it answers, or raise ServerUnavailable with the reason from its standard error."""
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            if is_healthy(self.url, timeout=START_TIMEOUT):
                return
            time.sleep(0.05)
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        errors = [line.strip() for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)] or lines
        reason = errors[-1] if errors else "without an error message"
        remedy = "try to start one with make ui"
        if "unable to open database file" in reason:
            remedy = "set PREFECT_HOME, which is ~/.prefect otherwise, to a folder that can be written"
        raise ServerUnavailable(f"Prefect's server could not be started ({reason}): {remedy}, and repeat the command.")

    def __enter__(self) -> Self:  # noqa: D105
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:  # noqa: D105
        if kind:
            self._process.kill()

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


def _serve(port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))

    def end_with_the_run() -> None:
        os.read(sys.stdin.fileno(), 1)
        server.should_exit = True
        time.sleep(STOP_TIMEOUT)
        os._exit(1)

    threading.Thread(target=end_with_the_run, daemon=True).start()
    server.run()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
