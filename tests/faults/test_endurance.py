"""Thirty runs in one process, and thirty scheduled ones on one server: nothing grows but what is kept on purpose.

The policy: a process holds no more open files, threads or processes after the thirtieth run than after the tenth, but
for a few that come and go, and hardly more memory; a store grows by the results of new settings, and by nothing with a
run that finds everything cached; what nobody has used for a month goes when the store is cleaned.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from recsys.store.artifacts import MANIFEST
from recsys.store.prune import prune
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.processes import ROOT, PrefectServer, kill, started, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

RUNS, WARM = 30, 10

FILES = 20
"""Sockets to the server that come and go."""

MEGABYTES = 120.0
"""Caches that fill: of Prefect's client, of fonts, of compiled functions; a leak of 6 MB a run would show."""

SERVER_MEGABYTES = 150.0
"""The server's cache of its database, and what it remembers of events."""

A_RUN = 100e6
"""Bytes that the process of a run holds at least."""

MONTH = 30 * 86_400.0


def test_thirty_runs_in_one_process(server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "tests/faults/enduring.py", str(tmp_path / "settings.json"), str(RUNS)],
        cwd=ROOT,
        env={**os.environ, **server.environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    held = json.loads(done.stdout.splitlines()[-1])
    warm, last = held[WARM], held[-1]
    assert last["files"] <= warm["files"] + FILES
    assert last["threads"] <= warm["threads"]
    assert last["processes"] == 0
    assert last["megabytes"] <= warm["megabytes"] + MEGABYTES
    grown = [after["artefacts"] - before["artefacts"] for before, after in pairwise(held)]
    assert [bool(number) for number in grown] == [run % 3 == 0 for run in range(1, RUNS)]
    assert len({number for number in grown if number}) == 1
    assert hidden(tmp_path) == []
    assert not [path for path in temporary.rglob("*") if path.is_file()]

    store = Path(settings.output.store)
    long_ago = time.time() - 2 * MONTH
    for manifest in store.glob(f"[!.]*/[!.]*/{MANIFEST}"):
        os.utime(manifest, (long_ago, long_ago))
    pruned = prune(store, MONTH)
    assert pruned.artefacts == last["artefacts"]
    assert check_store(store) == 0
    tell(
        f"{RUNS} runs in one process, every third with a new seed",
        f"after run {WARM} and {RUNS}: {warm['files']} and {last['files']} open files, {warm['threads']} and "
        f"{last['threads']} threads, {warm['megabytes']:.0f} and {last['megabytes']:.0f} MB; "
        f"store {last['store']:.0f} MB, {pruned.bytes / 1e6:.0f} MB of it removed after two months",
    )


def held_by(process: psutil.Process) -> tuple[int, float]:
    """Open files and megabytes of a process and all that it has started."""
    family = [process, *process.children(recursive=True)]
    return sum(one.num_fds() for one in family), sum(one.memory_info().rss for one in family) / 1e6


def test_thirty_scheduled_runs_on_one_server(server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    serving = started("-m", "tests.faults.serving", "endurance", environment=server.environment)
    store = Path(settings.output.store)
    try:
        deployment = until(lambda: found(server), "the deployment")
        first = datetime.now(UTC)
        parameters = {"settings": settings.model_dump(mode="json", exclude_unset=True)}
        for run in range(RUNS):
            at = (first + timedelta(seconds=run)).isoformat()
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
            server.ask(
                f"deployments/{deployment}/create_flow_run",
                state=state,
                parameters=parameters,
                idempotency_key=f"{run}",
            )
        held = {}
        for many in (WARM, RUNS):
            until(lambda many=many: ended(server, deployment)["COMPLETED"] >= many, f"the end of {many} runs")  # type: ignore[misc]
            if many == WARM:
                artefacts = check_store(store)
            held[many] = (held_by(server.process), held_by(psutil.Process(serving.pid)))
        until(lambda: not runs_under(serving.pid), "the end of the last run's process")
        assert ended(server, deployment) == {"COMPLETED": RUNS}
        server_files, server_megabytes = (held[RUNS][0][part] - held[WARM][0][part] for part in (0, 1))
        assert server_files <= FILES
        assert server_megabytes <= SERVER_MEGABYTES
        assert psutil.Process(serving.pid).num_fds() <= held[WARM][1][0] + FILES
        assert check_store(store) == artefacts
        assert hidden(tmp_path) == []
    finally:
        kill(serving)
    tell(
        f"{RUNS} scheduled runs on one server, two at a time",
        f"all completed; the server held {server_files:+d} files and {server_megabytes:+.0f} MB more after the last "
        "than after the tenth, and the store the same",
    )


def runs_under(pid: int) -> list[psutil.Process]:
    """Return the processes of runs: Python's keeper of shared resources, which stays, is smaller."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.memory_info().rss > A_RUN:
                found.append(child)
    return found


def found(server: PrefectServer) -> str | None:
    deployments = server.ask("deployments/filter", deployments={"name": {"any_": ["endurance"]}})
    return str(deployments[0]["id"]) if deployments else None


def ended(server: PrefectServer, deployment: str) -> dict[str, int]:
    runs = server.ask("flow_runs/filter", flow_runs={"deployment_id": {"any_": [deployment]}}, limit=200)
    types = [run["state"]["type"] for run in runs]
    return {kind: types.count(kind) for kind in ("COMPLETED", *types)}
