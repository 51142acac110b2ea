"""Reading the searches, and whether both sides were tuned alike."""

from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Tuning
from recsys.report import searches
from recsys.report.sections import methodology
from recsys.report.sections.first_screen import warnings
from tests.made_searches import DNN_START, MF_START, family_search, trial, tuning

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
    assert searches.edge(setting, value) == side


def test_range_without_extent_has_no_positions() -> None:
    assert searches.position(SearchedSetting(name="sd", low=0.1, high=0.1), 0.1) is None


@pytest.mark.parametrize(
    ("value", "text"), [([128, 64], "128-64"), (True, "yes"), (False, "no"), (0.00012, "0.00012"), (None, "–")]
)
def test_values_of_settings_are_written_for_people(value: Any, text: str) -> None:
    assert searches.setting_text(value) == text


def test_improvement_over_a_pruned_start_is_none() -> None:
    pruned = tuning("mf_tuned", [trial(0, 0.9, MF_START, state="pruned"), trial(1, 0.8, MF_START)])
    assert searches.improvement(pruned) is None
    assert searches.improvement(mf(0.9, 0.75)) == pytest.approx(0.15)


def test_a_start_that_the_run_was_given_is_not_called_the_default() -> None:
    given = tuning("dnn_tuned", [trial(0, 0.8, {**DNN_START, "dropout": 0.5})])
    assert searches.starting_point(given) == "the settings that this run was given"
    assert searches.starting_point(dnn(0.8)) == "the notebook's hand-tuned settings"


def test_the_front_has_the_trials_that_no_other_beats_in_time_and_error(searched: Build) -> None:
    one = tuning("mf_tuned", [trial(0, 0.8, seconds=1), trial(1, 0.9, seconds=2), trial(2, 0.6, seconds=9)])
    other = tuning("dnn_tuned", [trial(0, 0.7, seconds=3), trial(1, 0.1, seconds=1, state="pruned"), trial(2, None)])
    front = [(found.name, tried.number) for found, tried in searches.pareto_front(searched(one, other))]
    assert front == [("mf_tuned", 0), ("dnn_tuned", 0), ("mf_tuned", 2)]


def test_equal_searches_settle_what_hand_tuning_does_not(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7, 0.7), dnn(0.8, 0.75, 0.7, seconds_used=59.6))
    assert methodology.one_sided_tuning(comparison) == ""
    text = searches.equal_searches(comparison)
    for part in ("3 trials and 60 s of training", "3 trials in 24 s by tuned MF and 3 trials in 60 s by tuned DNN"):
        assert part in text
    assert text in [finding.text for finding in methodology.procedure_findings(comparison)]
    assert "3 trials a side" in methodology.limits(comparison)
    uneven = searched(mf(0.8, 0.7, trials_allowed=3), dnn(0.8, 0.7, 0.7))
    assert "2 and 3 trials" in methodology.limits(uneven)


def test_unequal_searches_are_said_to_be(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.75, 0.7))
    assert searches.equal_searches(comparison) == ""
    text = searches.unequal_searches(comparison)
    assert "tuned MF with 2 trials" in text
    assert "tuned DNN with 3 trials" in text
    assert methodology.one_sided_tuning(comparison) == text
    assert "unequal budgets" in methodology.limits(comparison)


@pytest.mark.parametrize("other", [(), (dnn(None, None),), (dnn(0.8),)], ids=["no search", "failed", "start alone"])
def test_one_searched_side_is_said_to_be(searched: Build, other: tuple[Tuning, ...]) -> None:
    comparison = searched(mf(0.8, 0.7), *other)
    text = methodology.one_sided_tuning(comparison)
    assert text == searches.unequal_searches(comparison)
    assert "of tuned MF (budget: 2 trials and 60 s of training) but not those of tuned DNN" in text
    assert "a search of tuned MF alone" in methodology.limits(comparison)


def test_settings_that_were_given_are_neither_tuned_by_hand_nor_searched(searched: Build) -> None:
    given = {"seconds_allowed": 0.0, "points": 1}
    comparison = searched(mf(0.8, **given), dnn(0.75, **given))
    assert searches.as_given(comparison)
    text = methodology.one_sided_tuning(comparison)
    assert "--budget 0" in text
    assert "tuned MF and tuned DNN" in text
    for said in (text, methodology.limits(comparison)):
        assert "by hand" not in said
    assert "settings as given on both sides" in methodology.limits(comparison)
    assert searches.effort(comparison) != searches.effort(searched(mf(0.8, 0.7), dnn(0.75, 0.7)))
    assert not searches.as_given(searched(mf(0.8, 0.7), dnn(0.75, 0.7)))
    assert not searches.as_given(searched())


def test_the_models_of_a_search_can_be_read_apart() -> None:
    tuned, other = searches.parts(family_search())
    assert (tuned.name, tuned.title, tuned.winner) == ("mf_tuned", "tuned MF", 4)
    assert (other.name, other.winner) == ("histories", None)
    assert [one.number for one in other.trials] == [1, 3, 5, 6]
    assert [setting.name for setting in other.searched] == ["depth"]
    assert searches.search_title(tuned) == "tuned MF"


def test_errors_on_a_sample_of_users_are_not_compared_with_others() -> None:
    search = family_search()
    assert min(map(searches.val_error, searches.scored_trials(search))) == 0.76


def test_that_nothing_could_be_searched_is_said_beside_the_headline(searched: Build) -> None:
    failed = tuning("mf_tuned", [trial(0, 0.8, MF_START), trial(1, None), trial(2, None)])
    comparison = searched(failed, dnn(0.8, 0.7, 0.7))
    text = searches.not_searched(comparison)
    assert "tuned MF (its loss became NaN)" in text
    assert "tuned DNN" not in text
    assert text in [finding.text for finding in warnings(comparison)]
    assert searches.not_searched(searched(mf(0.8), dnn(0.8))) == ""


def test_short_searches_are_said_to_be_and_long_ones_are_not(searched: Build) -> None:
    assert searches.draws_needed() == 59
    text = searches.short_searches(searched(mf(0.8, 0.7), dnn(*[0.8] * 60)))
    for part in ("5.0% for the 1 draw of tuned MF", "59 draws", "95%"):
        assert part in text
    assert "tuned DNN" not in text
    assert searches.short_searches(searched(mf(*[0.8] * 60), dnn(*[0.8] * 60))) == ""
    assert searches.short_searches(searched()) == ""


def test_a_head_start_on_the_sample_is_admitted(searched: Build) -> None:
    comparison = searched(mf(0.8, 0.7), dnn(0.8, 0.7))
    text = searches.head_start(comparison)
    assert "tuned MF and tuned DNN" in text
    assert text in [finding.text for finding in methodology.unsettled_findings(comparison)]
    elsewhere = comparison.data.model_copy(update={"source": "ratings.csv"})
    assert searches.head_start(comparison.model_copy(update={"data": elsewhere})) == ""
    assert searches.head_start(searched()) == ""
