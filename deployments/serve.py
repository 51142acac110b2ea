"""Serving the deployments from one process in the foreground, without work pool and worker."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import prefect
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.config import ROOT, Deployment, deployments
from deployments.machine import SERVER, WORKER, ensure_server, make_folders
from deployments.register import NotDeployed, code_version


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
        name=deployment.name,
        description=deployment.description,
        version=code_version(ROOT),
        tags=deployment.tags,
        parameters=deployment.parameters,
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
