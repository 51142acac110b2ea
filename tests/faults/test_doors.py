"""What a run opens to others while it works: nothing beyond this machine."""

import ipaddress
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.interrupting import config
from tests.processes import kill, started

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def doors(family: list[psutil.Process]) -> set[str]:
    """The addresses at which some processes listen."""
    found: set[str] = set()
    for process in family:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for socket in process.net_connections("inet"):
                if socket.status == psutil.CONN_LISTEN:
                    found.add(socket.laddr.ip)
    return found


@pytest.mark.parametrize("runner", ["threads", "processes", "dask"])
def test_a_run_listens_on_this_machine_only(runner: str, ratings: Path, tmp_path: Path, tell: Tell) -> None:
    if runner == "dask":
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    settings = small_settings(ratings, tmp_path, protocol="notebook", scaling={"runner": runner, "workers": 2})
    run = started(
        *("flows/compare.py", *config(settings, tmp_path / "run.yaml"), "--without-server"),
        environment={"PREFECT_HOME": str(tmp_path / "prefect")},
        output=tmp_path / "output",
    )
    found: set[str] = set()
    try:
        while run.poll() is None:
            with suppress(psutil.NoSuchProcess):
                found |= doors([psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)])
            time.sleep(0.1)
    finally:
        kill(run)
    assert run.returncode == 0, (tmp_path / "output").read_text()
    assert found, "the run's own server listens for the run"
    assert all(ipaddress.ip_address(address).is_loopback for address in found), found
    tell(f"what listens while a run in {runner} works", f"{', '.join(sorted(found))} and nothing else")
