"""What a run does when a part of it fails."""

import json
from pathlib import Path

import pytest

from recsys.errors import BadRatings
from tests.factories import DIVERGING, small_settings, write_ratings


def test_a_diverging_model_leaves_the_others_and_the_report_alone(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare
    from flows.executor import ModelsFailed

    settings = small_settings(write_ratings(tmp_path / "ratings.csv"), tmp_path, dnn=DIVERGING)
    with pytest.raises(ModelsFailed, match="train_dnn failed: dnn: the loss became") as failed:
        compare(settings)
    comparison = json.loads((Path(failed.value.folder) / "comparison.json").read_text())
    assert [model["name"] for model in comparison["failed"]] == ["dnn"]
    assert "train_dnn" not in (Path(failed.value.folder) / "report.html").read_text().split("<body")[0]


def test_a_bad_rating_fails_the_run_with_its_line(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    ratings = write_ratings(tmp_path / "ratings.csv")
    ratings.write_text(ratings.read_text() + "3,4,good\n")
    with pytest.raises(BadRatings, match=r"ratings\.csv, line 402: rating 'good' is not a number"):
        compare(small_settings(ratings, tmp_path))
    assert not (tmp_path / "reports").exists()


def test_a_split_by_time_of_ratings_without_times_fails_the_run(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    ratings = write_ratings(tmp_path / "ratings.csv")
    with pytest.raises(BadRatings, match="The ratings have no times, which --split-by user-last needs"):
        compare(small_settings(ratings, tmp_path, split={"split_by": "user-last"}))
    assert not (tmp_path / "reports").exists()


def test_rows_set_aside_lie_beside_the_report(prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    ratings = write_ratings(tmp_path / "ratings.csv")
    ratings.write_text(ratings.read_text() + "3,4,good\n")
    settings = small_settings(ratings, tmp_path, data={"bad_rows": "quarantine"})
    folder = Path(compare(settings))
    assert "402" in (folder / "quarantine.csv").read_text()
    comparison = json.loads((folder / "comparison.json").read_text())
    assert comparison["data"]["quarantined_rows"] == 1
    assert comparison["data"]["rows"] == 400
