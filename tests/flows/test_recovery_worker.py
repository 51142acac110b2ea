"""A worker that is killed in the middle of a training, and the next run of its deployment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tests.factories import write_ratings
from tests.interrupting import MANY_EPOCHS, checkpoint, long_settings, numbers
from tests.processes import PATIENCE, ROOT, PrefectServer, kill, started, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

POOL = "workers"

SECONDS_BETWEEN_HEARTBEATS = 30
"""The fewest that Prefect allows."""

ENDS = ["Completed", "Failed", "Cancelled", "Crashed"]

SILENT_RUNS_HAVE_CRASHED: dict[str, Any] = {
    "name": "Silent runs have crashed",
    "trigger": {
        "type": "event",
        "posture": "Proactive",
        "after": ["prefect.flow-run.heartbeat"],
        "expect": ["prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in ENDS)],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": 3 * SECONDS_BETWEEN_HEARTBEATS,
    },
    "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": "it is silent"}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    try:
        server.ask("automations/", **SILENT_RUNS_HAVE_CRASHED)
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def deployment(server: PrefectServer) -> str:
    """The id of a deployment of our flow to a pool of worker processes."""
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    server.ask("work_pools/", name=POOL, type="process", base_job_template=template)
    flow = server.ask("flows/", name="compare")
    made = server.ask(
        "deployments/",
        name="recovery",
        flow_id=flow["id"],
        entrypoint="flows/compare.py:compare",
        path=str(ROOT),
        work_pool_name=POOL,
        job_variables={"working_dir": str(ROOT)},
    )
    return str(made["id"])


@pytest.fixture
def workers(server: PrefectServer, tmp_path: Path) -> Iterator["Workers"]:
    workers = Workers(server, tmp_path / "worker.log")
    try:
        yield workers
    finally:
        workers.kill()


class Workers:
    """A worker of the pool, and after it the next."""

    def __init__(self, server: PrefectServer, log: Path) -> None:
        self._log = log
        self._environment = {
            **server.environment,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(SECONDS_BETWEEN_HEARTBEATS),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.start()

    def start(self) -> None:
        self._process = started(
            *("-m", "prefect", "worker", "start", "--pool", POOL), environment=self._environment, output=self._log
        )

    def kill(self) -> None:
        """Kill it and the run that it has begun."""
        kill(self._process)

    def said(self) -> str:
        return self._log.read_text()


def asked_for(server: PrefectServer, deployment: str, settings: Settings) -> str:
    """Ask for a run of the deployment and return its id."""
    parameters = {"settings": settings.model_dump(mode="json")}
    return str(server.ask(f"deployments/{deployment}/create_flow_run", parameters=parameters)["id"])


def state(server: PrefectServer, run: str) -> str:
    (found,) = server.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
    return str(found["state_type"])


def end(server: PrefectServer, run: str) -> str:
    """Wait for the end of a run and return its last state."""
    until(lambda: state(server, run) in {"COMPLETED", "FAILED", "CRASHED"}, "the end of a run", 3 * PATIENCE)
    return state(server, run)


def log(server: PrefectServer, run: str) -> list[str]:
    lines = server.ask("logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC", limit=200)
    return [str(line["message"]) for line in lines]


def test_the_next_run_goes_on_from_the_last_epoch_to_the_same_numbers(
    server: PrefectServer, deployment: str, workers: Workers, tmp_path: Path
) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    interrupted, undisturbed = (long_settings(ratings, tmp_path / name) for name in ("interrupted", "undisturbed"))
    killed = asked_for(server, deployment, interrupted)
    until(lambda: checkpoint(interrupted) or state(server, killed) not in {"SCHEDULED", "PENDING", "RUNNING"}, "a run")
    workers.kill()
    left = checkpoint(interrupted)
    assert left, workers.said()
    assert state(server, killed) == "RUNNING"
    until(lambda: state(server, killed) == "CRASHED", "the server's notice of a silent run")

    workers.start()
    again, at_once = (asked_for(server, deployment, settings) for settings in (interrupted, undisturbed))
    for run in (again, at_once):
        assert end(server, run) == "COMPLETED", log(server, run)
    epoch = int(left.name.removeprefix("epoch-"))
    assert f"mf: the training was interrupted and continues after epoch {epoch}/{MANY_EPOCHS}" in log(server, again)
    assert not any("continues after" in line for line in log(server, at_once))
    assert numbers(interrupted) == numbers(undisturbed)
