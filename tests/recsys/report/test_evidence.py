from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, Difference, DifferenceVerdict
from recsys.report.answer import headline
from recsys.report.outcomes import mse_step, outcome, tie_margin
from recsys.report.sections.baselines import baseline_summary
from recsys.report.sections.cost import worth_findings
from recsys.report.sections.discussion import gap_findings, ranking_findings
from recsys.report.sections.methodology import notes
from recsys.report.sections.significance import difference_rows, draw, evidence_findings
from recsys.report.sections.verdict import gap_summary
from recsys.report.svg import style
from tests.made_reports import pages_of

Build = Callable[..., Comparison]


NOBODY = pd.DataFrame()


def with_differences(
    comparison: Comparison, *found: tuple[str, str, DifferenceVerdict], p: float = 0.0123, **changes: Any
) -> Comparison:
    """The comparison with differences of these verdicts, 0.02 to each side, of the size its errors have."""
    mse = {row.name: row.mse for row in (*comparison.models, *comparison.baselines)}
    made = [
        Difference(
            name=name,
            other=other,
            mse_difference=mse[name] - mse[other],
            low=mse[name] - mse[other] - 0.02,
            high=mse[name] - mse[other] + 0.02,
            p=p / 2,
            p_corrected=p,
            verdict=verdict,
        )
        for name, other, verdict in found
    ]
    return comparison.model_copy(update={"differences": made, **changes})


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        ("better", "Yes. The deep network predicts better than matrix factorisation"),
        ("not certain", "It cannot be told. The deep network may predict better"),
        ("too small", "No. The deep network ties with matrix factorisation"),
    ],
)
def test_headline_names_a_winner_only_where_the_difference_is_real(
    with_mse: Build, verdict: DifferenceVerdict, answer: str
) -> None:
    assert headline(with_differences(with_mse(mf=0.80, dnn=0.70), ("dnn", "mf", verdict))).startswith(answer)
    turned: DifferenceVerdict = "worse" if verdict == "better" else verdict
    assert headline(with_differences(with_mse(mf=0.80, dnn=0.70), ("mf", "dnn", turned))).startswith(answer)


def test_headline_tells_the_two_kinds_of_tie_apart(with_mse: Build) -> None:
    comparison = with_mse("notebook", mf=0.80, dnn=0.801, dnn_tuned=0.79)
    both = with_differences(comparison, ("dnn", "mf", "too small"), ("dnn_tuned", "mf", "not certain"))
    assert headline(both) == (
        "DNN and MF predict these ratings equally well; tuned DNN cannot be told apart from MF on these ratings"
    )


def test_headline_beats_no_baseline_by_chance(with_mse: Build) -> None:
    comparison = with_mse(mf=0.80, dnn=0.70, bias_only=0.75)
    models: tuple[str, str, DifferenceVerdict] = ("dnn", "mf", "better")
    beaten = with_differences(comparison, models, ("dnn", "bias_only", "better"), ("mf", "bias_only", "worse"))
    chance = with_differences(comparison, models, ("dnn", "bias_only", "not certain"), ("mf", "bias_only", "worse"))
    lost = with_differences(
        with_mse(mf=0.8, dnn=0.7, bias_only=0.6),
        models,
        ("dnn", "bias_only", "worse"),
        ("mf", "bias_only", "worse"),
    )
    assert "baseline" not in headline(beaten)
    assert headline(chance).startswith("No model beats the baseline “bias only”. Of the two, the deep network predicts")
    assert headline(lost).startswith("No model is as good as the baseline “bias only”. Of the two, the deep network")
    assert baseline_summary(beaten)[0].text.startswith("DNN beats the best baseline")
    assert baseline_summary(chance)[0].text.startswith("No model beats the best baseline")


def test_a_gap_that_was_tested_says_why_it_is_a_tie(with_mse: Build) -> None:
    comparison = with_mse(mf=0.80, dnn=0.79)
    chance = with_differences(comparison, ("dnn", "mf", "not certain"))
    small = with_differences(comparison, ("dnn", "mf", "too small"))
    real = with_differences(comparison, ("dnn", "mf", "better"))
    assert gap_findings(chance)[0].text.endswith("0.0100 (1.3%) lower may be chance: a tie.")
    assert gap_findings(small)[0].text.endswith("0.0100 (1.3%) lower is too small a gap to matter: a tie.")
    assert gap_findings(real)[0].text.endswith("0.0100 (1.3%) lower.")
    assert "in a tie" in gap_summary(chance)[0].text
    assert "in a tie" not in gap_summary(real)[0].text


def test_ranking_says_what_a_tie_is(with_mse: Build) -> None:
    comparison = with_mse(mf=0.80, dnn=0.70)
    chance = ranking_findings(with_differences(comparison, ("dnn", "mf", "not certain")))[0].text
    real = ranking_findings(with_differences(comparison, ("dnn", "mf", "better")))[0].text
    assert "in a tie with MF." in chance
    assert "by more than a tie." in real
    assert real.endswith("below 0.0045 is called a tie here, and so is a larger one that may be chance.")


def test_a_network_that_may_be_better_is_not_said_to_be_matched(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7, bias_only=0.701)
    chance = worth_findings(with_differences(comparison, ("dnn", "bias_only", "not certain")))[0].text
    small = worth_findings(with_differences(comparison, ("dnn", "bias_only", "too small")))[0].text
    assert chance.startswith("DNN is not shown to be worth its cost on these ratings: bias only does as well, within")
    assert small.startswith("DNN is not worth its cost on these ratings: bias only does as well with")


