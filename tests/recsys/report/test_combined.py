from collections.abc import Callable

from recsys.evaluation.results import Comparison
from recsys.report.sections.discussion import combination_findings, combination_summary, ranking_findings
from recsys.report.sections.results import shown_rows, table_caption, table_rows
from recsys.report.sections.verdict import verdict
from tests.made_reports import discussed

Build = Callable[..., Comparison]


def test_combinations_stand_between_models_and_baselines(with_mse: Build, combine: Build) -> None:
    comparison = combine(with_mse(mf=0.8, dnn=0.7, bias_only=0.9), "blend", 0.65, {"mf": 0.25, "dnn": 0.75})
    rows = table_rows(comparison)
    assert [row["kind"] for row in rows] == ["model", "model", "combination", "baseline"]
    assert (rows[2]["members"], rows[2]["weights"]) == ("mf + dnn", "0.25 + 0.75")


def test_best_combination_is_marked_beside_the_best_single_row(with_mse: Build, combine: Build) -> None:
    def marked(mse: float) -> list[str]:
        comparison = combine(with_mse(mf=0.8, dnn=0.7, bias_only=0.9), "blend", mse, {"mf": 0.25, "dnn": 0.75})
        return [row[0].text for row in shown_rows(comparison) if row[1].best]

    assert marked(0.65) == ["DNN", "Blend"]
    assert marked(0.75) == ["DNN"]


def test_caption_names_ensembles_only_where_there_are_some(with_mse: Build, combine: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    assert "ensemble" not in table_caption(comparison)
    assert "ensemble" in table_caption(combine(comparison, "seeds", 0.65, {"mf": 1.0}))


def test_combination_is_below_or_above_the_best_single_row_or_ties_with_it(with_mse: Build, combine: Build) -> None:
    def said(mse: float) -> str:
        comparison = combine(with_mse(mf=0.8, dnn=0.7), "blend", mse, {"mf": 0.25, "dnn": 0.75})
        return combination_findings(comparison)[0].text

    assert said(0.65).startswith(
        "Blend is the blend 0.25 × MF + 0.75 × DNN, with weights chosen on validation ratings; its MSE is 0.6500, "
        "0.0500 (7.1%) below that of the best single predictor, DNN (0.7000)."
    )
    assert "0.0500 (7.1%) above that of the best single predictor" in said(0.75)
    assert "which ties with that of the best single predictor" in said(0.701)


def test_weights_that_were_moved_towards_equal_ones_are_said_to_be(with_mse: Build, combine: Build) -> None:
    comparison = combine(with_mse(mf=0.8, dnn=0.7), "blend", 0.65, {"mf": 0.4, "dnn": 0.6})
    assert "equal" not in combination_findings(comparison)[0].text
    moved = [made.model_copy(update={"equal_share": 0.5}) for made in comparison.combinations]
    text = combination_findings(comparison.model_copy(update={"combinations": moved}))[0].text
    assert "chosen on validation ratings and moved by 50% towards equal ones" in text


def test_mean_of_seeds_has_no_weights_to_choose(with_mse: Build, combine: Build) -> None:
    text = combination_findings(combine(with_mse(mf=0.8, dnn=0.7), "seeds", 0.65, {"mf": 1.0}))[0].text
    assert text.startswith("Seeds of MF is the mean of the predictions of all seeds of MF; its MSE is 0.6500")
    assert "validation" not in text


def test_first_screen_names_a_combination_only_where_it_beats_every_single_row(with_mse: Build, combine: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    best = combine(comparison, "blend", 0.65, {"mf": 0.25, "dnn": 0.75})
    (summary,) = combination_summary(best)
    assert "the blend 0.25 × MF + 0.75 × DNN: its MSE of 0.6500 is 0.0500 below" in summary.text
    assert summary.text.endswith("DNN.")
    assert summary in verdict(best)
    assert combination_summary(combine(comparison, "blend", 0.699, {"mf": 0.25, "dnn": 0.75})) == []
    assert combination_summary(comparison) == []


def test_best_single_row_is_not_called_the_best_of_all_beside_combinations(with_mse: Build, combine: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    assert "lowest test error of all, an MSE" in ranking_findings(comparison)[0].text
    best = combine(comparison, "blend", 0.65, {"mf": 0.25, "dnn": 0.75})
    assert "lowest test error of all single models and baselines" in ranking_findings(best)[0].text
    assert "Together" in discussed(best)
    assert "Together" not in discussed(comparison)
