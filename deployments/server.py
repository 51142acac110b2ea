"""Prefect's server: the one that is running, or one in the background."""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from prefect.settings import PREFECT_API_URL

from deployments.process import Background
from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

LOCAL_API = "http://127.0.0.1:4200/api"
"""Where a server is expected, and started, if PREFECT_API_URL names no other place."""

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

PATIENCE = 900.0
"""Seconds until it has to answer; a first start migrates a database, which takes 30 s and more on 2 cores, and many
times that on a computer that has other work. One that ends is not waited for."""


def answers(api: str) -> bool:
    """Return whether a Prefect server answers at this address."""
    try:
        return httpx.get(f"{api}/health", timeout=10).text == "true"
    except httpx.TransportError:
        return False


def ensure_server(server: Background, root: Path) -> str:
    """Return the address of the API of a server that answers, starting one on this computer if there is none.

    It listens on the loopback interface only.

    Args:
        server: the process to start.
        root: the folder in which it works; Prefect reads settings from `pyproject.toml` there.

    Raises:
        ServerUnavailable: there is none on another computer that was named, or it cannot be started on this one.
    """
    api = PREFECT_API_URL.value() or LOCAL_API
    if answers(api):
        return api
    place = urlsplit(api)
    if place.hostname not in LOOPBACK:
        raise ServerUnavailable(
            f"Prefect's server at {without_password(api)} does not answer: start it there, or unset PREFECT_API_URL "
            "and one is started on this computer."
        )
    shown = without_password(api).removesuffix("/api")
    print(f"Prefect's server is being started at {shown}, which takes half a minute …", flush=True)
    if not server.process:
        server.start(
            [
                *(sys.executable, "-m", "prefect", "server", "start"),
                *("--host", "127.0.0.1", "--port", str(place.port or 80)),
            ],
            cwd=root,
            environment={
                "PREFECT_API_URL": api,
                "PREFECT_UI_API_URL": api,  # its UI would call port 4200, whatever its own
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            },
        )
    until = time.monotonic() + PATIENCE
    while server.process and time.monotonic() < until:
        if answers(api):
            return api
        time.sleep(0.2)
    raise ServerUnavailable(f"Prefect's server could not be started ({server.last_words()}): its log is {server.log}.")
