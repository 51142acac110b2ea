"""The commands that use a winner, as a user types them."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from recsys.winner.recommender import Recommender
from tests.made_winners import made_winner

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    made_winner(place / "winner")
    (place / "pairs.csv").write_text("user,item\n10,104\n20,104\n")
    return place


def call(*arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "flows" / "compare.py"), *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)


def test_pairs_are_predicted(report: Path) -> None:
    done = call("predict", "--winner", "winner", "--pairs", "pairs.csv", "--out", "predicted.csv", place=report)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 pairs predicted, 2 of a known user and a known item." in done.stdout
    expected = Recommender.load(report / "winner").predict([10, 20], [104, 104])
    assert pd.read_csv(report / "predicted.csv")["prediction"].to_numpy() == pytest.approx(expected)


def test_lists_are_written(report: Path) -> None:
    done = call("recommend", "--winner", "winner", "--users", "10,20", "--top", "2", "--out", "l.csv", place=report)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Lists of 2 users, 4 items in all." in done.stdout
    assert pd.read_csv(report / "l.csv")["user"].tolist() == [10, 10, 20, 20]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "--winner", "winner", "--out", "x.csv"], "--pairs is missing; see --help."),
        (["recommend", "--winner", "winner", "--out", "x.csv", "--top", "0"], "--top should be greater than or equal"),
        (["predict", "--winner", "", "--pairs", "p.csv", "--out", "x.csv"], "--winner is empty: give it a value"),
        (["recommend", "--winner", ".", "--out", "x.csv"], "has no winner.json: give the folder winner of a report."),
        (["recommend", "--winner", "winner", "--out", "x.txt"], "neither a .parquet nor a .csv file"),
        (["predict", "--winner", "winner", "--pairs", "no.csv", "--out", "x.csv"], "no.csv does not exist"),
        (["export", "--winner", "winner", "--format", "tf", "--out", "winner"], "winner exists"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(report: Path, arguments: list[str], said: str) -> None:
    done = call(*arguments, place=report)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(report.glob("*x.*"))
