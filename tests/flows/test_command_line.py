import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from tests.factories import write_ratings

ROOT = Path(__file__).parent.parent.parent
SMALL = [
    *("--mf.epochs", "2", "--mf.embedding-size", "4"),
    *("--dnn.epochs", "2", "--dnn.embedding-size", "4", "--dnn.units", "8"),
    *("--mf-tuned.epochs", "2", "--mf-tuned.embedding-size", "4"),
    *("--dnn-tuned.epochs", "2", "--dnn-tuned.embedding-size", "4", "--dnn-tuned.units", "8"),
    *("--models", "mf_tuned", "--models", "dnn_tuned", "--budget", "0", "--seeds", "1"),
    *("--resamples", "100", "--ranking-users", "5", "--plots=no"),
]

HEAVY = ("tensorflow", "keras", "optuna", "sklearn", "scipy", "pandas")


def call(*arguments: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    where = ["--store", str(place / "store"), "--reports", str(place / "reports")]
    return subprocess.run(
        [sys.executable, "flows/compare.py", *arguments, *where],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_a_run_shows_its_tasks_its_table_and_its_report_and_a_second_one_loads_no_tensorflow(
    prefect_server: str, tmp_path: Path
) -> None:
    ratings = str(write_ratings(tmp_path / "my ratings.csv"))
    first = call("--ratings", ratings, *SMALL, place=tmp_path, PREFECT_API_URL=prefect_server)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr == ""
    report = tmp_path / "reports" / "my-ratings-fair" / "report.html"
    lines = first.stdout.splitlines()
    assert lines[-1] == f"Report: {report}"
    assert report.is_file()
    assert (tmp_path / "reports" / "latest" / "report.html").samefile(report)
    assert any(line.startswith("✓ train_dnn_tuned") for line in lines)
    assert any(line.startswith("Bias only") for line in lines)

    second = call(
        *("--ratings", ratings, *SMALL), place=tmp_path, PREFECT_API_URL=prefect_server, PYTHONPROFILEIMPORTTIME="1"
    )
    assert second.returncode == 0
    assert "Every task was cached" in second.stdout
    assert "prefect" in second.stderr
    for library in HEAVY:
        assert library not in second.stderr

    alone = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect"), "PYTHONPROFILEIMPORTTIME": "1"}
    third = call("--ratings", ratings, *SMALL, place=tmp_path, **alone)
    assert third.returncode == 0
    assert "no flow run was recorded" in third.stdout
    for library in (*HEAVY, "prefect", "sqlalchemy"):
        assert library not in third.stderr
    told = [line for line in second.stdout.splitlines() if line[:1] not in ("✓", "▸") and "cached" not in line]
    assert [line for line in third.stdout.splitlines() if "cached" not in line] == told

    (tmp_path / "reports" / "my-ratings-fair" / "report.html").unlink()
    again = call("--ratings", ratings, *SMALL, place=tmp_path, PREFECT_API_URL=prefect_server)
    assert "Every task was cached: nothing was computed.\n" in again.stdout
    assert report.is_file()


@pytest.mark.slow
def test_json_is_all_there_is_on_standard_output_and_agrees_with_the_predictions(
    prefect_server: str, tmp_path: Path
) -> None:
    ratings = str(write_ratings(tmp_path / "r.csv"))
    answer = call("--ratings", ratings, "--json", *SMALL, place=tmp_path, PREFECT_API_URL=prefect_server)
    comparison = json.loads(answer.stdout)
    assert [model["name"] for model in comparison["models"]] == ["mf", "dnn", "mf_tuned", "dnn_tuned"]
    baselines = ["global_mean", "user_mean", "item_mean", "bias_only", "popularity_slope", "item_knn"]
    assert [row["name"] for row in comparison["baselines"]] == baselines
    assert comparison["skipped"] == []
    assert (comparison["protocol"], comparison["seed"], comparison["data"]["rows"]) == ("fair", 42, 400)
    predictions = pd.read_parquet(tmp_path / "reports" / "r-fair" / "predictions.parquet")
    assert len(predictions) == comparison["data"]["test_rows"] == 80
    for row in [*comparison["models"], *comparison["baselines"]]:
        error = predictions[row["name"]].astype(float) - predictions["rating"].astype(float)
        assert row["mse"] == pytest.approx((error**2).mean())
    assert len(comparison["models"][2]["history"]["val_loss"]) == comparison["models"][2]["epochs"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mf.epochs=-1"], "--mf.epochs should be greater than or equal to 1, not '-1'."),
        (["--test-size", "1.5"], "--test-size should be less than 1, not '1.5'."),
        (["--dataset", "ml-9"], "--dataset should be 'sample', 'ml-latest-small'"),
        (["--ratings", "a.csv", "--dataset", "sample"], "Ratings and dataset cannot both be given"),
        (["--min-rating", "5", "--max-rating", "1"], "Min_rating 5 is not below max_rating 1"),
        (["--protocol", "notebook", "--split-by", "time"], "Protocol notebook splits at random"),
        (["--protocol", "notebook", "--learning-curve"], "Protocol notebook searches no winners"),
        (["--fold", "5"], "Fold 5 does not exist: 5 folds are counted from 0 to 4."),
        (["--mute", "C01,overfit"], "--mute 'overfit' is no check; near are overfitting"),
        (["--nonsense"], "Unknown option: --nonsense"),
        (["--user-column", ""], "--user-column is empty: give it a value, or leave it out."),
        (["--ratings", ""], "--ratings is empty: give it a value, or leave it out."),
        (["--downloads="], "--downloads is empty: give it a value, or leave it out."),
        (["--config", ""], "--config : cannot be read"),
        (["--ratings", "absent.csv"], "absent.csv does not exist"),
        (["--config", "absent.yaml"], "--config absent.yaml: cannot be read (No such file or directory)."),
    ],
)
def test_nonsense_is_refused_with_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    refused = call(*arguments, place=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("compare: ")
    assert sentence in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["--nonsense"], ["--ratings", "absent.csv"]], ids=str)
