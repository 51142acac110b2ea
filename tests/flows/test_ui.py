"""What a run leaves for whoever looks at it in Prefect's UI."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.factories import small_settings, write_ratings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Seen:
    """What Prefect's server knows of the flow run of this name that began last."""

    def __init__(self, api: str, name: str) -> None:
        self.api = api
        [self.run] = self.asked("flow_runs", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_DESC", limit=1)
        self.of_this = {"flow_runs": {"id": {"any_": [self.run["id"]]}}}

    def asked(self, what: str, **which: Any) -> Any:
        answer = httpx.post(f"{self.api}/{what}/filter", json=which, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def wait(self) -> None:
        """Wait for what is sent in the background: the last words of the log, and the last event."""
        until = time.monotonic() + 120
        while not (self.log[-1:] == ["Finished in state Completed()"] and "report.html" in str(self.made)):
            assert time.monotonic() < until, (self.log, self.made)
            time.sleep(0.5)

    @property
    def tasks(self) -> dict[str, list[str]]:
        return {run["name"]: run["tags"] for run in self.asked("task_runs", **self.of_this)}

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        return {artifact["key"]: artifact for artifact in self.asked("artifacts", **self.of_this)}

    @property
    def log(self) -> list[str]:
        found = self.asked("logs", logs={"flow_run_id": {"any_": [self.run["id"]]}}, sort="TIMESTAMP_ASC", limit=200)
        return [line["message"] for line in found]

    @property
    def made(self) -> list[dict[str, Any]]:
        resource = f"prefect.flow-run.{self.run['id']}"
        which = {"event": {"prefix": ["prefect.asset.materialization"]}, "related": {"id": [resource]}}
        events: list[dict[str, Any]] = self.asked("events", filter=which, limit=50)["events"]
        return events


@pytest.fixture(scope="module")
def runs(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """The same small comparison twice; the second time, all is cached."""
    from flows.compare import compare

    place = tmp_path_factory.mktemp("seen")
    ratings = write_ratings(place / "tastes.csv")
    settings = small_settings(ratings, place, protocol="notebook", output={"plots": True})
    seen = []
    for _ in range(2):
        compare(settings)
        seen.append(Seen(prefect_server, "compare tastes.csv · notebook · seed 42"))
        seen[-1].wait()
    return seen


def test_the_run_has_its_data_set_and_protocol_as_tags(runs: list[Seen]) -> None:
    assert [set(seen.run["tags"]) for seen in runs] == [{"tastes", "notebook"}] * 2


def test_task_runs_say_what_they_do_and_of_which_family(runs: list[Seen]) -> None:
    assert runs[0].tasks == {
        "ingest": [],
        "encode": [],
        "split · notebook · random 42": [],
        "train mf · 4 factors · seed 42": ["MF"],
        "train dnn · dropout 0 · seed 42": ["DNN"],
        "train dnn tuned · dropout 0.3 · seed 42": ["DNN"],
        "report": [],
    }
    assert runs[1].tasks == runs[0].tasks


def test_each_training_has_a_progress_artifact_of_its_own(runs: list[Seen]) -> None:
    progress = {key: artifact for key, artifact in runs[0].artifacts.items() if artifact["type"] == "progress"}
    assert {
        "progress-train-mf-seed-42",
        "progress-train-dnn-seed-42",
        "progress-train-dnn-tuned-seed-42",
    } <= set(progress)
    assert {artifact["data"] for artifact in progress.values()} == {100.0}


def test_the_report_is_there_with_its_pictures_and_links_to_its_files(runs: list[Seen]) -> None:
    for seen in runs:
        artifacts = seen.artifacts
        assert "data:image/png;base64," in artifacts["comparison-report"]["data"]
        assert "MF" in artifacts["comparison"]["data"]
        for key, name in (("report-page", "report.html"), ("comparison-csv", "comparison.csv")):
            path = Path(artifacts[key]["description"])
            assert path.is_file()
            assert artifacts[key]["data"] == f"[{name}](file://{quote(str(path))})"


def test_the_log_tells_the_story_in_order(runs: list[Seen]) -> None:
    story = [
        "tastes.csv: protocol notebook, 1 seed from 42",
        "ingest: 400 ratings",
        "encode: 20 users, 30 items, 400 ratings",
        "split · notebook · random 42: 320 training ratings, 80 validation ratings, 80 test ratings",
        "train mf · 4 factors · seed 42: validation MSE",
        "Report: ",
    ]
    for seen in runs:
        log = seen.log
        places = [next(place for place, line in enumerate(log) if line.startswith(part)) for part in story]
        assert places == sorted(places)
        assert not [line for line in log if line.startswith(("Running hook", "Hook", "Finished in state Cached"))]
        assert len(log) == len(set(log))


def test_the_log_says_what_was_cached(runs: list[Seen]) -> None:
    cached = [[line for line in seen.log if line.endswith(", cached")] for seen in runs]
    assert [len(lines) for lines in cached] == [0, 6]


def test_lineage_leads_from_the_report_to_the_ratings(runs: list[Seen]) -> None:
    upstream = {
        event["resource"]["prefect.resource.id"]: [
            related["prefect.resource.id"]
            for related in event["related"]
            if related["prefect.resource.role"] == "asset"
        ]
        for event in runs[0].made
    }
    [asset] = [asset for asset in upstream if asset.endswith("/report.html")]
    reached, waiting = set(), [asset]
    while waiting:
        reached.add(asset := waiting.pop())
        waiting += [source for source in upstream.get(asset, []) if source not in reached]
    assert [asset for asset in reached if asset.endswith("/tastes.csv")]
    assert len(reached) == 9  # report.html, its artefact, three models, splits, codes, ratings and their file


def test_a_cached_run_makes_the_report_page_and_nothing_else(runs: list[Seen]) -> None:
    assert [Path(event["resource"]["prefect.resource.id"]).name for event in runs[1].made] == ["report.html"]
