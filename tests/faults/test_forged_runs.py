"""What somebody who reaches Prefect's API may ask of a worker, past the form and its checks."""

import re
from typing import Any

import pytest

from tests.faults.conftest import Tell
from tests.processes import ROOT, PrefectServer, kill, started

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
def asked(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ask for all of them, of a deployment without a schema that the server would enforce; return their ids."""
    flow = server.ask("flows/", name="compare")
    made = server.ask(
        "deployments/", name="unguarded", flow_id=flow["id"], path=str(ROOT), enforce_parameter_schema=False
    )
    create = f"deployments/{made['id']}/create_flow_run"
    ids = {forged: str(server.ask(create, parameters=parameters)["id"]) for forged, parameters in FORGED.items()}
    output = tmp_path_factory.mktemp("forged") / "output"
    worker = started("-m", "tests.faults.execute_runs", *ids.values(), environment=server.environment, output=output)
    try:
        assert worker.wait(300) == 0, output.read_text()
    finally:
        kill(worker)
    return ids


@pytest.mark.parametrize("forged", FORGED)
def test_the_flow_checks_again_what_it_is_given(
    forged: str, asked: dict[str, str], server: PrefectServer, tell: Tell
) -> None:
    (ended,) = server.ask("flow_runs/filter", flow_runs={"id": {"any_": [asked[forged]]}})
    assert ended["state"]["type"] == "FAILED"
    assert not server.ask("task_runs/filter", flow_runs={"id": {"any_": [asked[forged]]}})
    message = ended["state"]["message"]
    assert "Traceback" not in message
    noise = "^.*exception: \\w+: |^.*Error: |Flow run received invalid parameters:| *\\n -? *|Value error, "
    tell(f"a run asked for with {forged}", re.sub(noise, "", message))
