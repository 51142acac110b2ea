"""When a change is drift, and what is said of its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.report.drift import changes, data_drift, drift_warnings, mse_changes, other_choices
from recsys.store.run_history import PastRun, PastScore
from tests.made_runs import past as made

USUAL = (0.800, 0.803, 0.798, 0.801)


def past(day: int, mse: float = 0.8, bias: float = 0.9, **changes: Any) -> PastRun:
    return made(day, {"mf": mse, "bias_only": bias}, **changes)


Warn = Callable[..., dict[str, list[str]]]


@pytest.fixture
def warn(with_mse: Callable[..., Comparison]) -> Warn:
    """The warnings on the last of some runs, by topic."""

    def warnings(*runs: PastRun) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for finding in drift_warnings(with_mse(mf=0.8, dnn=0.9).model_copy(update={"history": list(runs)})):
            found.setdefault(finding.topic, []).append(finding.text)
        return found

    return warnings


def days(**changes: Any) -> list[PastRun]:
    return [past(day, mse, **changes) for day, mse in enumerate(USUAL)]


def test_without_runs_before_there_is_no_drift(warn: Warn) -> None:
    assert warn() == {}
    assert warn(past(0, mse=9.0)) == {}


def test_a_change_within_chance_is_no_drift(warn: Warn) -> None:
    grown = past(9, 0.81, rows=102_000, users=712, rating_mean=3.53, rating_sd=1.04, cold_test_rows=1000)
    assert warn(*days(), grown) == {}


def test_on_other_test_ratings_the_error_has_to_increase_by_more_than_their_standard_errors(warn: Warn) -> None:
    # three standard errors of the difference of two MSEs of 0.8 over 20,000 test ratings each are 0.034
    assert warn(*days(), past(9, 0.830)) == {}
    found = warn(*days(), past(9, 0.840))
    assert set(found) == {"accuracy drift"}
    increase, reason = found["accuracy drift"]
    assert "MF increased: its MSE is 0.8400, up from 0.8005 before (median of 4)" in increase
    assert "up to 0.0349 more" in increase
    assert reason.startswith("It was as usual on 2026-11-06 03:00 UTC; changed since: the ratings.")


def test_on_the_same_test_ratings_a_smaller_change_counts(warn: Warn) -> None:
    same: dict[str, Any] = {"ratings": "same", "test": "same"}
    assert warn(*days(**same), past(9, 0.804, **same)) == {}
    increase, reason = warn(*days(**same), past(9, 0.810, settings={"mf.epochs": 3}, **same))["accuracy drift"]
    assert "its MSE is 0.8100" in increase
    assert "2026-11-06 03:00 UTC, on the same training and test ratings" in reason
    assert "mf.epochs default → 3" in reason
    assert "baseline" not in reason


def test_seeds_that_scatter_widen_what_is_chance(warn: Warn) -> None:
    same: dict[str, Any] = {"ratings": "same", "test": "same", "sd": 0.01}
    assert warn(*days(**same), past(9, 0.810, **same)) == {}


def test_few_test_ratings_leave_more_to_chance(with_mse: Callable[..., Comparison]) -> None:
    def allowed(rows: int) -> float:
        comparison = with_mse(mf=0.8, dnn=0.9)
        data = comparison.data.model_copy(update={"test_rows": rows})
        runs = [past(0, test_rows=rows), past(1, test_rows=rows)]
        return mse_changes(comparison.model_copy(update={"data": data, "history": runs}))[0].allowed

    assert allowed(200) == pytest.approx(10 * allowed(20_000), rel=0.02)


def test_a_run_that_went_wrong_does_not_become_the_measure(warn: Warn) -> None:
    assert warn(*days(), past(7, 1.9), past(9, 0.80)) == {}


def test_a_slow_drift_shows_against_the_median(warn: Warn) -> None:
    slow = [past(day, 0.8 + 0.008 * day) for day in range(11)]
    assert "MF increased" in warn(*slow)["accuracy drift"][0]
    assert warn(*slow[-2:]) == {}


@pytest.mark.parametrize(
    ("bias", "said"),
    [(0.95, "increased too: the ratings are harder"), (0.9, "did not: the ratings are no harder")],
)
def test_the_baseline_tells_harder_ratings_from_worse_models(warn: Warn, bias: float, said: str) -> None:
    assert said in warn(*days(), past(9, 0.9, bias=bias))["accuracy drift"][-1]


def test_a_baseline_alone_is_no_drift_of_accuracy(warn: Warn) -> None:
    assert warn(*days(), past(9, 0.8, bias=1.2)) == {}


def test_a_model_that_gets_better_is_no_warning(warn: Warn) -> None:
    assert warn(*days(), past(9, 0.5)) == {}


def test_a_row_that_is_new_or_gone_has_nothing_to_be_compared_with(warn: Warn) -> None:
    other = (PastScore(name="dnn", title="DNN", kind="model", mse=5.0),)
    assert warn(*days(), past(9, scores=other)) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": 70_000}, "70,000 ratings instead of 100,000 (30.0% fewer)"),
        (
            {"users": 900, "items": 9500},
            "900 users instead of 700 (28.6% more) and 9,500 items instead of 8,000 (18.8%",
        ),
        ({"rating_mean": 3.2}, "mean rating is 3.20, down from 3.50 before (median of 4): a change of 0.30"),
        ({"rating_sd": 1.2}, "standard deviation of the ratings is 1.2, up from 1 before (median of 4)"),
        ({"rating_min": -1.0}, "the lowest rating is −1, and was 0.5"),
        ({"rating_max": 10.0}, "the highest rating is 10, and was 5"),
        ({"cold_test_rows": 2000}, "10.0% of the test ratings are cold"),
    ],
    ids=str,
)
def test_drift_of_the_ratings_is_reported_with_its_numbers(warn: Warn, changes: dict[str, Any], said: str) -> None:
    found = warn(*days(), past(9, **changes))
    assert set(found) == {"data drift"}
    (text,) = found["data drift"]
    assert said in text


@pytest.mark.parametrize(
    "small",
    [
        {"rows": 40, "users": 9, "items": 30, "test_rows": 8, "cold_test_rows": 2},
        {"rows": 40, "users": 9, "items": 30, "test_rows": 8, "cold_test_rows": 0},
    ],
    ids=str,
)
def test_few_ratings_change_without_a_warning(small: dict[str, int]) -> None:
    now = {**small, "rows": 48, "users": 11, "rating_mean": 3.2, "rating_sd": 1.2, "cold_test_rows": 3}
    assert list(data_drift([past(0, **small), past(1, **small), past(2, **now)])) == []


def test_ratings_that_always_grow_quickly_are_no_drift() -> None:
    quick = [past(day, rows=int(100_000 * 1.3**day)) for day in range(4)]
    assert list(data_drift(quick[:2])) != []
    assert list(data_drift([*quick, past(4, rows=int(100_000 * 1.3**4))])) == []
    assert list(data_drift([*quick, past(4, rows=int(100_000 * 1.3**3 * 1.9))])) != []


def test_the_same_ratings_cannot_have_drifted() -> None:
    again = past(1, ratings="day 0", test="other", cold_test_rows=9000)
    assert list(data_drift([past(0), again])) == []


def test_ratings_that_did_not_vary_and_now_do_are_told() -> None:
    constant = [past(day, rating_sd=0.0, rating_min=3.0, rating_max=3.0, rating_mean=3.0) for day in range(3)]
    told = " ".join(data_drift([*constant, past(3, rating_mean=3.0, rating_min=2.0, rating_max=4.0)]))
    assert "standard deviation of the ratings is 1, up from 0" in told
    assert "lowest rating is 2" in told
    assert list(data_drift([*constant, past(3, rating_sd=0.0, rating_min=3.0, rating_max=3.0, rating_mean=3.0)])) == []


def test_what_changed_is_named_and_a_longer_list_is_cut() -> None:
    before = past(0, settings={"seed": 7}, versions={"keras": "3.12"}, code="a")
    assert changes(before, past(0, settings={"seed": 7}, versions={"keras": "3.12"}, code="a")) == []
    now = past(0, rows=5, ratings="x", settings={"dnn.units": [8, 4]}, versions={"keras": "3.13"}, code="b")
    assert changes(before, now) == [
        *("the ratings (100,000 → 5)", "dnn.units default → 8 4", "seed 7 → default", "keras 3.12 → 3.13", "the code")
    ]
    assert changes(before, before.model_copy(update={"test": "x"})) == ["which ratings are held out"]
    many = past(0, settings=dict.fromkeys("abcde", 1), versions=before.versions, code="a")
    assert changes(past(0, versions=before.versions, code="a"), many) == [
        *("a default → 1", "b default → 1", "3 other settings")
    ]


def test_drift_without_a_recorded_change_says_so(warn: Warn) -> None:
    same: dict[str, Any] = {"ratings": "same", "test": "same"}
    assert warn(*days(**same), past(9, 0.9, **same))["accuracy drift"][-1].endswith("nothing that is on record.")


def test_that_a_family_has_another_winner_than_before_is_told() -> None:
    def run(*chosen: str) -> PastRun:
        models = {"mf": "MF", "mf_tuned": "tuned MF", "dnn": "DNN", "dnn_tuned": "tuned DNN"}
        scores = [
            PastScore(name=name, title=title, kind="model", mse=0.8, chosen=name in chosen)
            for name, title in models.items()
        ]
        return made(scores=tuple(scores))

    (text,) = other_choices(run("mf_tuned", "dnn"), run("mf_tuned", "dnn_tuned"))
    assert "tuned DNN is the best of its family now, where DNN was" in text
    assert list(other_choices(run("mf", "dnn"), run("mf", "dnn"))) == []
    assert list(other_choices(made(), run("mf", "dnn"))) == []
