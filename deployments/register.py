"""Registering the deployments at a server."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL
from prefect.workers.process import ProcessWorker

from deployments.claims import NotDeployed, claim, claim_pool
from deployments.config import FILE, ROOT, Deployment
from flows.server import running_server


def register_at_named_server(suffix: str | None = None, *, take_over: bool = False) -> None:
    """Register the deployments at the server that PREFECT_API_URL names; for the options see `claim`.

    Raises:
        NotDeployed: it names none, the deployments there are another folder's, or the server refuses them.
        ServerUnavailable: the server does not answer.
    """
    if not PREFECT_API_URL.value():
        raise NotDeployed("PREFECT_API_URL names no server: set it, or use make deploy, which starts one.")
    running_server()
    with get_client(sync_client=True) as client:
        call = "python -m deployments register {}"
        claimed = claim(client, suffix, take_over=take_over, call=call)
        names = ", ".join(register(client, claimed))
        print(f"Registered at {client.api_url}, for workers of the pool {claimed[0].pool}: {names}.")


def register(client: SyncPrefectClient, claimed: Sequence[Deployment]) -> dict[str, UUID]:
    """Register the work pool and all deployments at the client's server, or update them; return their ids by name.

    Raises:
        NotDeployed: the server refuses them.
    """
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=claimed[0].pool, type=ProcessWorker.type, base_job_template=template)
    with suppress(ObjectAlreadyExists):  # one that exists is left as it is
        client.create_work_pool(pool)
    claim_pool(client, pool.name)
    _deploy(str(client.api_url), claimed)
    return {deployment.name: _share_limit(client, deployment) for deployment in claimed}


def _deploy(api: str, claimed: Sequence[Deployment]) -> None:
    """Register all deployments of the file, or update them, with Prefect's own command and the names claimed."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for declared, deployment in zip(content["deployments"], claimed, strict=True):
        declared.update(name=deployment.name, work_pool=deployment.work_pool)
    environment = {"PREFECT_API_URL": api, "PWD": str(ROOT), "COMPARE_VERSION": code_version(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE.name)
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        lines = filter(None, map(str.strip, reversed((done.stderr + done.stdout).split("\n"))))
        reason = next(lines, "without an error message")
        raise NotDeployed(f"The deployments could not be registered ({reason}).")


def _share_limit(client: SyncPrefectClient, deployment: Deployment) -> UUID:
    """Let a registered deployment share one concurrency limit with all others on its store; return its id.

    Prefect's YAML has limits of single deployments only (its issue 18715), its API has shared ones. Occupied slots
    stay occupied.
    """
    registered = client.read_deployment_by_name(deployment.full_name)
    client.upsert_global_concurrency_limit_by_name(deployment.store_limit, deployment.concurrency_limit["limit"])
    shared = client.read_global_concurrency_limit_by_name(deployment.store_limit)
    own = registered.global_concurrency_limit
    if own is None or own.id != shared.id:
        change = {"global_concurrency_limit_id": str(shared.id)}
        client.request("PATCH", "/deployments/{id}", path_params={"id": registered.id}, json=change).raise_for_status()
        if own and own.name == f"deployment:{registered.id}":
            client.delete_global_concurrency_limit_by_name(own.name)
    return registered.id


def code_version(root: Path) -> str:
    """Return the package's version, and the commit if the folder is a Git repository and Git is installed."""
    package = version("mf-or-dnn")
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        described = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return package
    return f"{package}+{described.stdout.strip()}" if described.returncode == 0 else package