def test_what_needs_no_prefect_does_not_wait_for_it(arguments: list[str], tmp_path: Path) -> None:
    told = call(*arguments, place=tmp_path, PYTHONPROFILEIMPORTTIME="1", PREFECT_API_URL="")
    assert "cyclopts" in told.stderr
    for library in (*HEAVY, "prefect", "sqlalchemy"):
        assert library not in told.stderr


@pytest.mark.parametrize("ratings", ["absent.csv", "", "header.csv", "french.csv"])
def test_a_plan_refuses_ratings_as_the_run_does(ratings: str, prefect_server: str, tmp_path: Path) -> None:
    (tmp_path / "header.csv").write_text("user,item,rating\n")
    (tmp_path / "french.csv").write_text("utilisateur,film,valeur\n1,2,3\n")
    path = str(tmp_path / ratings)
    refused = call("--plan", "--ratings", path, place=tmp_path)
    run = call("--ratings", path, *SMALL, place=tmp_path, PREFECT_API_URL=prefect_server)
    assert (refused.returncode, refused.stdout) == (run.returncode, "") == (2, "")
    assert refused.stderr == run.stderr.splitlines(keepends=True)[-1]
    assert refused.stderr.startswith("compare: ")


@pytest.mark.parametrize("option", ["--store", "--reports"])
def test_an_empty_folder_is_refused_and_nothing_is_written_where_one_is(option: str, tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, str(ROOT / "flows" / "compare.py"), "--plan", option, ""],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert refused.returncode == 2
    assert refused.stderr == f"compare: {option} is empty: give it a value, or leave it out.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_strict_run_ends_with_3_once_the_report_is_written_and_muting_computes_nothing(
    prefect_server: str, tmp_path: Path
) -> None:
    ratings = str(write_ratings(tmp_path / "r.csv"))
    options = ("--ratings", ratings, *SMALL, "--strict")
    strict = call(*options, place=tmp_path, PREFECT_API_URL=prefect_server)
    assert strict.returncode == 3, strict.stdout + strict.stderr
    assert strict.stderr.startswith("compare: --strict: C03 test-small fired")
    assert "Checks: 1 error," in strict.stdout
    report = tmp_path / "reports" / "r-fair"
    assert (report / "report.html").is_file()

    muted = call(*options, "--mute", "C05,test-small", place=tmp_path, PREFECT_API_URL=prefect_server)
    assert (muted.returncode, muted.stderr) == (0, "")
    assert "Every task was cached" in muted.stdout
    assert "; muted: C03, C05." in muted.stdout
    checks = json.loads((report / "comparison.json").read_bytes())["checks"]
    assert [check["id"] for check in checks if check["muted"]] == ["C03", "C05"]
    assert "Muted, and not counted: C03 few test ratings (error) and C05" in (report / "report.html").read_text("utf-8")


