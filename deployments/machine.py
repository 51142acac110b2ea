"""A server, a worker and the deployments, on this one machine."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import FileLock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.config import ROOT, declared
from deployments.process import Background
from deployments.register import register
from deployments.server import PATIENCE, ensure_server
from recsys.errors import ServerUnavailable
from recsys.store.remote import without_password

FOLDER = ROOT / ".deploy"
"""Logs and notes of the processes."""

SERVER = Background("server", FOLDER)
WORKER = Background("worker", FOLDER)


def up() -> None:
    """Have all of it running, and say what to open; what runs already goes on undisturbed.

    Raises:
        UserError: the server or the worker cannot be started, or the deployments are not taken.
    """
    with _alone():
        api = ensure_server(SERVER, ROOT)
        make_folders()
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            ids = register(client)
            _ensure_worker(client, declared()[0].pool, api)
    ui = without_password(api).removesuffix("/api")
    print(f"Prefect's UI is at {ui}, and its worker waits for these:\n")
    for deployment in declared():
        print(f"  {deployment.name}: {deployment.when}")
        print(f"    {ui}/deployments/deployment/{ids[deployment.name]}")
    print(f"\nServer and worker go on in the background, with logs in {FOLDER}. To end them: make stop")


def down() -> None:
    """End what `up` has begun; a run that is interrupted so goes on from there when it is started again."""
    with _alone():
        ended = [process.name for process in (WORKER, SERVER) if process.stop()]
    print(f"Ended: {' and '.join(ended)}." if ended else "Neither server nor worker was running.")


def make_folders() -> None:
    """Have the folders into which ratings are delivered."""
    for deployment in declared():
        if deployment.folder:
            deployment.folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with FileLock(FOLDER / "lock"):
        yield


def _ensure_worker(client: SyncPrefectClient, pool: str, api: str) -> None:
    """Have a worker that asks this server for work; one of another server is ended."""
    if WORKER.process and WORKER.about == api:
        return
    WORKER.stop()
    name = f"{ROOT.name} on {socket.gethostname()}"
    begun = datetime.now(UTC)
    WORKER.start(
        [
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--pool", pool, "--type", "process", "--name", name),
        ],
        cwd=ROOT,
        environment={"PREFECT_API_URL": api},
        about=api,
    )
    until = time.monotonic() + PATIENCE
    while WORKER.process and time.monotonic() < until:
        workers = client.read_workers_for_work_pool(pool)
        if any(one.name == name and one.last_heartbeat_time and one.last_heartbeat_time >= begun for one in workers):
            return
        time.sleep(0.2)
    raise ServerUnavailable(f"The worker could not be started ({WORKER.last_words()}): its log is {WORKER.log}.")
