"""Two copies of the project on one machine, with one PREFECT_HOME: neither ends or replaces what the other has."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.process import Background
from tests.processes import PATIENCE, ROOT, free_port, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".recsys", ".deploy", "reports", "incoming", ".*cache", "__pycache__"
)


@dataclass(frozen=True)
class Folder:
    """A copy of the project, from which a server would be started at `port`."""

    root: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in {"PREFECT_API_URL", "MAKEFLAGS"}}
        ours = {
            "PREFECT_HOME": str(self.root.parent / "prefect"),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PYTHONPATH": str(self.root),
        }
        return inherited | ours

    def call(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )

    def make(self, target: str, arguments: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile with the packages of this test's Python, without installing them anew."""
        return self.call(*self.command_of(target), f"ARGS={arguments}", **environment)

    def command_of(self, target: str) -> list[str]:
        return ["make", "--no-print-directory", "-o", ".venv/.installed", f"BIN={Path(sys.executable).parent}", target]

    def joined(self) -> list[str]:
        """Return the server that a run would report to, after what is said of it."""
        asked = self.call(sys.executable, "-c", "from flows.server import running_server as r; print(r(print))")
        assert asked.returncode == 0, asked.stderr
        return asked.stdout.splitlines()

    def runs(self, name: str) -> bool:
        return Background(name, self.root / ".deploy", self.root).process is not None

    def asked(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.url}/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def deployments(self) -> dict[str, tuple[str, str, str]]:
        """Name of each deployment at the server -> its id, the folder of its runs and its pool."""
        found = self.asked("deployments/filter")
        return {one["name"]: (one["id"], one["job_variables"]["working_dir"], one["work_pool_name"]) for one in found}

    def message_of_a_look(self, deployment: str) -> str:
        """Look for new ratings in the folder `incoming` and return what came of it."""
        (one,) = self.asked("deployments/filter", deployments={"name": {"any_": [deployment]}})
        settings = {"data": {"ratings": "incoming"}}
        run = self.asked(f"deployments/{one['id']}/create_flow_run", parameters={"settings": settings})

        def ended() -> Any:
            (found,) = self.asked("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
            return found["state"] if found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

        return str(until(ended, "the end of a look")["message"])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A folder with its deployments, a server and a worker."""
    folder = Folder(tmp_path_factory.mktemp("machine") / "first", free_port())
    shutil.copytree(ROOT, folder.root, ignore=LEFT_OUT)
    try:
        deployed = folder.make("deploy")
        assert deployed.returncode == 0, deployed.stderr
        yield folder
    finally:
        folder.make("stop")


@pytest.fixture(scope="module")
def second(first: Folder) -> Iterator[Folder]:
    """A copy of that folder, with all that is in it."""
    folder = Folder(first.root.with_name("second"), first.port)
    shutil.copytree(first.root, folder.root)
    try:
        yield folder
    finally:
        folder.make("stop")


def test_the_second_folder_neither_joins_nor_ends_what_the_first_has_started(first: Folder, second: Folder) -> None:
    assert first.joined() == [first.url]
    said, url = second.joined()
    assert said.startswith(f"Prefect's server at {first.url} was not started from this folder")
    assert url == "None"
    assert second.make("stop").stdout.strip() == "Neither server nor worker was running."
    assert first.runs("server")
    assert first.runs("worker")


def test_nor_does_it_take_its_deployments_over_in_silence(first: Folder, second: Folder) -> None:
    before = first.deployments()
    assert {folder for _, folder, _ in before.values()} == {str(first.root)}
    refused = second.make("deploy")
    assert refused.returncode == 2
    assert "was not started from this folder: to use it nevertheless, set PREFECT_API_URL=" in refused.stderr
    assert refused.stderr.count("deployments: ") == 1

    refused = second.make("deploy", PREFECT_API_URL=first.url)
    assert f"is that of the project in {first.root}: make deploy ARGS=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert first.deployments() == before
    assert not second.runs("worker")


def test_with_a_suffix_it_has_its_own_and_each_runs_in_its_folder(first: Folder, second: Folder) -> None:
    before = first.deployments()
    deployed = second.make("deploy", "--suffix second", PREFECT_API_URL=first.url)
    assert deployed.returncode == 0, deployed.stderr
    both = first.deployments()
    assert {name: both[name] for name in before} == before
    of_second = {name: both[name] for name in both.keys() - before.keys()}
    assert of_second.keys() == {f"{name}-second" for name in before}
    assert {place[1:] for place in of_second.values()} == {(str(second.root), "local-second")}

    (first.root / "incoming" / "new.csv").write_text("1,1,5\n")
    assert "may be growing" in first.message_of_a_look("compare-new-ratings")
    assert "holds no ratings file yet" in second.message_of_a_look("compare-new-ratings-second")

    assert second.make("deploy", PREFECT_API_URL=first.url).returncode == 0
    assert first.deployments() == both
    assert second.make("stop").stdout.strip() == "Ended: worker."
    assert first.runs("server")
    assert first.runs("worker")


def test_asked_to_it_takes_them_over_after_the_first_has_stopped(first: Folder, second: Folder) -> None:
    before = first.deployments()
    assert first.make("stop").stdout.strip() == "Ended: worker and server."
    taken = second.make("deploy", "--suffix '' --take-over")
    assert taken.returncode == 0, taken.stderr
    assert "Nothing runs those with the names before" in taken.stdout
    after = second.deployments()
    plain = [name for name in before if not name.endswith("-second")]
    assert {name: after[name][0] for name in plain} == {name: before[name][0] for name in plain}
    assert {after[name][1] for name in plain} == {str(second.root)}
    assert {after[name][2] for name in plain}.isdisjoint({"local", "local-second"})
    assert second.joined() == [second.url]

    refused = first.make("deploy", PREFECT_API_URL=second.url)
    assert f"is that of the project in {second.root}: " in refused.stderr


def test_a_folder_that_is_moved_still_ends_what_it_has_started(second: Folder) -> None:
    assert second.runs("server")
    moved = Folder(second.root.rename(second.root.with_name("moved")), second.port)
    try:
        assert moved.joined() == [moved.url]
        refused = moved.make("deploy")
        assert f"is that of the project in {second.root}: " in refused.stderr
        taken = moved.make("deploy", "--take-over")
        assert taken.returncode == 0, taken.stderr
        assert {place[1] for name, place in moved.deployments().items() if "-second" not in name} == {str(moved.root)}
        assert "holds no ratings file yet" in moved.message_of_a_look("compare-new-ratings")
        assert moved.make("stop").stdout.strip() == "Ended: worker and server."
    finally:
        moved.root.rename(second.root)


def test_the_ui_of_a_folder_is_found_by_its_runs_and_by_no_others(tmp_path: Path) -> None:
    folder, other = (Folder(tmp_path / name, port) for port in [free_port()] for name in ("folder", "other"))
    shutil.copytree(ROOT, folder.root, ignore=LEFT_OUT)
    making = subprocess.Popen(
        folder.command_of("ui"), cwd=folder.root, env=folder.environment, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        until(lambda: folder.joined() == [folder.url], "the start of the UI")
        pages = httpx.get(f"http://127.0.0.1:{folder.port}/ui-settings", timeout=60)
        assert pages.json()["api_url"] == folder.url
        shutil.copytree(folder.root, other.root)
        assert other.joined()[-1] == "None"
        assert "was not started from this folder" in other.make("ui").stderr
        assert folder.make("ui").stdout == f"Prefect's UI is at http://127.0.0.1:{folder.port} already.\n"
        assert folder.make("stop").stdout.strip() == "Neither server nor worker was running."
        assert folder.joined() == [folder.url]
    finally:
        os.killpg(making.pid, signal.SIGINT)
        making.communicate(timeout=PATIENCE)
    assert folder.joined() == ["None"]
