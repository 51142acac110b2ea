from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison
from recsys.report.answer import headline, verdict_of
from recsys.report.outcomes import best_network, tie_margin
from recsys.report.sections.discussion import gap_findings, ranking_findings
from recsys.report.sections.first_screen import warnings
from recsys.report.sections.verdict import gap_summary
from tests.made_reports import discussed

Build = Callable[..., Comparison]


def with_data(comparison: Comparison, **changes: Any) -> Comparison:
    return comparison.model_copy(update={"data": comparison.data.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("mse", "answer"),
    [
        ({"mf": 0.70, "dnn": 0.80}, "MF predicts these ratings better than DNN"),
        ({"mf": 0.80, "dnn": 0.70}, "DNN predicts these ratings better than MF"),
        ({"mf": 0.800, "dnn": 0.803}, "DNN and MF predict these ratings equally well"),
        (
            {"mf": 0.800, "dnn": 0.803, "dnn_tuned": 0.801},
            "DNN, tuned DNN and MF predict these ratings equally well",
        ),
        (
            {"mf": 0.800, "dnn": 0.803, "dnn_tuned": 0.7},
            "Tuned DNN predicts these ratings better than MF; DNN ties with MF",
        ),
        ({"mf": 0.80, "dnn": 0.90, "dnn_tuned": 0.70}, "Tuned DNN predicts these ratings better than MF; DNN does not"),
        (
            {"mf": 0.80, "dnn": 0.90, "dnn_tuned": 0.801},
            "MF predicts these ratings better than DNN and ties with tuned DNN",
        ),
        ({"mf": 0.9, "dnn": 0.7, "dnn_tuned": 0.6}, "DNN and tuned DNN predict these ratings better than MF"),
        (
            {"mf": 0.8, "dnn": 0.7, "bias_only": 0.6},
            "DNN predicts these ratings better than MF; no model is as good as the baseline “bias only”",
        ),
        (
            {"mf": 0.8, "dnn": 0.7, "bias_only": 0.701},
            "DNN predicts these ratings better than MF; no model beats the baseline “bias only”",
        ),
        ({"mf": 0.8, "dnn": 0.7, "bias_only": 0.75}, "DNN predicts these ratings better than MF"),
        ({"dnn": 0.7}, "No answer: there is no matrix factorisation to compare with"),
        ({"mf": 0.7}, "No answer: there is no deep network to compare with matrix factorisation"),
        ({"global_mean": 1.0}, "No answer: no model was scored"),
    ],
)
def test_headline_of_protocol_notebook_names_every_network(with_mse: Build, mse: dict[str, float], answer: str) -> None:
    assert headline(with_mse("notebook", **mse)) == answer


def test_headline_gives_no_answer_where_every_rating_is_the_same(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.0, dnn=0.0), rating_sd=0.0, rating_mean=4.0)
    assert headline(comparison) == "No answer: every rating is 4, there is nothing to predict"


def test_headline_gives_no_answer_where_no_model_had_a_say(with_mse: Build) -> None:
    fair = with_data(with_mse(mf=0.8, dnn=0.8), cold_test_rows=20_000)
    notebook = with_data(with_mse("notebook", mf=0.9, dnn=0.8), cold_test_rows=20_000)
    unanswered = "No answer: every test rating is of a user or an item without any training rating"
    assert headline(fair) == unanswered
    assert headline(notebook) == "DNN predicts these ratings better than MF"


def test_headline_gives_no_answer_when_every_model_failed(with_mse: Build) -> None:
    comparison = with_mse(global_mean=1.0, failed=("mf", "dnn", "dnn_tuned"))
    assert headline(comparison) == "No answer: every model failed"
    assert [finding.topic for finding in warnings(comparison)] == ["failed"] * 3


def test_the_first_screen_names_a_failed_model_and_its_reason(with_mse: Build) -> None:
    first = warnings(with_mse(mf=0.8, dnn=0.7, failed=("dnn_tuned",)))[0].text
    assert first == "Tuned DNN has no score, because its training failed: its loss became NaN."


@pytest.mark.parametrize(
    ("dnn", "text"),
    [
        (0.7, "DNN: test MSE 0.7000 against 0.8000 of MF, 0.1000 (12.5%) lower."),
        (0.9, "DNN: test MSE 0.9000 against 0.8000 of MF, 0.1000 (12.5%) higher."),
        (0.8, "DNN: test MSE 0.8000 against 0.8000 of MF, no difference at all."),
        (
            0.802,
            "DNN: test MSE 0.8020 against 0.8000 of MF; 0.0020 (0.25%) higher is too small a gap to tell them apart: "
            "a tie.",
        ),
    ],
)
def test_gap_is_absolute_and_relative(with_mse: Build, dnn: float, text: str) -> None:
    assert gap_findings(with_mse(mf=0.8, dnn=dnn))[0].text == text


