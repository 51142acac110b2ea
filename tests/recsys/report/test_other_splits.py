from collections.abc import Callable

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, Difference, DifferenceVerdict
from recsys.report.outcomes import duel_under
from recsys.report.sections.splits import (
    other_split_findings,
    over_random_splits,
    split_headings,
    split_rows,
)
from tests.made_reports import pages_of

Build = Callable[..., Comparison]


def said(comparison: Comparison) -> list[str]:
    return [finding.text for finding in other_split_findings(comparison)]


@pytest.mark.parametrize(
    ("mf", "dnn", "sentence"),
    [
        (0.85, 0.95, "The answer (MF is better) is the same under the cut in time."),
        (0.90, 0.901, "Under the cut in time it becomes a tie: the split decides whether there is a winner at all."),
        (
            0.95,
            0.85,
            "Under the cut in time the answer is reversed: there the winner is dnn by 0.1000. The answer depends on "
            "the split.",
        ),
    ],
)
def test_another_split_keeps_ties_or_turns_the_answer(
    with_mse: Build, split_also: Build, mf: float, dnn: float, sentence: str
) -> None:
    assert said(split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=mf, dnn=dnn)) == [sentence]


def test_a_tie_may_be_decided_or_stay(with_mse: Build, split_also: Build) -> None:
    tie = with_mse(mf=0.800, dnn=0.801)
    assert said(split_also(tie, "user-last", 42, mf=0.8, dnn=0.9)) == [
        "A tie here, it is decided under the split by each user's last ratings, where the winner is mf by 0.1000."
    ]
    assert said(split_also(tie, "user-last", 42, mf=0.9, dnn=0.9)) == [
        "The answer (a tie) is the same under the split by each user's last ratings."
    ]


def test_no_other_split_or_no_two_sides_say_nothing(with_mse: Build, split_also: Build) -> None:
    assert said(with_mse(mf=0.8, dnn=0.9)) == []
    assert said(split_also(with_mse(mf=0.8), "time", 42, mf=0.8)) == []
    assert said(split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=0.8)) == []


def test_tuned_factorisation_meets_the_best_network_of_that_split(with_mse: Build, split_also: Build) -> None:
    comparison = split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=0.7, mf_tuned=0.9, dnn=0.95, dnn_tuned=0.8)
    contest = duel_under(comparison, comparison.other_splits[0])
    assert contest is not None
    assert (contest.factorisation.name, contest.network.name, contest.outcome) == ("mf_tuned", "dnn_tuned", "better")


@pytest.mark.parametrize(("verdict", "outcome"), [("better", "worse"), ("worse", "better"), ("not certain", "tie")])
def test_a_difference_that_was_tested_there_decides_there(
    with_mse: Build, split_also: Build, verdict: DifferenceVerdict, outcome: str
) -> None:
    comparison = split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=0.8, dnn=0.9)
    tested = Difference(
        name="mf", other="dnn", mse_difference=-0.1, low=-0.3, high=0.1, p=0.4, p_corrected=0.4, verdict=verdict
    )
    contest = duel_under(comparison, comparison.other_splits[0].model_copy(update={"differences": [tested]}))
    assert contest is not None
    assert contest.outcome == outcome
    assert contest.reach == (-0.1, 0.3)


def test_random_splits_give_mean_and_spread_of_the_difference(with_mse: Build, split_also: Build) -> None:
    comparison = split_also(with_mse(mf=0.8, dnn=0.9), "random", 43, mf=0.8, dnn=0.88)
    assert over_random_splits(split_also(comparison, "time", 42, mf=0.9, dnn=0.5)) == (
        "Over 2 random splits, the best network's MSE less the factorisation's is 0.0900 on average, with a standard "
        "deviation of 0.0141 between splits, with the same sign in each of them."
    )
    assert "the other sign in 1 of them" in over_random_splits(split_also(comparison, "random", 44, mf=0.9, dnn=0.88))
    assert over_random_splits(split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=0.9, dnn=0.5)) == ""


def test_splits_of_one_kind_are_named_together(with_mse: Build, split_also: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    for split_seed in (43, 44):
        comparison = split_also(comparison, "random", split_seed, mf=0.8, dnn=0.9)
    assert said(comparison)[0] == "The answer (MF is better) is the same under the random splits with seeds 43 and 44."


def test_table_begins_with_the_split_of_the_page(with_mse: Build, split_also: Build) -> None:
    comparison = split_also(with_mse(mf=0.8, dnn=0.9), "time", 42, mf=0.95, dnn=0.85, bias_only=1.0)
    assert split_headings(comparison) == ("Split", "Verdict", "Test ratings", "Cold", "MF", "DNN", "Bias only")
    assert split_rows(comparison) == [
        ("Random split (seed 42)", "MF is better", "20,000", "0%", "0.8000", "0.9000", "–"),
        ("Cut in time", "dnn is better", "20,000", "0%", "0.9500", "0.8500", "1.0000"),
    ]
    assert split_rows(with_mse(mf=0.8, dnn=0.9)) == []


def test_section_is_there_only_with_other_splits(whole: tuple[Comparison, pd.DataFrame]) -> None:
    alone = whole[0].model_copy(update={"other_splits": []})
    for written, empty in zip(pages_of(whole[0]), pages_of(alone), strict=True):
        assert "Under other splits" in written
        assert "under the random split" in written
        assert "Under other splits" not in empty
