"""The learning curve through the flow."""

from pathlib import Path
from typing import Any

import pytest

import recsys.data.subsample
from recsys.data.source import locate
from recsys.errors import BadSettings
from recsys.evaluation.results import Comparison
from tests.factories import small_settings, write_ratings


def test_a_plan_has_the_shares_and_their_fits(tmp_path: Path) -> None:
    from flows.compare import wire
    from flows.plan import Planner

    runs: dict[bool, dict[str, int]] = {}
    for wanted in (False, True):
        ratings = write_ratings(tmp_path / "ratings.csv")
        settings = small_settings(ratings, tmp_path, evidence={"learning_curve": wanted})
        planner = Planner(settings.output.store)
        wire(settings, locate(settings.data), planner)
        runs[wanted] = {planned.task: planned.runs for planned in planner.tasks}
    assert runs[True]["subsample"] == 4
    more = {task: many - runs[False].get(task, 0) for task, many in runs[True].items()}
    assert {task: many for task, many in more.items() if many} == {
        "subsample": 4,
        "train_mf_tuned": 8,  # each chooses its epochs first
        "train_dnn_tuned": 8,
    }


@pytest.mark.timeout(900)
def test_a_share_that_fails_leaves_out_its_point_alone(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.compare import compare
    from flows.executor import ModelsFailed

    draw = recsys.data.subsample.subsample

    def drawn(training: Any, validation: Any, share: float, *rest: Any) -> dict[str, Any]:
        if share == 0.2:
            raise BadSettings("the disk is full")
        return draw(training, validation, share, *rest)

    monkeypatch.setattr("recsys.data.subsample.subsample", drawn)
    settings = small_settings(
        write_ratings(tmp_path / "ratings.csv", rows=600), tmp_path, evidence={"learning_curve": True}
    )
    with pytest.raises(ModelsFailed, match="subsample failed: the disk is full") as failed:
        compare(settings)
    folder = Path(failed.value.folder)
    comparison = Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    curve = comparison.learning_curve
    assert curve is not None
    assert [(point.share, point.ratings) for point in curve.points] == [(0.1, 48), (0.4, 192), (0.7, 336), (1.0, 480)]
    assert [(one.share, one.reason) for one in curve.missing] == [(0.2, "the disk is full")]
    assert curve.outlook is not None
    scores = {row.name: row.mse for row in comparison.models}
    last = curve.points[-1]
    assert (last.mf.value, last.dnn.value) == pytest.approx((scores[curve.mf], scores[curve.dnn]))
    assert "20% of the ratings (the disk is full)" in (folder / "report.html").read_text(encoding="utf-8")
