"""The deployments on this one machine: run by Prefect's server and a worker, or served by one process."""

import socket
import sys
from collections.abc import Iterator
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

from deployments.config import ROOT, Deployment, deployments
from deployments.process import Background
from deployments.register import NotDeployed, code_version, register
from flows.server import LOCAL_SERVER, is_healthy
from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

FOLDER = ROOT / ".deploy"
"""Logs and PID files of the processes."""

SERVER = Background("server", FOLDER)
WORKER = Background("worker", FOLDER)

COMMAND = [sys.executable, "-m", "prefect"]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

START_TIMEOUT = 900.0
"""Seconds; the first start of a server migrates a database, which takes 30 s and more on 2 cores, and many times that
on a busy machine. For a process that has ended nobody waits."""


def up() -> None:
    """Start whatever is not running yet, and print the URLs of the deployments.

    Raises:
        UserError: the server or the worker cannot be started, or the deployments cannot be registered.
    """
    with _locked():
        api = ensure_server()
        make_folders()
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            ids = register(client)
            _ensure_worker(client, deployments()[0].pool, api)
    ui = without_password(api).removesuffix("/api")
    print(f"Prefect's UI is at {ui}, and its worker waits for runs of these deployments:\n")
    for deployment in deployments():
        print(f"  {deployment.name}: {deployment.when}")
        print(f"    {ui}/deployments/deployment/{ids[deployment.name]}")
    print(f"\nServer and worker go on in the background, with logs in {FOLDER}. To end them: make stop")


def down() -> None:
    """End the server and the worker that `up` started; an interrupted run resumes when it is started again."""
    with _locked():
        ended = [process.name for process in (WORKER, SERVER) if process.stop()]
    print(f"Ended: {' and '.join(ended)}." if ended else "Neither server nor worker was running.")


def make_folders() -> None:
    """Create the folders into which ratings are delivered."""
    for folder in filter(None, (deployment.folder for deployment in deployments())):
        folder.mkdir(parents=True, exist_ok=True)


def ensure_server() -> str:
    """Return the URL of the API of a running server, started on this machine's loopback interface if there is none.

    Raises:
        ServerUnavailable: PREFECT_API_URL names one on another machine that does not answer, or it cannot be started.
    """
    api = PREFECT_API_URL.value() or LOCAL_SERVER
    if is_healthy(api):
        return api
    url = urlsplit(api)
    if url.hostname not in LOOPBACK:
        raise ServerUnavailable(
            f"Prefect's server at {without_password(api)} does not answer: start it there, or unset PREFECT_API_URL "
            "and one is started on this machine."
        )
    shown = without_password(api).removesuffix("/api")
    print(f"Prefect's server is being started at {shown}, which takes half a minute …", flush=True)
    if not SERVER.process:
        SERVER.start(
            [*COMMAND, "server", "start", "--host", "127.0.0.1", "--port", str(url.port or 80)],
            cwd=ROOT,  # Prefect reads settings from the pyproject.toml there
            environment={
                "PREFECT_API_URL": api,
                "PREFECT_UI_API_URL": api,  # its UI would call port 4200, whatever the server's own
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            },
        )
    SERVER.wait_until(lambda: is_healthy(api), START_TIMEOUT)
    return api


def _ensure_worker(client: SyncPrefectClient, pool: str, api: str) -> None:
    """Start a worker that polls this server for runs, unless it is running; one of another server is ended."""
    if WORKER.process and WORKER.about == api:
        return
    WORKER.stop()
    name = f"{ROOT.name} on {socket.gethostname()}"
    started = datetime.now(UTC)
    command = [*COMMAND, "worker", "start", "--pool", pool, "--type", "process", "--name", name]
    WORKER.start(command, cwd=ROOT, environment={"PREFECT_API_URL": api}, about=api)

    def polls() -> bool:
        mine = [worker for worker in client.read_workers_for_work_pool(pool) if worker.name == name]
        return any(worker.last_heartbeat_time and worker.last_heartbeat_time >= started for worker in mine)

    WORKER.wait_until(polls, START_TIMEOUT)


def serve() -> None:
    """Serve the deployments, one run at a time, until Ctrl-C; then their schedules are paused.

    A server that is started for this ends with it.

    Raises:
        NotDeployed: the worker of `make deploy` is running.
        ServerUnavailable: the server cannot be started.
    """
    if WORKER.process:
        raise NotDeployed("The worker of make deploy waits for the same runs: end it with make stop first.")
    found = SERVER.process
    api = ensure_server()
    try:
        make_folders()
        with temporary_settings({PREFECT_API_URL: api}):
            _take_from_work_pool()
            prefect.serve(*map(served, deployments()), limit=1)
    finally:
        if SERVER.process and not found:
            SERVER.stop()


def _take_from_work_pool() -> None:
    """Delete the deployments of `make deploy`, which Prefect would leave in their pool without a path to their flow."""
    with get_client(sync_client=True) as client:
        for deployment in deployments():
            with suppress(ObjectNotFound):
                registered = client.read_deployment_by_name(deployment.full_name)
                if registered.work_pool_name:
                    client.delete_deployment(registered.id)


def served(deployment: Deployment) -> RunnerDeployment:
    """Return a deployment of the file as one without a work pool."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(str(ROOT / deployment.entrypoint))
    made = flow.to_deployment(
        **deployment.model_dump(include={"name", "description", "tags", "parameters"}),
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
    FOLDER.mkdir(exist_ok=True)
    with FileLock(FOLDER / "lock"):
        yield
