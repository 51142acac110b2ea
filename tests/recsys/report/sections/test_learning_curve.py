from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import (
    Comparison,
    Difference,
    DifferenceVerdict,
    Estimate,
    MissingPoint,
    Outlook,
    PowerLaw,
    SizeCurve,
    SizePoint,
)
from recsys.report.sections.learning_curve import answer, draw, section

LAW = PowerLaw(limit=0.6, reducible=0.1, exponent=0.4)


def about(value: float, reach: float = 0.002) -> Estimate:
    return Estimate(value=value, low=value - reach, high=value + reach)


def curve(*gaps: float, later: Estimate, meeting: Estimate | None = None, meet: float = 0.0, **laws: Any) -> SizeCurve:
    """A curve of a network that is worse by these gaps, with fewest ratings first."""
    points = [
        SizePoint(
            share=share, ratings=int(8000 * share), mf=about(0.7), dnn=about(0.7 + gap), gap=about(gap), seconds=1
        )
        for share, gap in zip((0.1, 0.2, 0.4, 0.7, 1.0), gaps, strict=False)
    ]
    outlook = Outlook(times=10, gap=later, meeting=meeting, meet=meet, **{"mf": LAW, "dnn": LAW, **laws})
    return SizeCurve(mf="mf_tuned", dnn="dnn_tuned", points=points, missing=[], outlook=outlook)


@pytest.fixture
def told(with_mse: Callable[..., Comparison]) -> Callable[..., Comparison]:
    """A comparison whose network is worse by the last gap of its curve; effects of 0.0045 or less do not matter."""

    def build(found: SizeCurve) -> Comparison:
        gap = found.points[-1].gap.value
        comparison = with_mse(mf_tuned=0.7, dnn_tuned=0.7 + gap)
        verdict: DifferenceVerdict = "too small" if abs(gap) < 0.0045 else "better" if gap < 0 else "worse"
        ends = {"low": gap - 0.002, "high": gap + 0.002, "p": 0.01, "p_corrected": 0.02}
        tested = Difference(name="dnn_tuned", other="mf_tuned", mse_difference=gap, verdict=verdict, **ends)
        return comparison.model_copy(update={"learning_curve": found, "differences": [tested]})

    return build


def texts(comparison: Comparison) -> list[str]:
    found = section(comparison, [])
    assert found is not None
    return [finding.text for finding in found.findings]


def test_nothing_is_said_where_no_curve_was_asked_for(with_mse: Callable[..., Comparison]) -> None:
    comparison = with_mse(mf_tuned=0.7, dnn_tuned=0.7)
    assert section(comparison, []) is None
    assert answer(comparison) == ""
    assert draw(comparison, None) == []  # type: ignore[arg-type]


def test_ties_that_stay_ties_would_not_change_the_answer(told: Callable[..., Comparison]) -> None:
    found = curve(0.002, 0.001, 0.001, 0.0, 0.001, later=about(0.001, reach=0.1))
    said = answer(told(found))
    assert said.startswith("More ratings of this kind would not change the answer")
    assert "predict a tie" in said


def test_a_winner_that_stays_ahead_would_not_change_the_answer(told: Callable[..., Comparison]) -> None:
    said = answer(told(curve(0.05, 0.05, 0.04, 0.04, 0.03, later=about(0.02))))
    assert said.startswith("More ratings of this kind would not change the answer")
    assert "tuned MF ahead" in said


def test_a_gap_that_turns_would_change_the_answer(told: Callable[..., Comparison]) -> None:
    meeting = Estimate(value=23_456, low=14_000, high=51_000)
    found = curve(0.05, 0.04, 0.03, 0.02, 0.01, later=about(-0.02), meeting=meeting, meet=0.97)
    said = texts(told(found))
    assert said[0].startswith("More ratings of this kind would change the answer")
    assert "tuned DNN ahead" in said[0]
    assert "the gap narrows" in said[1]
    assert "meet at about 23,000 ratings (95% interval 14,000 to 51,000, of the 97.0%" in said[2]


def test_a_wide_interval_says_nothing(told: Callable[..., Comparison]) -> None:
    said = texts(told(curve(0.05, 0.04, 0.03, 0.02, 0.01, later=about(-0.02, reach=0.1), meet=0.3)))
    assert said[0].startswith("The points do not say whether")
    assert said[2].startswith("The points do not say where")
    assert "30.0%" in said[2]


def test_errors_that_do_not_fall_have_no_law_to_follow(told: Callable[..., Comparison]) -> None:
    flat = PowerLaw(limit=0.7, reducible=0.0, exponent=0.02)
    said = texts(told(curve(0.05, 0.04, 0.03, 0.02, 0.01, later=about(0.01), dnn=flat, meet=1.0)))
    assert said[0].startswith("The points do not say whether")
    assert "the error of tuned DNN does not fall" in said[0]
    assert not any("meet" in text for text in said)


def test_too_few_points_and_those_that_are_missing_are_told(told: Callable[..., Comparison]) -> None:
    found = curve(0.05, 0.01, later=about(0.01)).model_copy(
        update={"outlook": None, "missing": [MissingPoint(share=0.2, reason="the loss became NaN.")]}
    )
    said = texts(told(found))
    assert "2 points are too few" in said[0]
    assert any("20% of the ratings (the loss became NaN)" in text for text in said)


def test_a_gap_on_the_other_side_changes_sides(told: Callable[..., Comparison]) -> None:
    assert "the gap changes sides" in texts(told(curve(-0.02, 0.0, 0.01, 0.02, 0.02, later=about(0.03))))[1]


def test_each_point_is_in_the_table_and_the_plot(told: Callable[..., Comparison]) -> None:
    comparison = told(curve(0.05, 0.04, 0.03, 0.02, 0.01, later=about(-0.02)))
    [plot] = draw(comparison, None)  # type: ignore[arg-type]
    found = section(comparison, [plot])
    assert found is not None
    assert [row[0].text for row in found.tables[0].rows][::4] == ["800 (10%)", "8,000 (100%)"]
    assert list(found.plots) == [plot]
    assert "tuned DNN 0.750" in plot.alt


def test_a_comparison_on_record_without_a_curve_still_loads(with_mse: Callable[..., Comparison]) -> None:
    document = with_mse(mf_tuned=0.7).model_dump(exclude={"learning_curve"})
    assert Comparison.model_validate(document).learning_curve is None
