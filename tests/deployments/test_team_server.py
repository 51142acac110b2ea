"""The server and the worker of compose.yaml, run as processes on Debian's PostgreSQL."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from flows.access import ALLOWED_PATHS
from tests.deployments.composed import ROOT, SECRETS, Service, services
from tests.deployments.postgres import Postgres, running_postgres
from tests.factories import small_settings, write_ratings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 300.0
"""Seconds in which a process has to answer, or a run to end."""

NAME, _, PASSWORD = SECRETS["PREFECT_API_AUTH_STRING"].partition(":")


class Team(NamedTuple):
    """What is running."""

    database: Postgres
    api: str
    environment: dict[str, str]
    """Of a client."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.TransportError:
        return False


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)


@contextmanager
def running(service: Service, here: dict[str, str], healthy: str, place: Path) -> Iterator[None]:
    """Run a service as a process, with `here` for what is elsewhere in its container; return once it is healthy."""

    def moved(text: str) -> str:
        for there, replacement in here.items():
            text = text.replace(there, replacement)
        return text

    place.mkdir()
    program, *arguments = map(moved, service["command"])
    process = subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            **{name: moved(value) for name, value in service["environment"].items()},
            "PREFECT_HOME": str(place),
            ALLOWED_PATHS: str(place.parent.parent),
        },
        stdout=(place / "log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: answers(healthy), process, place / "log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    place = tmp_path_factory.mktemp("team")
    with ExitStack() as stack:
        database = stack.enter_context(running_postgres())
        port, health = free_port(), free_port()
        elsewhere = services(**{**SECRETS, "POSTGRES_PASSWORD": database.password})
        elsewhere["server"]["environment"]["PREFECT_SERVER_DATABASE_NAME"] = database.database
        on_server = {"0.0.0.0": "127.0.0.1", "4200": str(port), "5432": str(database.port)}
        elsewhere["server"]["environment"]["PREFECT_SERVER_DATABASE_HOST"] = "127.0.0.1"
        api = f"http://127.0.0.1:{port}/api"
        stack.enter_context(running(elsewhere["server"], on_server, f"{api}/ready", place / "server"))
        on_worker = {"http://server:4200/api": api, "8080": str(health)}
        healthy = f"http://127.0.0.1:{health}/health"
        stack.enter_context(running(elsewhere["worker"], on_worker, healthy, place / "worker"))
        client = {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": SECRETS["PREFECT_API_AUTH_STRING"]}
        yield Team(database, api, client)


def test_the_deployments_are_registered_with_one_limit_for_their_common_store(team: Team, tmp_path: Path) -> None:
    program, *arguments = services(**SECRETS)["deploy"]["command"]
    assert program == "python"
    subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **team.environment, "PREFECT_HOME": str(tmp_path)},
        check=True,
        timeout=PATIENCE,
    )
    limits = "select l.name, count(*) from deployment d join concurrency_limit_v2 l on l.id = d.concurrency_limit_id"
    [[name, deployments]] = team.database.query(f"{limits} where d.name like 'compare-%' group by 1")
    assert name.startswith("store .recsys ")
    assert deployments == "4"


def test_a_deployed_comparison_runs_to_its_end_and_is_kept_in_postgresql(team: Team, tmp_path: Path) -> None:
    settings = small_settings(write_ratings(tmp_path / "ratings.csv"), tmp_path, protocol="notebook")
    deploy_and_run = """
import json, sys
from prefect.deployments import run_deployment
from flows.compare import compare
root, settings = sys.argv[1:]
there = compare.from_source(source=root, entrypoint="flows/compare.py:compare")
there.deploy(name="team", work_pool_name="local", print_next_steps=False, ignore_warnings=True)
run = run_deployment("compare/team", parameters={"settings": json.loads(settings)})
print(run.id, run.state.type.value, run.state.message)
"""
    answer = subprocess.run(
        [sys.executable, "-c", deploy_and_run, str(ROOT), settings.model_dump_json()],
        cwd=ROOT,
        env={**os.environ, **team.environment, "PREFECT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert answer.returncode == 0, answer.stderr
    run, state, _ = answer.stdout.splitlines()[-1].split(maxsplit=2)
    assert state == "COMPLETED", answer.stdout
    assert (tmp_path / "reports" / "run" / "report.html").is_file()

    kept = team.database.query
    assert kept(f"select state_type from flow_run where id = '{run}'") == [["COMPLETED"]]
    tasks = f"select state_type, count(*) from task_run where flow_run_id = '{run}' group by 1"
    assert kept(tasks) == [["COMPLETED", "7"]]


@pytest.mark.parametrize("auth", [None, (NAME, "guessed"), ("", "")], ids=["without a name", "guessed", "empty"])
def test_nobody_without_the_password_is_served(team: Team, auth: tuple[str, str] | None) -> None:
    for path in ("flow_runs/filter", "deployments/filter", "work_pools/filter"):
        assert httpx.post(f"{team.api}/{path}", json={}, auth=auth).status_code in {401, 403}
    assert httpx.get(f"{team.api}/admin/settings", auth=auth).status_code == 401


def test_the_password_opens_but_another_site_cannot_use_it(team: Team) -> None:
    with httpx.Client(base_url=team.api, auth=(NAME, PASSWORD)) as known:
        assert known.get("/admin/version").status_code == 200
        assert known.post("/flow_runs/filter", json={}).status_code == 403
        token = known.get("/csrf-token", params={"client": "a-test"}).json()["token"]
        with_token = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "a-test"}
        assert known.post("/flow_runs/filter", json={}, headers=with_token).status_code == 200
    asked = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in httpx.options(f"{team.api}/flow_runs/filter", headers=asked).headers


def test_prefect_accepts_the_template_of_kubernetes_jobs(team: Team, tmp_path: Path) -> None:
    def prefect(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=ROOT,
            env={**os.environ, **team.environment, "PREFECT_HOME": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        ).stdout

    template = "deployments/kubernetes-base-job-template.json"
    assert "Created work pool 'cluster'" in prefect(
        *("work-pool", "create", "cluster", "--type", "kubernetes", "--base-job-template", template)
    )
    claim = "select base_job_template->'variables'->'properties'->'volume_claim'->>'default' from work_pool"
    assert team.database.query(f"{claim} where name = 'cluster'") == [["mf-or-dnn"]]
