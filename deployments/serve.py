"""The smallest way: one process that waits for its deployments' runs and begins them, without pool and worker."""

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

from deployments.config import ROOT, Declared, declared
from deployments.machine import SERVER, WORKER, make_folders
from deployments.register import NotDeployed, code_version
from deployments.server import ensure_server


def serve() -> None:
    """Serve the deployments of the file, one run at a time, until Ctrl-C; then their schedules are paused.

    A server that was started for it ends with it.

    Raises:
        NotDeployed: a worker waits for the same runs.
        ServerUnavailable: the server cannot be started.
    """
    if WORKER.process:
        raise NotDeployed("The worker of make deploy waits for the same runs: end it with make stop first.")
    found = SERVER.process
    api = ensure_server(SERVER, ROOT)
    try:
        make_folders()
        with temporary_settings({PREFECT_API_URL: api}):
            _take_from_work_pool()
            prefect.serve(*map(served, declared()), limit=1)
    finally:
        if SERVER.process and not found:
            SERVER.stop()


def _take_from_work_pool() -> None:
    """Delete the deployments of make deploy: Prefect would leave them their pool and no path to their flow.

    Their runs stay.
    """
    with get_client(sync_client=True) as client:
        for deployment in declared():
            with suppress(ObjectNotFound):
                registered = client.read_deployment_by_name(deployment.full_name)
                if registered.work_pool_name:
                    client.delete_deployment(registered.id)


def served(deployment: Declared) -> RunnerDeployment:
    """Return a deployment of the file as one that needs no work pool."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(str(ROOT / deployment.entrypoint))
    made = flow.to_deployment(
        name=deployment.name,
        description=deployment.description,
        version=code_version(ROOT),
        tags=deployment.tags,
        parameters=deployment.parameters,
        schedules=[schedule(one) for one in deployment.schedules],
        concurrency_limit=ConcurrencyLimitConfig(**deployment.concurrency_limit),
        enforce_parameter_schema=True,
    )
    assert isinstance(made, RunnerDeployment)
    return made


def schedule(words: dict[str, Any]) -> Schedule:
    """Return a schedule of the file as an object."""
    common = {"timezone": words["timezone"], "active": words["active"], "slug": words["slug"]}
    if "cron" in words:
        return Cron(words["cron"], **common)
    anchor = datetime.fromisoformat(words["anchor_date"])
    return Interval(timedelta(seconds=words["interval"]), anchor_date=anchor, **common)