def test_the_one_threshold_is_that_of_the_settings_where_they_name_one(with_mse: Build) -> None:
    comparison = with_mse(mf=0.80, dnn=0.79, user_mean=0.79)
    told = comparison.model_copy(update={"min_effect": 0.02})
    anything = comparison.model_copy(update={"min_effect": 0.0})
    model, mean = comparison.models[0], comparison.baselines[0]
    assert [outcome(each, model, mean) for each in (comparison, told, anything)] == ["worse", "tie", "worse"]
    assert [tie_margin(each) for each in (told, anything)] == [0.02, 0.0]
    assert mse_step(told) == mse_step(anything) == mse_step(comparison) == pytest.approx(0.0045)
    assert mse_step(comparison.model_copy(update={"min_effect": 0.001})) == 0.001
    assert "as set for this run" in dict(notes(told))["Tie"]
    assert "another seed or chance" in dict(notes(comparison))["Tie"]


def test_the_words_say_what_was_drawn_only_where_it_was(with_mse: Build) -> None:
    comparison = with_mse(mf=0.80, dnn=0.70)
    words = dict(notes(with_differences(comparison, ("dnn", "mf", "better"), resamples=3000)))
    assert "3,000 bootstrap resamples" in words["95% interval, p"]
    assert "corrected p is 0.05 or more" in words["Tie"]
    assert "95% interval, p" not in dict(notes(comparison))


def said(comparison: Comparison) -> list[str]:
    return [finding.text for finding in evidence_findings(comparison)]


def test_findings_give_the_effect_first_and_count_what_is_real(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7, bias_only=0.79)
    some = with_differences(
        comparison, ("dnn", "mf", "better"), ("mf", "bias_only", "not certain"), ("dnn", "bias_only", "better")
    )
    assert said(some) == [
        "2 of 3 differences are both certain and large enough to matter (at least 0.0045 of MSE): the largest is "
        "0.1000 (95% interval 0.0800 to 0.1200), by which DNN beats MF.",
        "Not certain, as another sample of users may bring as much: MF against bias only.",
    ]
    every = with_differences(comparison, ("dnn", "mf", "better"), ("dnn", "bias_only", "better"))
    assert said(every)[0].startswith("All 2 differences tested are both certain")
    assert len(said(every)) == 1


def test_findings_say_the_opposite_where_nothing_is_real(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.801, bias_only=0.79)
    none = with_differences(comparison, ("dnn", "mf", "too small"), ("mf", "bias_only", "not certain"))
    assert said(none) == [
        "None of the 2 differences tested is both certain and large enough to matter (at least 0.0045 of MSE).",
        "Not certain, as another sample of users may bring as much: MF against bias only; "
        "too small to matter: DNN against MF.",
    ]
    assert said(with_differences(comparison, ("dnn", "mf", "too small")))[0].startswith(
        "The one difference tested is not both"
    )


def test_the_loser_named_first_is_not_called_the_winner(with_mse: Build) -> None:
    worse = with_differences(with_mse(mf=0.8, bias_only=0.7), ("mf", "bias_only", "worse"))
    assert said(worse) == [
        "The one difference tested is both certain and large enough to matter (at least 0.0045 of MSE): it is 0.1000 "
        "(95% interval 0.0800 to 0.1200), by which bias only beats MF."
    ]
    assert difference_rows(worse) == [
        ("MF against bias only", "0.1000", "0.0800 to 0.1200", "0.012", "bias only is better")
    ]


def test_rows_show_small_p_values_and_missing_intervals(with_mse: Build) -> None:
    comparison = with_differences(with_mse(mf=0.8, dnn=0.7), ("dnn", "mf", "better"), p=1e-9)
    assert difference_rows(comparison)[0][1:] == ("−0.1000", "−0.1200 to −0.0800", "under 0.001", "DNN is better")
    single = comparison.differences[0].model_copy(
        update={"low": None, "high": None, "p_corrected": 1.0, "verdict": "not certain"}
    )
    unsure = comparison.model_copy(update={"differences": [single]})
    assert difference_rows(unsure)[0][2:] == ("–", "1.000", "tie: not certain")
    with style():
        (plot,) = draw(unsure, NOBODY)
    assert "DNN against MF −0.1000 (–), tie: not certain" in plot.alt


def test_section_is_on_the_page_and_in_its_twin_only_where_something_was_tested(
    fair: tuple[Comparison, pd.DataFrame],
) -> None:
    comparison = fair[0]
    untested = comparison.model_copy(update={"differences": []})
    with style():
        plots = draw(comparison, NOBODY)
        assert draw(untested, NOBODY) == []
    for written, empty in zip(pages_of(comparison, plots), pages_of(untested), strict=True):
        assert "Are the differences real?" in written
        assert "Tuned DNN against MF" in written
        assert plots[0].caption.split(";")[0] in written
        assert "Are the differences real?" not in empty


def test_differences_of_rows_that_are_not_there_are_not_shown(with_mse: Build) -> None:
    comparison = with_differences(with_mse(mf=0.8, dnn=0.7), ("dnn", "mf", "better"))
    assert evidence_findings(comparison.model_copy(update={"models": comparison.models[:1]})) == []


def test_picture_fills_the_marker_of_real_differences_alone(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    with style():
        (real,) = draw(with_differences(comparison, ("dnn", "mf", "better")), NOBODY)
        (tie,) = draw(with_differences(comparison, ("dnn", "mf", "not certain")), NOBODY)
    assert "#ffffff" not in real.svg
    assert "#ffffff" in tie.svg
