"""A Prefect server of the run's own, for when no other is running.

Prefect would start one itself, but only once the flow begins, after two seconds of importing the server
into the run's process, and it would leave it behind if the run were killed. This one begins to start while
the run is still loading Keras, and ends with the run however that ends: it watches a pipe that closes then.
"""

import atexit
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

import httpx

from recsys.errors import ServerUnavailable

PATIENCE = 180.0
"""Seconds until it has to answer; a first start migrates a database, which takes 30 s and more on 2 cores."""

FAREWELL = 5.0
"""Seconds that it may take to end."""


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
            env={"PREFECT_SERVER_ANALYTICS_ENABLED": "false", **os.environ},
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
        raise ServerUnavailable(
            f"Prefect's server could not be started ({reasons[-1] if reasons else 'it said nothing'}): "
            "try to start one with make ui and repeat the command."
        )

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
