from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Trial, Tuning
from recsys.report.sections import methodology as procedure
from recsys.report.sections import tuning as search_fairness
from recsys.report.sections import tuning_tables as searches
from recsys.report.sections.tuning import search_findings, search_warnings
from recsys.report.sections.tuning_tables import edge, place, written
from tests.made_searches import DNN_START, MF_START, Settings, trial, tuning

Build = Callable[..., Comparison]


@pytest.fixture
def searched(with_mse: Build) -> Callable[..., Comparison]:
    """A comparison of a tuned MF and a tuned DNN, 20,000 validation ratings of variance 1, with the searches given."""

    def build(*tunings: Tuning) -> Comparison:
        comparison = with_mse(mf=0.8, dnn_tuned=0.7)
        models = [
            model.model_copy(update={"name": "mf_tuned", "title": "tuned MF"}) if model.name == "mf" else model
            for model in comparison.models
        ]
        data = comparison.data.model_copy(update={"validation_rows": 20_000})
        return comparison.model_copy(update={"models": models, "data": data, "tuning": list(tunings)})

    return build


def mf(*errors: float | None, **changes: Any) -> Tuning:
    return tuning("mf_tuned", [trial(number, error, MF_START) for number, error in enumerate(errors)], **changes)


def dnn(*errors: float | None, **changes: Any) -> Tuning:
    return tuning("dnn_tuned", [trial(number, error, DNN_START) for number, error in enumerate(errors)], **changes)


def said(comparison: Comparison) -> str:
    return " ".join(finding.text for finding in search_findings(comparison))


def warned(comparison: Comparison) -> str:
    return " ".join(finding.text for finding in search_warnings(comparison))


def test_nothing_is_said_where_nothing_was_searched(searched: Build) -> None:
    assert search_findings(searched()) == []
    assert search_warnings(searched()) == []


def test_equal_budgets_that_were_used_are_told_without_a_warning(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75))
    assert (
        "Each search was allowed 2 trials and 60 s of training; tuned MF used 2 trials and 24 s and tuned DNN used "
        "2 trials and 24 s."
    ) in said(comparison)
    assert warned(comparison) == ""


def test_unequal_budgets_are_a_warning(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75, 0.7))
    assert "Each search was allowed" not in said(comparison)
    assert "unequal budgets: tuned MF 2 trials and 60 s of training and tuned DNN 3 trials" in warned(comparison)


def test_a_single_search_is_a_warning(searched: Build) -> None:
    assert "Only tuned DNN was searched" in warned(searched(dnn(0.8, 0.7)))


@pytest.mark.parametrize(
    ("used", "why"),
    [(60.0, "as its 60 s of training were used up"), (31.0, "although only 31 s of 60 s were used")],
)
def test_trials_that_were_not_begun_are_a_warning(searched: Build, used: float, why: str) -> None:
    comparison = searched(mf(0.8, 0.7, 0.7), dnn(0.8, 0.7, trials_allowed=3, seconds_used=used))
    assert warned(comparison) == (
        f"Tuned DNN began 2 of its 3 trials, {why}: fewer settings were tried than for tuned MF, with 3."
    )


def test_nobody_is_ahead_where_both_ran_out_of_time_alike(searched: Build) -> None:
    short = {"trials_allowed": 3, "seconds_used": 61.0}
    assert "fewer settings were tried" not in warned(searched(mf(0.8, 0.7, **short), dnn(0.8, 0.7, **short)))


def test_failed_trials_are_a_warning_with_their_reason(searched: Build) -> None:
    assert warned(searched(mf(0.8, None), dnn(0.8, 0.7))) == (
        "1 of the 2 trials of tuned MF failed: its loss became NaN."
    )
    comparison = searched(mf(0.8, 0.7), dnn(None, None))
    assert warned(comparison).startswith("Every trial of tuned DNN failed, so no settings were chosen")
    assert "of tuned DNN won" not in said(comparison)


def test_winner_is_told_with_its_gain_and_what_changed(searched: Build) -> None:
    better: Settings = {**MF_START, "embedding_size": 50, "l2_factors": 0.2, "item_bias": False}
    comparison = searched(tuning("mf_tuned", [trial(0, 0.77, MF_START), trial(1, 0.74, better)]), dnn(0.8, 0.75))
    assert (
        "Trial 1 of tuned MF won with a validation MSE of 0.7400, 0.0300 below the 0.7700 of trial 0, the default "
        "settings. It has embedding size 50 rather than 100, l2 factors 0.2 rather than 0.12 and item bias no rather "
        "than yes; learning rate did not change."
    ) in said(comparison)


