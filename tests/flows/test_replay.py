"""A run on record is run again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.replay import replay
from flows.session import Session
from recsys.errors import BadManifest, BadRatings, BadSettings, RunUnrecorded
from recsys.settings import Settings
from tests.factories import small_settings, write_ratings

ROOT = Path(__file__).parent.parent.parent

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def call(prefect_server: str, place: Path) -> Call:
    def once(*arguments: str) -> subprocess.CompletedProcess[str]:
        where = ["--store", str(place / "store"), "--reports", str(place / "reports")]
        return subprocess.run(
            [sys.executable, "flows/compare.py", *arguments, *where],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": prefect_server},
            capture_output=True,
            text=True,
            timeout=280,
        )

    return once


@pytest.fixture(scope="module")
def manifest(prefect_server: str, place: Path) -> Path:
    """The manifest of a run of this process."""
    from flows.compare import compare

    settings = small_settings(
        write_ratings(place / "my.csv"), place, protocol="notebook", seed=7, output={"name": "first"}
    )
    return Path(compare(settings)) / "manifest.json"


def changed(manifest: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    document = json.loads(manifest.read_text())
    change(document)
    path = manifest.parent.with_name(name) / "manifest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_a_repeated_run_computes_everything_anew_to_the_same_numbers(call: Call, manifest: Path, place: Path) -> None:
    before = {path: path.stat().st_ino for path in (place / "store" / "models").glob("*/model.keras")}
    again = call("--replay", str(manifest))
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1] == "The same numbers, to the last digit."
    assert "are those of the recorded run" in again.stdout
    assert all(path.stat().st_ino != before[path] for path in before)
    first, second = (
        json.loads((place / "reports" / name / "comparison.json").read_text()) for name in ("first", "first-replay")
    )
    assert second["seed"] == first["seed"] == 7
    assert [row["mse"] for row in second["models"]] == [row["mse"] for row in first["models"]]


@pytest.mark.slow
def test_other_numbers_and_versions_are_named_and_end_with_code_1(call: Call, manifest: Path) -> None:
    def doctor(document: dict[str, Any]) -> None:
        document["scores"]["mf"]["mse"] += 0.5
        document["versions"]["tensorflow"] = "2.0"

    again = call("--replay", str(changed(manifest, "doctored", doctor)), "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["seed"] == 7
    assert "Changed since the recorded run: tensorflow 2.0 -> " in again.stderr
    assert "rows differs; the largest difference is 0.5, in mse of mf: " in again.stderr
    assert again.stderr.splitlines()[-1] == "The verdict is the same."


def test_what_cannot_be_repeated_is_one_sentence_and_code_2(call: Call, manifest: Path) -> None:
    damaged = manifest.with_name("damaged.json")
    damaged.write_text(manifest.read_text()[:-100])
    refused = call("--replay", str(damaged))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"compare: {damaged} is not the manifest of a run, or is damaged (")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def again(manifest: Path, **given: Any) -> bool:
    return replay(str(manifest), Settings.model_validate(given), as_json=False, verbose=False)


def test_a_repeated_run_that_its_server_forgot_is_judged_all_the_same(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(session: Session) -> bool:
        shutil.copytree(manifest.parent, manifest.parent.with_name("forgotten"))
        raise RunUnrecorded("The server does not know the run.")

    monkeypatch.setattr(Session, "compare", run)
    with pytest.raises(RunUnrecorded):
        again(manifest, output={"name": "forgotten", "reports": str(manifest.parent.parent)})
    assert capsys.readouterr().out.splitlines()[-1] == "The same numbers, to the last digit."


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: object) -> None:
        raise AssertionError("the run began")

    monkeypatch.setattr("flows.session.Session.compare", run)


@pytest.mark.usefixtures("nothing_runs")
def test_ratings_that_are_gone_or_changed_run_nothing(manifest: Path, place: Path) -> None:
    other = shutil.copy(place / "my.csv", place / "other.csv")
    with pytest.raises(BadRatings, match=r"gone\.csv does not exist"):
        again(manifest, data={"ratings": str(place / "gone.csv")})
    with pytest.raises(AssertionError, match="the run began"):
        again(manifest, data={"ratings": str(other)}, output={"store": str(place / "store")})
    Path(other).write_text((place / "my.csv").read_text().replace("5\n", "4\n", 1))
    with pytest.raises(BadManifest, match=r"other\.csv is not the file that the run read"):
        again(manifest, data={"ratings": str(other)})


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": 1}, "--seed"),
        ({"dnn": {"dropout": 0.5}}, "--dnn.dropout"),
        ({"split": {"test_size": 0.2}}, "--test-size"),
        ({"data": {"max_rows": 10}}, "--max-rows"),
    ],
)
def test_a_setting_that_changes_numbers_does_not_go_with_it(manifest: Path, given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings, match=f"^{named} cannot be given with --replay"):
        again(manifest, **given)


@pytest.mark.usefixtures("nothing_runs")
def test_the_report_of_the_first_run_is_not_replaced(manifest: Path) -> None:
    with pytest.raises(BadSettings, match="choose another --name"):
        again(manifest, output={"reports": str(manifest.parent.parent), "name": "first"})


@pytest.mark.parametrize("other", [["--plan"], ["--config", "run.yaml"]])
def test_it_goes_with_neither_a_plan_nor_a_file_of_settings(call: Call, manifest: Path, other: list[str]) -> None:
    refused = call("--replay", str(manifest), *other)
    assert refused.returncode == 2
    assert refused.stderr == f"compare: --replay cannot be combined with {other[0]}.\n"