def test_gap_to_a_perfect_factorisation_has_no_percentage(with_mse: Build) -> None:
    assert "%" not in gap_findings(with_mse(mf=0.0, dnn=0.5))[0].text


def test_ranking_names_what_ties_with_the_lowest(with_mse: Build) -> None:
    tied = ranking_findings(with_mse(mf=0.8, dnn=0.801, bias_only=0.9))[0].text
    alone = ranking_findings(with_mse(mf=0.8, dnn=0.85, bias_only=0.9))[0].text
    assert "in a tie with DNN." in tied
    assert "by more than a tie." in alone


def test_tie_widens_with_few_test_ratings_and_follows_the_scale(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.81)
    few = comparison.model_copy(update={"data": comparison.data.model_copy(update={"test_rows": 200})})
    many = comparison.model_copy(update={"data": comparison.data.model_copy(update={"test_rows": 2_000_000})})
    wide = comparison.model_copy(update={"data": comparison.data.model_copy(update={"rating_sd": 10.0})})
    assert tie_margin(few) == pytest.approx(10 * tie_margin(comparison))
    assert tie_margin(many) == tie_margin(comparison)
    assert tie_margin(wide) == pytest.approx(100 * tie_margin(comparison))
    assert "ties with" in headline(few)
    assert "ties with" not in headline(comparison)


def test_discussion_has_no_empty_section(with_mse: Build) -> None:
    nothing = with_mse(failed=("mf",))
    assert list(discussed(nothing)) == ["What failed"]
    assert all(discussed(with_mse(mf=0.8, dnn=0.7)).values())


def test_no_sentence_assumes_films_or_stars(
    fair: tuple[Comparison, object], notebook: tuple[Comparison, object]
) -> None:
    for comparison, _ in (fair, notebook):
        plain = comparison.model_copy(update={"data": comparison.data.model_copy(update={"source": "x"})})
        said = " ".join(finding.text for findings in discussed(plain).values() for finding in findings).lower()
        assert not [word for word in ("movie", "film", "star ", "stars") if word in said]


def test_ties_and_gaps_are_listed_so_that_they_can_be_told_apart(with_mse: Build) -> None:
    (finding,) = gap_summary(with_mse(mf=0.8, dnn=0.802, dnn_tuned=0.7))
    assert finding.text == (
        "Against MF with a test MSE of 0.8000, DNN is in a tie (0.0020 or 0.25% higher) and "
        "tuned DNN is 0.1000 (12.5%) lower."
    )
    (equal,) = gap_summary(with_mse(mf=0.8, dnn=0.8))
    assert equal.text == "Against MF with a test MSE of 0.8000, DNN is in a tie (no difference at all)."


def test_the_first_screen_warns_of_few_test_ratings(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    few = "Only 2 ratings were tested on: chance alone can put these errors in another order."
    assert few in [finding.text for finding in warnings(with_data(comparison, test_rows=2))]
    one = [finding.text for finding in warnings(with_data(comparison, test_rows=1))]
    assert few.replace("2 ratings were", "1 rating was") in one
    assert not [finding for finding in warnings(comparison) if finding.text.startswith("Only")]


def test_the_first_screen_warns_of_models_that_are_mostly_clipped(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7, dnn_tuned=0.7)
    clipped = {"mf": 20_000, "dnn": 10_001, "dnn_tuned": 10_000}
    models = [model.model_copy(update={"clipped_rows": clipped[model.name]}) for model in comparison.models]
    said = [finding.text for finding in warnings(comparison.model_copy(update={"models": models}))]
    assert any(text.startswith("Most predictions of MF and DNN lay outside the ratings' range") for text in said)
    alike = with_data(comparison.model_copy(update={"models": models}), rating_sd=0.0)
    for other in (comparison, alike):
        assert not [finding for finding in warnings(other) if "clipped" in finding.text]


def test_the_models_that_the_searches_chose_are_compared_whatever_their_test_errors(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, mf_tuned=0.9, dnn=0.6, dnn_tuned=0.7)
    assert best_network(comparison) == next(row for row in comparison.models if row.name == "dnn")
    models = [row.model_copy(update={"chosen": row.name in ("mf", "dnn_tuned")}) for row in comparison.models]
    chosen = comparison.model_copy(update={"models": models})
    assert headline(chosen).startswith("Yes. The deep network predicts better than matrix factorisation")
    assert (verdict_of(chosen).mf, verdict_of(chosen).dnn) == ("mf", "dnn_tuned")
    (gap,) = gap_summary(chosen)
    assert "DNN is" in gap.text
    assert gap.text.count("is ") == 1