def test_gain_that_may_be_chance_is_said_to_be(searched: Build) -> None:
    assert "0.0040 below the 0.7700 of trial 0, the default settings: no more than chance" in said(
        searched(mf(0.77, 0.766))
    )
    assert "no more than chance" not in said(searched(mf(0.77, 0.76)))


def test_default_that_won_is_said_to_have(searched: Build) -> None:
    assert (
        "None of the 2 other trials was better than trial 0 of tuned DNN, the notebook's hand-tuned point, with a "
        "validation MSE of 0.7000: it was kept."
    ) in said(searched(dnn(0.7, 0.8, 0.9)))
    assert "The one other trial was not better than trial 0 of tuned MF, the default" in said(searched(mf(0.7, 0.8)))
    assert "nothing but trial 0, the default settings, was tried" in said(searched(mf(0.7)))


def test_gain_over_a_start_that_failed_or_was_pruned_cannot_be_told(searched: Build) -> None:
    assert "but trial 0 failed, so what the search gained cannot be told." in said(searched(mf(None, 0.8)))
    pruned = tuning("mf_tuned", [trial(0, 0.9, MF_START, state="pruned"), trial(1, 0.8, MF_START)])
    assert "but trial 0 was pruned" in said(searched(pruned))
    assert searches.gain(pruned) is None


def test_start_that_the_run_was_given_is_not_called_the_default() -> None:
    given = tuning("dnn_tuned", [trial(0, 0.8, {**DNN_START, "dropout": 0.5})])
    assert searches.starting_point(given) == "the settings that this run was given"
    assert searches.starting_point(dnn(0.8)) == "the notebook's hand-tuned point"


LOG = SearchedSetting(name="l2", low=0.001, high=1.0, log=True)
LINEAR = SearchedSetting(name="sd", low=0.1, high=1.1)
ZERO = SearchedSetting(name="dropout", low=0.0, high=0.5)
ORDERED = SearchedSetting(name="size", choices=[25, 50, 100], ordered=True)
SIZES = SearchedSetting(name="units", choices=[[64], [64, 64], [128, 128]], ordered=True)
LOOSE = SearchedSetting(name="bias", choices=[True, False])
LAYERS = SearchedSetting(name="layers", choices=[0, 1, 2], ordered=True)


@pytest.mark.parametrize(
    ("setting", "value", "side"),
    [
        (LOG, 0.0014, "lower"),
        (LOG, 0.0015, None),
        (LOG, 0.72, "upper"),
        (LOG, 0.70, None),
        (LOG, 0.0, "lower"),
        (LINEAR, 0.15, "lower"),
        (LINEAR, 0.16, None),
        (LINEAR, 1.06, "upper"),
        (LINEAR, 1.04, None),
        (LINEAR, 3.0, "upper"),
        (ZERO, 0.0, None),
        (ZERO, 0.5, "upper"),
        (ORDERED, 25, "lower"),
        (ORDERED, 50, None),
        (ORDERED, 100, "upper"),
        (ORDERED, 70, None),
        (SIZES, [128, 128], "upper"),
        (SIZES, [64, 64], None),
        (LOOSE, True, None),
        (LAYERS, 0, None),
    ],
)
def test_edge_of_what_was_searched(setting: SearchedSetting, value: Any, side: str | None) -> None:
    assert edge(setting, value) == side


def test_range_without_extent_has_no_place() -> None:
    assert place(SearchedSetting(name="sd", low=0.1, high=0.1), 0.1) is None


def test_winner_at_an_edge_is_flagged_and_others_are_not(searched: Build) -> None:
    high: Settings = {**MF_START, "l2_factors": 0.95}
    at_edge = tuning("mf_tuned", [trial(0, 0.8, MF_START), trial(1, 0.7, high)])
    assert (
        "The winner of tuned MF has l2 factors 0.95 at the upper edge of what was searched (0.01 to 1, log scale): a "
        "wider range could find better."
    ) in said(searched(at_edge))
    lost = tuning("mf_tuned", [trial(0, 0.7, MF_START), trial(1, 0.8, high)])
    assert "wider range" not in said(searched(lost))


def test_cheapest_trial_as_good_as_the_best_is_told(searched: Build) -> None:
    slow, fast, bad = trial(0, 0.70, seconds=20), trial(1, 0.704, seconds=2), trial(2, 0.9, seconds=1)
    comparison = searched(tuning("mf_tuned", [slow, fast, bad]))
    assert "0.7000, took 20 s of training (trial 0 of tuned MF); trial 1 of tuned MF came within 0.0045" in said(
        comparison
    )
    worse = searched(tuning("mf_tuned", [slow, trial(1, 0.71, seconds=2), bad]))
    assert "none that was faster came within 0.0045 of it" in said(worse)


