from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, LearningCurve
from recsys.report.sections.cost import (
    COST_HEADINGS,
    accuracy_against_cost,
    all_in_findings,
    all_in_seconds,
    cost_rows,
    error_over_time,
    search_seconds,
    time_findings,
)
from recsys.report.sections.results import table_rows
from recsys.report.svg import style
from recsys.text import size
from tests.made_searches import family_search

Build = Callable[..., Comparison]


def with_model(comparison: Comparison, name: str, **changes: Any) -> Comparison:
    models = [model.model_copy(update=changes) if model.name == name else model for model in comparison.models]
    return comparison.model_copy(update={"models": models})


def test_all_in_adds_the_other_seeds_and_the_search(with_mse: Build, repeat: Build, search: Build) -> None:
    once = with_mse(mf_tuned=0.8, dnn_tuned=0.9, bias_only=0.9)
    model = once.models[0]
    assert all_in_seconds(once, model) == model.fit_seconds
    often = repeat(once, seconds=7.0, mf_tuned=[0.79, 0.8, 0.81])
    assert all_in_seconds(often, often.models[0]) == 21.0
    searched = search(often, mf_tuned=60, dnn_tuned=80)
    assert all_in_seconds(searched, searched.models[0]) == 81.0
    assert all_in_seconds(searched, searched.baselines[0]) == searched.baselines[0].fit_seconds


def test_combination_pays_for_the_searches_of_its_members_once(with_mse: Build, combine: Build, search: Build) -> None:
    comparison = search(with_mse(mf_tuned=0.8, dnn_tuned=0.9), mf_tuned=60, dnn_tuned=80)
    blend = combine(comparison, "blend", 0.7, {"mf_tuned": 0.5, "dnn_tuned": 0.5}).combinations[0]
    seeds = combine(comparison, "seeds", 0.7, {"mf_tuned": 1.0}).combinations[0]
    assert all_in_seconds(comparison, blend) == blend.fit_seconds + 140
    assert all_in_seconds(comparison, seeds) == seeds.fit_seconds + 60


def test_costs_that_are_not_known_are_dashes(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, bias_only=0.9)
    known = with_model(comparison, "mf", file_bytes=3_610_000, peak_mb=812.4, predict_microseconds=3.214)
    assert [dict(zip(COST_HEADINGS, row, strict=True))["File"] for row in cost_rows(comparison)] == ["–", "–"]
    mf, bias_only = cost_rows(known)
    assert mf == ("MF", "446,450", "3.6 MB", "65 s", "65 s", "812 MB", "3.214 µs")
    assert bias_only[-2:] == ("–", "–")


@pytest.mark.parametrize(
    ("count_of_bytes", "written"), [(812, "812 B"), (3_610_000, "3.6 MB"), (812e6, "812 MB"), (2.5e9, "2.5 GB")]
)
def test_bytes_are_written_as_one_would_say_them(count_of_bytes: float, written: str) -> None:
    assert size(count_of_bytes) == written


def test_the_whole_cost_is_told_only_where_there_was_more_than_a_fit(
    with_mse: Build, repeat: Build, search: Build
) -> None:
    once = with_mse(mf_tuned=0.8, dnn_tuned=0.9)
    assert all_in_findings(once) == []
    often = repeat(once, mf_tuned=[0.79, 0.81], dnn_tuned=[0.89, 0.91])
    assert [finding.text for finding in all_in_findings(often)] == [
        "With all seeds, tuned DNN took 20 s of training, tuned MF 20 s: about the same."
    ]
    searched = search(often, mf_tuned=30, dnn_tuned=80)
    assert all_in_findings(searched)[0].text == (
        "With all seeds and the hyperparameter search, tuned DNN took 100 s of training, tuned MF 50 s: "
        "2.0 times as long."
    )


def test_numbers_for_machines_have_the_costs(whole: tuple[Comparison, pd.DataFrame]) -> None:
    rows = {row["name"]: row for row in table_rows(whole[0])}
    tuned = rows["mf_tuned"]
    assert (tuned["search_seconds"], tuned["file_bytes"], tuned["peak_mb"]) == (58.0, 4 * 901_829, 812.4)
    assert rows["bias_only"]["search_seconds"] == 0
    assert (tuned["seeds"], rows["bias_only"]["seeds"]) == (5, None)


def test_picture_tells_search_costs_only_where_there_was_a_search(whole: tuple[Comparison, pd.DataFrame]) -> None:
    without = whole[0].model_copy(update={"tuning": []})
    with style():
        searched, plain = accuracy_against_cost(whole[0]), accuracy_against_cost(without)
    assert "hollow" in searched.caption
    assert "tuned MF" in searched.alt
    assert "all in" in searched.alt
    assert "hollow" not in plain.caption
    assert "all in" not in plain.alt


def test_a_model_that_was_not_chosen_pays_for_its_own_trials_alone(with_mse: Build) -> None:
    comparison = with_mse(mf_tuned=0.8, mf=0.9).model_copy(update={"tuning": [family_search()]})
    tuned, other = comparison.models[1], comparison.models[0].model_copy(update={"name": "histories"})
    assert search_seconds(comparison, tuned) == 24.0
    assert search_seconds(comparison, other) == 4 * 2.0


def with_curves(comparison: Comparison, **curves: LearningCurve) -> Comparison:
    for name, curve in curves.items():
        comparison = with_model(comparison, name, history=curve)
    return comparison


def test_time_to_the_error_that_both_families_reach(with_mse: Build) -> None:
    comparison = with_curves(
        with_mse(mf_tuned=0.8, dnn_tuned=0.9),
        mf_tuned=LearningCurve(loss=[1, 1, 1, 1], val_loss=[1.2, 0.905, 0.85, 0.8], seconds=8.0),
        dnn_tuned=LearningCurve(loss=[1, 1, 1], val_loss=[1.1, 1.0, 0.9], seconds=30.0),
    )
    [finding] = time_findings(comparison)
    assert (
        finding.text
        == "To a validation MSE of 0.9090, which both reach: tuned MF 4.0 s and tuned DNN 30 s of training."
    )
    unknown = with_curves(comparison, dnn_tuned=LearningCurve(loss=[1], val_loss=[0.9]))
    assert time_findings(unknown) == []
    diverged = with_curves(comparison, dnn_tuned=LearningCurve(loss=[1], val_loss=[float("inf")], seconds=3.0))
    assert time_findings(diverged) == []


def test_a_course_far_above_the_others_does_not_flatten_them(with_mse: Build) -> None:
    comparison = with_curves(
        with_mse(mf=2.0, mf_tuned=0.8, dnn_tuned=0.9),
        mf=LearningCurve(loss=[3, 2], val_loss=[3.0, 2.0], seconds=2.0),
        mf_tuned=LearningCurve(loss=[1, 1], val_loss=[0.9, 0.8], seconds=8.0),
        dnn_tuned=LearningCurve(loss=[1, 1, 1], val_loss=[1.1, 1.0, 0.9], seconds=30.0),
    )
    with style():
        plot = error_over_time(comparison, comparison.models)
    assert plot.caption.endswith("MF stays above what is drawn.")
    assert plot.alt == (
        "Lowest validation MSE: MF 2.0000 after 2.0 s; tuned MF 0.8000 after 8.0 s; tuned DNN 0.9000 after 30 s."
    )
