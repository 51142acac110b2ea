"""Making a server know the deployments."""

import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL
from prefect.workers.process import ProcessWorker

from deployments.config import FILE, ROOT, Declared, declared
from flows.server import running_server
from recsys.errors import UserError


class NotDeployed(UserError):
    """Deployments that cannot be registered, or served."""


def register_at_named_server() -> None:
    """Have the deployments on the server that PREFECT_API_URL names, and say so.

    Raises:
        NotDeployed: it names none, or the server does not take them.
        ServerUnavailable: the server does not answer.
    """
    if not PREFECT_API_URL.value():
        raise NotDeployed("PREFECT_API_URL names no server: set it, or use make deploy, which starts one.")
    running_server()
    with get_client(sync_client=True) as client:
        print(f"Registered at {client.api_url}: {', '.join(register(client))}.")


def register(client: SyncPrefectClient) -> dict[str, UUID]:
    """Have the work pool and all deployments of the file on the client's server; return their ids by name.

    Raises:
        NotDeployed: the server does not take them.
    """
    _ensure_pool(client, declared()[0].pool)
    _deploy(str(client.api_url))
    return {deployment.name: _share_limit(client, deployment) for deployment in declared()}


def _ensure_pool(client: SyncPrefectClient, name: str) -> None:
    """Have a work pool of processes; one that is there stays as it is."""
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template))


def _deploy(api: str) -> None:
    """Have Prefect's own command register, or update, all deployments of the file.

    Raises:
        NotDeployed: it did not.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(FILE)]
    environment = {"PREFECT_API_URL": api, "PWD": str(ROOT), "COMPARE_VERSION": code_version(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        said = [line.strip() for line in (done.stderr + done.stdout).split("\n") if line.strip()]
        raise NotDeployed(f"The deployments were not registered ({said[-1] if said else 'nothing was said'}).")


def _share_limit(client: SyncPrefectClient, deployment: Declared) -> UUID:
    """Let a registered deployment share one limit with all others on its store; return the deployment's id.

    Prefect's YAML knows limits of one deployment only (its issue 18715), its API knows shared ones. A slot that is
    taken stays taken.
    """
    registered = client.read_deployment_by_name(deployment.full_name)
    client.upsert_global_concurrency_limit_by_name(deployment.store_limit, deployment.concurrency_limit["limit"])
    shared = client.read_global_concurrency_limit_by_name(deployment.store_limit)
    own = registered.global_concurrency_limit
    if own is None or own.id != shared.id:
        client.request(
            "PATCH",
            "/deployments/{id}",
            path_params={"id": registered.id},
            json={"global_concurrency_limit_id": str(shared.id)},
        ).raise_for_status()
        if own and own.name == f"deployment:{registered.id}":
            client.delete_global_concurrency_limit_by_name(own.name)
    return registered.id


def code_version(root: Path) -> str:
    """Return the package's version, and the commit where the folder is a Git repository and there is Git."""
    package = version("mf-or-dnn")
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return package
    return f"{package}+{described.stdout.strip()}" if described.returncode == 0 else package
