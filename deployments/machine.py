"""Prefect's server on this one machine, and the deployments: run by it and a worker, or served by one process."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import prefect
from filelock import FileLock
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.claims import FOLDER_LINE, NotDeployed, claim, folder_of, is_here, left_behind
from deployments.config import ROOT, Deployment, deployments
from deployments.process import Background
from deployments.register import code_version, register
from flows.server import STATE, is_healthy, server_record, started_server, usual_address
from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

SERVER = Background("server", STATE, ROOT)
WORKER = Background("worker", STATE, ROOT)

COMMAND = [sys.executable, "-m", "prefect"]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

START_TIMEOUT = 900.0
"""Seconds; the first start of a server migrates a database, which takes 30 s and more on 2 cores, and many times that
on a busy machine. For a process that has ended nobody waits."""


def up(suffix: str | None = None, *, take_over: bool = False) -> None:
    """Start whatever is not running yet, and print the URLs of the deployments; for the options see `claim`.

    Raises:
        UserError: the server or the worker cannot be started, or the deployments cannot be registered.
    """
    with _locked():
        api = ensure_server()
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            claimed = claim(client, suffix, take_over=take_over, call='make deploy ARGS="{}"')
            make_folders()
            ids = register(client, claimed)
            besides = left_behind(client, claimed)
            _ensure_worker(client, claimed[0].pool, api)
    ui = _shown(api)
    print(f"Prefect's UI is at {ui}, and its worker waits for runs of these deployments:\n")
    for deployment in claimed:
        print(f"  {deployment.name}: {deployment.when}")
        print(f"    {ui}/deployments/deployment/{ids[deployment.name]}")
    if besides:
        print(f"\nNothing runs those with the names before, which can be deleted in the UI: {', '.join(besides)}.")
    print(f"\nServer and worker go on in the background, with logs in {STATE}. To end them: make stop")


def down() -> None:
    """End the server and the worker that `up` started; an interrupted run resumes when it is started again."""
    with _locked():
        ended = [process.name for process in (WORKER, SERVER) if process.stop()]
    print(f"Ended: {' and '.join(ended)}." if ended else "Neither server nor worker was running.")


def ui() -> None:
    """Become Prefect's server, recorded so that the runs of this folder find it; if it runs already, say where.

    Raises:
        ServerUnavailable: PREFECT_API_URL names one on another machine, or the address is taken.
    """
    if running := _running_server():
        print(f"Prefect's UI is at {_shown(running)} already.")
        return
    api = PREFECT_API_URL.value() or usual_address()
    port = _free_port_of(api)
    server_record("ui").write(os.getpid(), about=api)
    os.chdir(ROOT)  # Prefect reads settings from the pyproject.toml there
    environment = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", **os.environ, "PREFECT_SERVER_API_PORT": str(port)}
    os.execve(sys.executable, [*COMMAND, "--no-prompt", "server", "start"], environment)


def make_folders() -> None:
    """Create the folders into which ratings are delivered."""
    for folder in filter(None, (deployment.folder for deployment in deployments())):
        folder.mkdir(parents=True, exist_ok=True)


def ensure_server() -> str:
    """Return the URL of the API of a running server: the one that is named, or this folder's, which may be started.

    Raises:
        ServerUnavailable: PREFECT_API_URL names one on another machine that does not answer, the address is taken, or
            it cannot be started.
    """
    if running := _running_server():
        return running
    api = PREFECT_API_URL.value() or usual_address()
    if not SERVER.process:
        port = _free_port_of(api)
        print(f"Prefect's server is being started at {_shown(api)}, which takes half a minute …", flush=True)
        SERVER.start(
            [*COMMAND, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            environment={
                "PREFECT_API_URL": api,
                "PREFECT_UI_API_URL": api,  # its UI would call port 4200, whatever the server's own
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            },
            about=api,
        )
    elif SERVER.record.about not in ("", api):
        raise ServerUnavailable(
            f"The server of this folder was started at {_shown(SERVER.record.about)} and not at {_shown(api)}: end it "
            "with make stop, or unset PREFECT_API_URL to use it."
        )
    SERVER.wait_until(lambda: is_healthy(api), START_TIMEOUT)
    return api


def _running_server() -> str | None:
    """The URL of the server that PREFECT_API_URL names or, without it, of this folder's, if it answers."""
    api = PREFECT_API_URL.value() or started_server()
    return api if api and is_healthy(api) else None