def test_front_has_the_trials_that_none_is_both_faster_and_better_than(searched: Build) -> None:
    one = tuning("mf_tuned", [trial(0, 0.8, seconds=1), trial(1, 0.9, seconds=2), trial(2, 0.6, seconds=9)])
    other = tuning("dnn_tuned", [trial(0, 0.7, seconds=3), trial(1, 0.1, seconds=1, state="pruned"), trial(2, None)])
    steps = [(found.name, tried.number) for found, tried in searches.front(searched(one, other))]
    assert steps == [("mf_tuned", 0), ("dnn_tuned", 0), ("mf_tuned", 2)]


def test_how_many_trials_tell_what_matters_is_said_while_there_are_fewer(searched: Build) -> None:
    enough, few = [0.8] * searches.ENOUGH, [0.8] * (searches.ENOUGH - 1)
    assert "It takes 20 finished trials to tell which settings matter most: tuned DNN has 19" in said(
        searched(mf(*enough), dnn(*few))
    )
    assert "It takes" not in said(searched(mf(*enough), dnn(*enough)))


def test_equal_searches_settle_what_hand_tuning_does_not(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7, 0.7), dnn(0.8, 0.75, 0.7, seconds_used=59.6))
    assert procedure.one_sided_tuning(comparison) == ""
    assert search_fairness.equal_searches(comparison) == (
        "The settings of both sides were searched on validation ratings with the same budget, 3 trials and 60 s of "
        "training: used were 3 trials in 24 s by tuned MF and 3 trials in 60 s by tuned DNN."
    )
    assert search_fairness.equal_searches(comparison) in [
        finding.text for finding in procedure.procedure_findings(comparison)
    ]
    assert procedure.limits(comparison).startswith("1 seed, 1 split, and a search of 3 trials a side, on one set")
    uneven = searched(mf(0.8, 0.7, trials_allowed=3), dnn(0.8, 0.7, 0.7))
    assert "searches of 2 and 3 trials" in procedure.limits(uneven)


def test_unequal_searches_are_said_to_be(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75, 0.7))
    assert search_fairness.equal_searches(comparison) == ""
    assert "The sides were not searched alike: tuned MF with 2 trials" in procedure.one_sided_tuning(comparison)
    assert "searches of unequal budgets" in procedure.limits(comparison)


@pytest.mark.parametrize("other", [(), (dnn(None, None),), (dnn(0.8),)], ids=["no search", "failed", "start alone"])
def test_one_searched_side_is_said_to_be(searched: Build, other: tuple[Tuning, ...]) -> None:
    comparison = searched(mf(0.8, 0.7), *other)
    assert procedure.one_sided_tuning(comparison) == (
        "Settings of tuned MF were searched, with 2 trials and 60 s of training, and none of tuned DNN: a searched "
        "side against one that was not cannot show which is better in general."
    )
    assert "a search of tuned MF alone" in procedure.limits(comparison)


def test_short_searches_are_said_to_be_and_long_ones_are_not(searched: Build) -> None:
    assert searches.draws_to_be_sure() == 59
    comparison = searched(mf(0.8, 0.7), dnn(*[0.8] * 60))
    text = search_fairness.short_searches(comparison)
    assert "would be 5.0% for the 1 draw of tuned MF; it takes 59 draws to make it 95%." in text
    assert "tuned DNN" not in text
    assert search_fairness.short_searches(searched(mf(*[0.8] * 60), dnn(*[0.8] * 60))) == ""
    assert search_fairness.short_searches(searched()) == ""


def test_a_head_start_on_the_sample_is_admitted(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.7))
    text = search_fairness.head_start(comparison)
    assert text.startswith("The searches of tuned MF and tuned DNN began with a head start that no budget counts")
    assert text in [finding.text for finding in procedure.unsettled_findings(comparison)]
    elsewhere = comparison.data.model_copy(update={"source": "ratings.csv"})
    assert search_fairness.head_start(comparison.model_copy(update={"data": elsewhere})) == ""
    assert search_fairness.head_start(searched()) == ""


def test_best_trials_come_first_whatever_their_state() -> None:
    trials: list[Trial] = [trial(0, None), trial(1, 0.5, state="pruned"), trial(2, 0.9), trial(3, 0.8)]
    assert [tried.number for tried in searches.best_first(tuning("mf_tuned", trials))] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("value", "text"), [([128, 64], "128-64"), (True, "yes"), (False, "no"), (0.00012, "0.00012"), (None, "–")]
)
def test_values_are_written_as_they_are_read(value: Any, text: str) -> None:
    assert written(value) == text
