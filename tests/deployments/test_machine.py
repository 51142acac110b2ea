"""`make deploy` in a fresh copy of the project: real server, real worker, real runs."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deployments.config import ROOT, deployments
from deployments.process import Background
from flows.access import ALLOWED_PATHS
from tests.factories import small_settings, write_ratings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PATIENCE = 900.0
"""Seconds that a run may take on a machine that has other things to do."""

LONG_AGO = 1e9

NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".recsys", ".deploy", "reports", "incoming", ".*cache", "__pycache__"
)


@dataclass(frozen=True)
class Machine:
    """A copy of the project, with a server of its own."""

    root: Path
    api: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.root / "prefect-home"),
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
            "PYTHONPATH": str(self.root),
            ALLOWED_PATHS: str(self.root.parent.parent),
        }

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile with the packages of this test's Python, without installing them anew."""
        return subprocess.run(
            ["make", "--no-print-directory", "-o", ".venv/.installed", target, f"BIN={Path(sys.executable).parent}"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def pids(self) -> list[int]:
        found = [Background(name, self.root / ".deploy", self.root).process for name in ("server", "worker")]
        return [process.pid for process in found if process]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server; one that is too busy is asked again, as Prefect's own client does."""
        until = time.monotonic() + PATIENCE
        while True:
            answer = httpx.request(method, f"{self.api}{path}", json=body, timeout=PATIENCE)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                answer.raise_for_status()
                return answer.json() if answer.content else None
            time.sleep(1)

    def deployment(self, name: str) -> dict[str, Any]:
        full_name = next(one.full_name for one in deployments() if one.name == name)
        return dict(self.ask("GET", f"/deployments/name/{full_name}"))

    def begin(self, name: str, settings: dict[str, Any]) -> str:
        """Start a run as the form does, and return its id."""
        path = f"/deployments/{self.deployment(name)['id']}/create_flow_run"
        run = {"parameters": {"settings": settings}, "state": {"type": "SCHEDULED"}}
        return str(self.ask("POST", path, run)["id"])

    def state(self, run: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/flow_runs/{run}")["state"])

    def ended(self, run: str) -> dict[str, Any]:
        """Wait for the end of a run and return its last state."""
        return self.wait(run, "COMPLETED", "FAILED", "CANCELLED", "CRASHED")

    def wait(self, run: str, *types: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while (state := self.state(run))["type"] not in types and time.monotonic() < until:
            time.sleep(0.5)
        assert state["type"] in types, state
        return state

    def tasks(self, run: str) -> dict[str, str]:
        """Name of each task run -> name of its state."""
        runs = self.ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {one["name"]: one["state_name"] for one in runs}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("fresh") / "project"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    machine = Machine(root, f"http://127.0.0.1:{port}/api")
    try:
        deployed = machine.make("deploy")
        assert deployed.returncode == 0, deployed.stderr
        assert f"http://127.0.0.1:{port}/deployments/deployment/" in deployed.stdout
        for schedule in machine.deployment("compare-new-ratings")["schedules"]:  # it would come between the tests
            path = f"/deployments/{schedule['deployment_id']}/schedules/{schedule['id']}"
            machine.ask("PATCH", path, {"active": False})
        yield machine
    finally:
        machine.make("stop")


@pytest.fixture
def settings(machine: Machine, tmp_path: Path) -> dict[str, Any]:
    """Settings of a run of seconds, in a store of its own."""
    ratings = write_ratings(tmp_path / "ratings.csv")
    os.utime(ratings, (LONG_AGO, LONG_AGO))
    return small_settings(ratings, tmp_path, protocol="notebook").model_dump(mode="json")


def endless(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "dnn": {"embedding_size": 8, "units": [256, 256], "epochs": 10_000, "batch_size": 1}}


def test_all_that_runs_on_one_store_shares_one_slot(machine: Machine) -> None:
    limits = [machine.deployment(one.name)["global_concurrency_limit"] for one in deployments()]
    assert len({limit["id"] for limit in limits}) == 1
    assert limits[0]["limit"] == 1
    assert [limit["name"] for limit in machine.ask("POST", "/v2/concurrency_limits/filter", {})] == [limits[0]["name"]]


def test_deploying_again_leaves_what_runs_alone(machine: Machine) -> None:
    def seen() -> list[Any]:
        found = [machine.deployment(one.name) for one in deployments()]
        return [(one["id"], len(one["schedules"]), one["global_concurrency_limit"]["id"]) for one in found]

    before, pids = seen(), machine.pids()
    again = machine.make("deploy")
    assert again.returncode == 0, again.stderr
    assert seen() == before
    assert machine.pids() == pids
    assert len(pids) == 2


def test_nothing_listens_to_other_computers(machine: Machine) -> None:
    family = [
        process for pid in machine.pids() for process in (psutil.Process(pid), *psutil.Process(pid).children(True))
    ]
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_form_refuses_what_is_out_of_bounds(machine: Machine, settings: dict[str, Any]) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        machine.begin("compare-on-demand", {**settings, "split": {"test_size": 2}})
    assert "test_size" in refused.value.response.text
    assert "less than" in refused.value.response.text or "maximum" in refused.value.response.text


def test_a_run_with_other_settings_is_computed_once(machine: Machine, settings: dict[str, Any]) -> None:
    first = machine.begin("compare-on-demand", {**settings, "seed": 7})
    assert machine.ended(first)["type"] == "COMPLETED"
    assert set(machine.tasks(first).values()) == {"Completed"}
    report = Path(settings["output"]["reports"]) / "run"
    assert '"seed": 7' in (report / "manifest.json").read_text()

    second = machine.begin("compare-on-demand", {**settings, "seed": 7})
    assert machine.ended(second)["type"] == "COMPLETED"
    states = machine.tasks(second)
    assert states.pop("report") == "Completed"
    assert set(states.values()) == {"Cached"}


def test_bad_ratings_fail_at_once_with_their_line(machine: Machine, settings: dict[str, Any]) -> None:
    ratings = Path(settings["data"]["ratings"])
    ratings.write_text(ratings.read_text() + "3,4,good\n")
    run = machine.begin("compare-on-demand", settings)
    failed = machine.ended(run)
    assert failed["type"] == "FAILED"
    assert "line 402: rating 'good' is not a number" in failed["message"]
    (ingest,) = machine.ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    assert ingest["run_count"] == 1


def test_a_schedule_fires(machine: Machine, settings: dict[str, Any]) -> None:
    nightly = machine.deployment("compare-nightly")["id"]
    every_minute = {"interval": 60, "anchor_date": "2026-01-01T00:00:00+00:00", "timezone": "UTC"}
    schedule = {"schedule": every_minute, "active": True, "parameters": {"settings": settings}}
    (made,) = machine.ask("POST", f"/deployments/{nightly}/schedules", [schedule])
    fired: list[dict[str, Any]] = []
    until = time.monotonic() + PATIENCE
    while not fired and time.monotonic() < until:
        runs = machine.ask("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [nightly]}}})
        fired = [run for run in runs if run["auto_scheduled"] and run["state_type"] in ("RUNNING", "COMPLETED")]
        time.sleep(0.5)
    machine.ask("DELETE", f"/deployments/{nightly}/schedules/{made['id']}")
    assert machine.ended(fired[0]["id"])["type"] == "COMPLETED"
    assert fired[0]["parameters"]["settings"]["output"] == settings["output"]
    assert (Path(settings["output"]["reports"]) / "run" / "report.html").exists()


def test_a_second_run_on_the_store_is_dropped_or_waits_as_was_chosen(
    machine: Machine, settings: dict[str, Any]
) -> None:
    long = machine.begin("compare-on-demand", endless(settings))
    machine.wait(long, "RUNNING")
    assert machine.make("deploy").returncode == 0  # which must not free the slot
    dropped = machine.begin("compare-nightly", settings)
    assert machine.ended(dropped)["message"] == "Deployment concurrency limit reached."
    waiting = machine.begin("compare-on-demand", settings)
    until = time.monotonic() + PATIENCE
    while machine.state(waiting)["name"] != "AwaitingConcurrencySlot" and time.monotonic() < until:
        time.sleep(0.2)
    assert machine.state(waiting)["name"] == "AwaitingConcurrencySlot"
    assert machine.state(long)["type"] == "RUNNING"

    machine.ask("POST", f"/flow_runs/{long}/set_state", {"state": {"type": "CANCELLING"}})
    assert machine.ended(long)["type"] == "CANCELLED"
    assert machine.ended(waiting)["type"] == "COMPLETED"


def test_new_ratings_are_compared_once(machine: Machine, settings: dict[str, Any]) -> None:
    shutil.copy2(settings["data"]["ratings"], machine.root / "incoming" / "ratings.csv")
    watched = {**settings, "data": {"ratings": "incoming"}}
    assert machine.ended(machine.begin("compare-new-ratings", watched))["name"] == "Completed"
    again = machine.begin("compare-new-ratings", watched)
    assert machine.ended(again)["name"] == "Unchanged"
    assert machine.tasks(again) == {}


def test_stopping_leaves_nothing_running(machine: Machine, settings: dict[str, Any]) -> None:
    run = machine.begin("compare-on-demand", endless(settings))
    machine.wait(run, "RUNNING")
    family = [
        process for pid in machine.pids() for process in (psutil.Process(pid), *psutil.Process(pid).children(True))
    ]
    assert len(family) > 2, "the run is a process of the worker's"
    stopped = machine.make("stop")
    assert stopped.stdout.strip() == "Ended: worker and server."
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert machine.make("stop").stdout.strip() == "Neither server nor worker was running."


def test_one_process_serves_the_same_deployments_until_it_is_interrupted(machine: Machine, tmp_path: Path) -> None:
    assert machine.make("stop").returncode == 0
    log = tmp_path / "serve.log"
    with log.open("w") as output:
        serving = subprocess.Popen(
            [sys.executable, "-m", "deployments", "serve"],
            cwd=machine.root,
            env=machine.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE
        while "compare-new-ratings" not in log.read_text() and serving.poll() is None and time.monotonic() < until:
            time.sleep(0.5)
        assert machine.deployment("compare-new-ratings")["work_pool_name"] is None, log.read_text()
        empty = tmp_path / "empty"
        empty.mkdir()
        settings = {"data": {"ratings": str(empty)}, "output": {"store": str(tmp_path / "store")}}
        waiting = machine.ended(machine.begin("compare-new-ratings", settings))
        assert (waiting["type"], waiting["name"]) == ("COMPLETED", "Waiting")
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(PATIENCE)
    assert machine.pids() == []
