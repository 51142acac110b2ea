"""Whose the deployments and work pools of a Prefect server are.

Two folders with this project can use one server, or one after the other the same database. Prefect tells deployments by
their names alone, so that the second folder would take over those of the first, and their workers would share a pool.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from deployments.config import ROOT, Deployment, deployments
from recsys.errors import UserError
from recsys.store.remote import without_password

FOLDER_LINE = "Folder of the project: `{}`"
"""Last line of the description of a work pool, or of a deployment without one: Prefect has no field for it."""


class NotDeployed(UserError):
    """The deployments could not be registered or served."""


def claim(client: SyncPrefectClient, suffix: str | None, *, take_over: bool, call: str) -> tuple[Deployment, ...]:
    """Return the deployments of the file, with the names and the work pool that they are to have at a server.

    Args:
        client: of the server.
        suffix: is added to all names; None for the one that this folder's deployments have there already.
        take_over: whether deployments of another folder with these names become this folder's.
        call: what the user called, with {} where options go, for advice.

    Raises:
        NotDeployed: the suffix cannot be part of a name, or deployments of these names belong to another folder.
    """
    if suffix and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", suffix):
        raise NotDeployed(f"--suffix {suffix!r} is no part of a name: take letters, digits, dots, dashes, underscores.")
    registered = _registered(client)
    ours = sorted((one for one in registered if is_here(folder_of(one))), key=lambda one: str(one.updated))
    if suffix is None:
        suffix = (_suffix(ours[-1].name) if ours else None) or ""
    names = {_with(suffix, declared.name): declared.name for declared in deployments()}
    for one in registered:
        folder = folder_of(one)  # version 0.2.0 gave those that it served none
        if one.name in names and folder and not is_here(folder) and not take_over:
            raise NotDeployed(
                f"The deployment {one.name} at {without_password(str(client.api_url)).rstrip('/')} is that of the "
                f"project in {folder}: {call.format('--take-over')} has all of them run in this folder instead, and "
                f"{call.format('--suffix NAME')} registers others beside them, such as {names[one.name]}-NAME."
            )
    pools = [one.work_pool_name for one in ours if one.name in names and one.work_pool_name]
    pool = pools[-1] if pools else _free_pool(client, _with(suffix, deployments()[0].pool))
    return tuple(
        declared.model_copy(update={"name": name, "work_pool": {**declared.work_pool, "name": pool}})
        for name, declared in zip(names, deployments(), strict=True)
    )


def left_behind(client: SyncPrefectClient, claimed: Iterable[Deployment]) -> list[str]:
    """Return the names of the deployments that this folder has besides, with another suffix."""
    names = {deployment.name for deployment in claimed}
    return [one.name for one in _registered(client) if is_here(folder_of(one)) and one.name not in names]


def claim_pool(client: SyncPrefectClient, name: str) -> None:
    """Describe a work pool as this folder's, unless it has a description."""
    if not client.read_work_pool(name).description:
        client.update_work_pool(name, WorkPoolUpdate(description=FOLDER_LINE.format(ROOT)))


def folder_of(registered: DeploymentResponse) -> str | None:
    """Return the folder of the project in which the runs of a deployment work; None if that is not known."""
    return registered.job_variables.get("working_dir") or _folder_in(registered.description)


def is_here(folder: str | None) -> bool:
    """Return whether a folder is this project's."""
    return folder is not None and (Path(folder) == ROOT or (os.path.isdir(folder) and ROOT.samefile(folder)))


def _folder_in(description: str | None) -> str | None:
    before, after = FOLDER_LINE.split("{}")
    found = re.search(f"{re.escape(before)}(.+){re.escape(after)}$", description or "")
    return found[1] if found else None


def _registered(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """All deployments of the server with names of the file, and any suffix."""
    flows = FlowFilter(name=FlowFilterName(any_=sorted({one.full_name.partition("/")[0] for one in deployments()})))
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(flow_filter=flows, offset=len(found)):
        found += page
    return [one for one in found if _suffix(one.name) is not None]


def _with(suffix: str, name: str) -> str:
    return f"{name}-{suffix}" if suffix else name


def _suffix(name: str) -> str | None:
    """What was added to a name of the file; None if it is no such name."""
    for declared in deployments():
        if name == declared.name or name.startswith(f"{declared.name}-"):
            return name.removeprefix(declared.name).removeprefix("-")
    return None


def _free_pool(client: SyncPrefectClient, name: str) -> str:
    """Return the name of a work pool that is no other folder's: this one or, if it is taken, this one with a digest."""
    try:
        described = _folder_in(client.read_work_pool(name).description)
    except ObjectNotFound:
        return name
    there = client.read_deployments(work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[name])))
    if is_here(described) or (described is None and all(is_here(folder_of(one)) for one in there)):
        return name
    return f"{name}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
