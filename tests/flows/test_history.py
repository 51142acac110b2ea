"""Runs that are remembered, through the flow."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.evaluation.results import Comparison
from recsys.settings import Settings
from recsys.store.run_history import read
from recsys.store.store import Store
from tests.factories import small_settings, write_ratings

Run = Callable[[Settings], Comparison]


@pytest.fixture
def run(prefect_server: str) -> Run:
    from flows.compare import compare

    def once(settings: Settings) -> Comparison:
        return Comparison.model_validate_json((Path(compare(settings)) / "comparison.json").read_bytes())

    return once


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def rows_in_the_ui() -> list[dict[str, str]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    with get_client(sync_client=True) as client:
        shown = ArtifactFilter(key=ArtifactFilterKey(any_=["comparison-history"]))
        return [row for table in client.read_artifacts(artifact_filter=shown) for row in json.loads(str(table.data))]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_with_other_settings_is_shown_beside_the_one_before_and_again_changes_nothing(
    run: Run, tmp_path: Path
) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    report = Path(settings.output.reports) / "run"
    assert run(settings).history == run(settings).history == []
    assert "How the scores moved" not in (report / "report.html").read_text(encoding="utf-8")

    other = small_settings(ratings, tmp_path, protocol="notebook", mf={"epochs": 3})
    history = run(other).history
    assert [past.settings.get("mf.epochs") for past in history] == [2, 3]
    assert history[0].ratings == history[1].ratings
    assert history[0].test == history[1].test
    assert history[0].score("mf") != history[1].score("mf")
    assert history[0].score("dnn") == history[1].score("dnn")
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "How the scores moved" in page
    assert "mf.epochs 2 → 3" in page
    assert "mf.epochs 2 → 3" in [row["Changed since the previous run"] for row in rows_in_the_ui()]

    before = contents(report)
    assert run(other).history == history
    assert contents(report) == before
    assert len(read(Store(settings.output.store))) == 4


def test_what_publishes_a_cached_report_loads_neither_tensorflow_nor_matplotlib() -> None:
    check = "import sys, tasks.report; sys.exit('tensorflow' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