def test_a_server_that_does_not_answer_is_one_sentence_that_names_the_way_without(tmp_path: Path) -> None:
    ratings = str(write_ratings(tmp_path / "r.csv"))
    refused = call("--ratings", ratings, place=tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "compare: Prefect's server at http://127.0.0.1:9/api does not answer: start it (make ui), or go on without it "
        "with --without-server.\n"
    )


def test_on_a_terminal_it_is_a_question(tmp_path: Path) -> None:
    terminal, theirs = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "flows/compare.py", "--ratings", str(write_ratings(tmp_path / "r.csv"))],
        cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api", "TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"Go on without it?" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"n\n")
    assert run.wait(280) == 2
    shown += os.read(terminal, 10_000)
    os.close(terminal)
    assert b"compare: Prefect's server at http://127.0.0.1:9/api does not answer: start it" in shown


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """Return the command of the installed script, written as an installer writes it."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["mf-or-dnn"]
    module, function = entry.split(":")
    path = tmp_path / "bin" / "mf-or-dnn"
    path.parent.mkdir()
    path.write_text(
        f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return [sys.executable, str(path)]


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["--help"], 0, "Usage: mf-or-dnn"),
        (["--plan", "--ratings", "my.csv"], 0, "to run: first run"),
        (["--test-size", "1.5"], 2, "mf-or-dnn: --test-size should be less than 1"),
        (["--ratings", "absent.csv"], 2, "mf-or-dnn: absent.csv does not exist"),
    ],
)
def test_the_installed_script_does_the_same_under_its_own_name(
    script: list[str], arguments: list[str], code: int, output: str, tmp_path: Path
) -> None:
    write_ratings(tmp_path / "my.csv")
    mine, file = (
        subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        for command in (script, [sys.executable, str(ROOT / "flows" / "compare.py")])
    )
    assert (mine.returncode, file.returncode) == (code, code)
    assert output in mine.stdout + mine.stderr
    for text, other in ((mine.stdout, file.stdout), (mine.stderr, file.stderr)):
        assert text.replace("Usage: mf-or-dnn", "Usage: compare").replace("mf-or-dnn: ", "compare: ") == other


@pytest.mark.parametrize("module", ["cyclopts", "prefect"])
def test_an_interrupt_during_an_import_is_a_sentence(script: list[str], module: str, tmp_path: Path) -> None:
    fake = tmp_path / "fake" / f"{module}.py"
    fake.parent.mkdir()
    fake.write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(fake.parent), str(ROOT)])}
    for name, command in (("mf-or-dnn", script), ("compare", [sys.executable, str(ROOT / "flows" / "compare.py")])):
        done = subprocess.run([*command, "--plan"], env=environment, capture_output=True, text=True, timeout=50)
        assert (done.returncode, done.stdout) == (130, "")
        assert done.stderr == f"{name}: stopped before anything was begun.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_the_installed_script_prepares_its_streams(script: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*script, "--help"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 2
    assert done.stderr.startswith("mf-or-dnn: standard output cannot be written (No space left on device)")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ("mkdir here && cd here && rmdir ../here", "no longer exists: change to another one."),
        ("mkdir $'\\xff' && cd $'\\xff'", "is not UTF-8: rename "),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_a_sentence(prepare: str, sentence: str, tmp_path: Path) -> None:
    call_there = f'{prepare} && exec "$0" "$1" --plan'
    done = subprocess.run(
        ["bash", "-c", call_there, sys.executable, str(ROOT / "flows" / "compare.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("compare: The ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
