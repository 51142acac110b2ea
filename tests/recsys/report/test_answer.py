"""The two answers: is the network better, and is it worth its cost?"""

from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Chances, Comparison, Difference, DifferenceVerdict, ModelResult, Tier
from recsys.report.answer import to_use, verdict_of
from recsys.report.sections.first_screen import figures, section, shares

Build = Callable[..., Comparison]


def with_difference(comparison: Comparison, told: DifferenceVerdict, low: float, high: float) -> Comparison:
    """The comparison with the difference of DNN and MF tested, and its 95% interval."""
    mse = {row.name: row.mse for row in comparison.models}
    gap = mse["dnn"] - mse["mf"]
    fields: dict[str, Any] = {"mse_difference": gap, "low": low, "high": high, "p": 0.1, "p_corrected": 0.1}
    return comparison.model_copy(update={"differences": [Difference(name="dnn", other="mf", verdict=told, **fields)]})


def with_times(comparison: Comparison, **seconds: float) -> Comparison:
    def changed(row: Any) -> Any:
        return row.model_copy(update={"fit_seconds": seconds.get(row.name, row.fit_seconds)})

    rows = {"models": [changed(row) for row in comparison.models]}
    return comparison.model_copy(update={**rows, "baselines": [changed(row) for row in comparison.baselines]})


@pytest.mark.parametrize(
    ("told", "low", "high", "better", "sentence"),
    [
        ("better", -0.12, -0.08, "yes", "Yes. The deep network predicts better than matrix factorisation"),
        ("worse", 0.08, 0.12, "no", "No. The deep network predicts worse than matrix factorisation"),
        ("too small", -0.001, 0.002, "tie", "No. The deep network ties with matrix factorisation"),
        ("not certain", -0.002, 0.01, "no", "No. The deep network predicts no better than matrix factorisation"),
        (
            "not certain",
            -0.02,
            0.001,
            "unknown",
            "It cannot be told. The deep network may predict better than matrix factorisation, or as well",
        ),
        (
            "not certain",
            -0.02,
            0.02,
            "unknown",
            "It cannot be told. The deep network may predict better, as well or worse than matrix factorisation",
        ),
    ],
)
def test_the_first_answer(
    with_mse: Build, told: DifferenceVerdict, low: float, high: float, better: str, sentence: str
) -> None:
    dnn = {"better": 0.7, "worse": 0.9}.get(told, 0.801)
    found = verdict_of(with_difference(with_mse(mf=0.8, dnn=dnn), told, low, high))
    assert (found.better, found.low, found.high) == (better, low, high)
    assert found.headline.startswith(sentence)


@pytest.mark.parametrize(
    ("dnn", "seconds", "worth", "clause"),
    [
        (0.7, {"mf": 10, "dnn": 15}, "yes", "better than matrix factorisation, but takes 1.50 times as long to train"),
        (0.7, {"mf": 10, "dnn": 2}, "yes", "better than matrix factorisation and is trained in 20% of the time"),
        (0.8, {"mf": 10, "dnn": 15}, "no", "ties with matrix factorisation and takes 1.50 times as long to train"),
        (0.8, {"mf": 10, "dnn": 2}, "yes", "ties with matrix factorisation and is trained in 20% of the time"),
        (0.8, {"mf": 10, "dnn": 10.1}, "no", "ties with matrix factorisation and takes as long to train"),
        (0.9, {"mf": 10, "dnn": 2}, "no", "worse than matrix factorisation, but is trained in 20% of the time"),
        (0.9, {"mf": 10, "dnn": 15}, "no", "worse than matrix factorisation and takes 1.50 times as long to train"),
        (0.7, {"mf": 0.01, "dnn": 15}, "yes", "predicts better than matrix factorisation"),
    ],
)
def test_the_second_answer(with_mse: Build, dnn: float, seconds: dict[str, float], worth: str, clause: str) -> None:
    found = verdict_of(with_times(with_mse(mf=0.8, dnn=dnn), **seconds))
    assert found.worth == worth
    assert found.headline.endswith(clause)


def test_a_better_network_is_not_worth_its_cost_where_something_cheaper_is_as_good(with_mse: Build) -> None:
    comparison = with_times(with_mse(mf=0.8, dnn=0.7, bias_only=0.7), mf=10, dnn=15, bias_only=0.2)
    assert verdict_of(comparison).worth == "no"


def test_nothing_is_answered_without_both_sides(with_mse: Build) -> None:
    found = verdict_of(with_mse(mf=0.8, bias_only=0.9))
    assert (found.better, found.worth, found.mf, found.gap) == ("unknown", "unknown", None, None)
    assert found.use == "mf"


def test_the_row_to_use_is_the_cheapest_of_those_in_a_tie_with_the_best(with_mse: Build) -> None:
    comparison = with_times(with_mse(mf=0.801, dnn=0.8, bias_only=0.9), mf=5, dnn=15, bias_only=0.1)
    used = to_use(comparison)
    assert used is not None
    assert used.name == "mf"
    letters = {"dnn": "a", "mf": "b", "bias_only": "c"}
    tiers = [Tier(name=name, low=0, high=0, letters=letter) for name, letter in letters.items()]
    alone = to_use(comparison.model_copy(update={"tiers": tiers}))
    assert alone is not None
    assert alone.name == "dnn"


def test_the_first_screen_answers_with_figures(with_mse: Build) -> None:
    comparison = with_difference(with_times(with_mse(mf=0.64, dnn=0.81), mf=10, dnn=15), "worse", 0.1, 0.2)
    found = dict(figures(comparison))
    assert found["RMSE"] == "DNN 0.9000, MF 0.8000"
    assert found["Gap"] == "0.1000 rating units (12.5%) higher; 95% interval 0.0602 to 0.1165"
    assert found["Training"] == "15 s against 10 s"
    assert found["Worth its cost"] == "no"
    assert found["Use"] == "MF, which has the lowest error (--use mf)"


def test_shares_are_told_of_each_answer(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7).model_copy(update={"chances": Chances(mf=0.001, equal=0.249, dnn=0.75)})
    assert [(share.label, share.text) for share in shares(comparison)] == [
        ("MF better", "under 1%"),
        ("practically equal (MSE within 0.0045)", "25%"),
        ("DNN better", "75%"),
    ]
    assert shares(comparison.model_copy(update={"chances": None})) == []


def test_the_first_screen_is_short(whole: tuple[Comparison, Any]) -> None:
    screen = section(whole[0], [])
    words = [*(text for _, text in screen.facts), *(share.label for share in screen.shares)]
    assert len(" ".join(words).split()) <= 60


def test_verdicts_of_old_reports_are_absent(whole: tuple[Comparison, Any]) -> None:
    document = whole[0].model_dump(mode="json", exclude={"verdict", "tiers", "chances"})
    old = Comparison.model_validate(document)
    assert old.verdict is None
    assert isinstance(old.models[0], ModelResult)
    assert verdict_of(old).headline == verdict_of(whole[0]).headline


def test_a_baseline_that_no_model_beats_comes_first(with_mse: Build) -> None:
    comparison = with_times(with_mse(mf=0.9, dnn=0.8, global_mean=0.7), mf=10, dnn=15, global_mean=0.0)
    assert verdict_of(comparison).headline == (
        "No model is as good as the baseline “global mean”. Of the two, the deep network predicts better than matrix "
        "factorisation, but takes 1.50 times as long to train"
    )
    assert dict(figures(comparison, "dnn"))["Use"] == "Global mean, which has the lowest error; of the models, DNN"
    assert dict(figures(comparison))["Use"] == "Global mean, which has the lowest error"
