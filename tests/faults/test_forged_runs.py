"""What somebody who reaches Prefect's API may ask of a worker, past the form and its checks."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.flow_engine import load_flow_run, run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.faults.conftest import Tell
from tests.processes import ROOT, PrefectServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

FORGED: dict[str, Any] = {
    "a file of the system": {"settings": {"data": {"ratings": "/etc/passwd"}}},
    "a store elsewhere": {"settings": {"output": {"store": "/etc/store"}}},
    "a store with a password": {"settings": {"output": {"store": "s3://key:hunter2@bucket/store"}}},
    "a report outside": {"settings": {"output": {"name": "../../outside"}}},
    "ratings from the net": {"settings": {"data": {"ratings": "https://example.org/ratings.csv"}}},
    "minus one epoch": {"settings": {"mf": {"epochs": -1}}},
    "a setting that is none": {"settings": {"exec": "touch /tmp/owned"}},
    "no settings at all": {"settings": "owned"},
}


@pytest.fixture(scope="module")
def deployment(server: PrefectServer) -> str:
    """Register the flow without a schema that the server would enforce, and return its id."""
    flow = server.ask("flows/", name="compare")
    made = server.ask(
        "deployments/",
        name="unguarded",
        flow_id=flow["id"],
        entrypoint="flows/compare.py:compare",
        path=str(ROOT),
        enforce_parameter_schema=False,
    )
    return str(made["id"])


@pytest.mark.parametrize("forged", FORGED)
def test_the_flow_checks_again_what_it_is_given(
    forged: str,
    deployment: str,
    server: PrefectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Tell,
) -> None:
    from flows.compare import compare

    monkeypatch.chdir(tmp_path)
    with temporary_settings({PREFECT_API_URL: server.url}):
        asked = server.ask(f"deployments/{deployment}/create_flow_run", parameters=FORGED[forged])
        run_flow(compare, flow_run=load_flow_run(UUID(asked["id"])), return_type="state")
    (ended,) = server.ask("flow_runs/filter", flow_runs={"id": {"any_": [asked["id"]]}})
    assert ended["state"]["type"] == "FAILED"
    assert not server.ask("task_runs/filter", flow_runs={"id": {"any_": [asked["id"]]}})
    assert not list(tmp_path.iterdir())
    message = ended["state"]["message"]
    assert "Traceback" not in message
    tell(
        f"a run asked for with {forged}",
        re.sub(".*Error: |Flow run received invalid parameters:| *\\n -?", "", message),
    )