def _free_port_of(api: str) -> int:
    """Return the port of a server to be started, or raise ServerUnavailable if it cannot be started there."""
    url = urlsplit(api)
    port = url.port or 80
    if url.hostname not in LOOPBACK:
        raise ServerUnavailable(
            f"Prefect's server at {without_password(api)} does not answer: start it there, or unset PREFECT_API_URL "
            "and one is started on this machine."
        )
    if not _is_taken(port):
        return port
    free = next(other for other in range(port + 1, 65536) if not _is_taken(other))
    remedy = f"to start one for this folder at another, set PREFECT_API_URL=http://127.0.0.1:{free}/api"
    if is_healthy(api):
        raise ServerUnavailable(
            f"Prefect's server at {_shown(api)} was not started from this folder: to use it nevertheless, set "
            f"PREFECT_API_URL={api}, and {remedy}"
        )
    raise ServerUnavailable(f"At {_shown(api)} listens something else than Prefect's server: {remedy}")


def _is_taken(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _shown(api: str) -> str:
    """The URL of a server's pages."""
    return without_password(api).removesuffix("/api")


def _ensure_worker(client: SyncPrefectClient, pool: str, api: str) -> None:
    """Start a worker that polls this server for runs, unless it is running; another of this folder's is ended."""
    name = f"{ROOT.name} on {socket.gethostname()}"
    command = [*COMMAND, "worker", "start", "--pool", pool, "--type", "process", "--name", name]
    if running := WORKER.process:
        started_with = WORKER.record.command or [sys.executable, *running.cmdline()[1:]]  # 0.2.0 recorded no command
        if (WORKER.record.about, started_with) == (api, command):
            return
    WORKER.stop()
    started = datetime.now(UTC)
    WORKER.start(command, environment={"PREFECT_API_URL": api}, about=api)

    def polls() -> bool:
        mine = [worker for worker in client.read_workers_for_work_pool(pool) if worker.name == name]
        return any(worker.last_heartbeat_time and worker.last_heartbeat_time >= started for worker in mine)

    WORKER.wait_until(polls, START_TIMEOUT)


def serve(suffix: str | None = None, *, take_over: bool = False) -> None:
    """Serve the deployments, one run at a time, until Ctrl-C; then their schedules are paused. Options as of `claim`.

    A server that is started for this ends with it.

    Raises:
        NotDeployed: the worker of `make deploy` is running, or the deployments are another folder's.
        ServerUnavailable: the server cannot be started.
    """
    if WORKER.process:
        raise NotDeployed("The worker of make deploy waits for the same runs: end it with make stop first.")
    found = SERVER.process
    api = ensure_server()
    try:
        with temporary_settings({PREFECT_API_URL: api}):
            with get_client(sync_client=True) as client:
                claimed = claim(client, suffix, take_over=take_over, call='make serve ARGS="{}"')
                _make_way(client, claimed)
            make_folders()
            prefect.serve(*map(served, claimed), limit=1)
    finally:
        if SERVER.process and not found:
            SERVER.stop()


def _make_way(client: SyncPrefectClient, claimed: Sequence[Deployment]) -> None:
    """Delete deployments of these names that others would go on to run.

    Prefect would leave those of `make deploy` in their pool, without a path to their flow. A process that serves those
    of another folder asks for their ids.
    """
    for deployment in claimed:
        with suppress(ObjectNotFound):
            registered = client.read_deployment_by_name(deployment.full_name)
            if registered.work_pool_name or not is_here(folder_of(registered)):
                client.delete_deployment(registered.id)


def served(deployment: Deployment) -> RunnerDeployment:
    """Return a deployment of the file as one without a work pool."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(str(ROOT / deployment.entrypoint))
    made = flow.to_deployment(
        **deployment.model_dump(include={"name", "tags", "parameters"}),
        description=f"{deployment.description}\n{FOLDER_LINE.format(ROOT)}",
        version=code_version(ROOT),
        schedules=[_schedule(entry) for entry in deployment.schedules],
        concurrency_limit=ConcurrencyLimitConfig(**deployment.concurrency_limit),
        enforce_parameter_schema=True,
    )
    assert isinstance(made, RunnerDeployment)
    return made


def _schedule(entry: dict[str, Any]) -> Schedule:
    common = {"timezone": entry["timezone"], "active": entry["active"], "slug": entry["slug"]}
    if "cron" in entry:
        return Cron(entry["cron"], **common)
    anchor = datetime.fromisoformat(entry["anchor_date"])
    return Interval(timedelta(seconds=entry["interval"]), anchor_date=anchor, **common)


@contextmanager
def _locked() -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    with FileLock(STATE / "lock"):
        yield
