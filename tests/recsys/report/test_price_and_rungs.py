from collections.abc import Callable

from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.sections.baselines import baseline_findings, baseline_summary, skipped_findings
from recsys.report.sections.cost import cost_findings, worth_findings, worth_summary
from tests.made_reports import discussed

Build = Callable[..., Comparison]


def timed(comparison: Comparison, **fit_seconds: float) -> Comparison:
    models = [
        model.model_copy(update={"fit_seconds": fit_seconds.get(model.name, model.fit_seconds)})
        for model in comparison.models
    ]
    return comparison.model_copy(update={"models": models})


def test_cost_is_told_as_ratios_of_time_and_parameters(with_mse: Build) -> None:
    text = cost_findings(timed(with_mse(mf=0.8, dnn=0.7), mf=10, dnn=40))[0].text
    assert "took 4.0 times as long to fit as MF (40 s against 10 s)" in text
    assert "476,019 parameters against 446,450 (1.07 times)" in text


def test_times_that_hardly_differ_are_about_as_long(with_mse: Build) -> None:
    assert "about as long" in cost_findings(timed(with_mse(mf=0.8, dnn=0.7), mf=40, dnn=41))[0].text


def test_time_too_short_to_measure_makes_no_ratio(with_mse: Build) -> None:
    text = cost_findings(timed(with_mse(mf=0.8, dnn=0.7), mf=0.0, dnn=41))[0].text
    assert text.startswith("DNN was fitted in 41 s, against under 0.1 s")


def test_network_is_not_worth_its_cost_where_something_cheaper_does_as_well(with_mse: Build) -> None:
    better = worth_findings(with_mse(mf=0.8, dnn=0.7, bias_only=0.6))[0].text
    level = worth_findings(with_mse(mf=0.8, dnn=0.7, bias_only=0.701))[0].text
    assert better.startswith("DNN is not worth its cost on these ratings: bias only does better")
    assert level.startswith("DNN is not worth its cost on these ratings: bias only does as well")


def test_cheapest_of_equals_is_named(with_mse: Build) -> None:
    text = worth_findings(timed(with_mse(mf=0.7, dnn=0.7, bias_only=0.7), mf=10, dnn=40))[0].text
    assert text.startswith("DNN is not worth its cost on these ratings: bias only does as well")


def test_network_that_beats_everything_cheaper_buys_something(with_mse: Build) -> None:
    text = worth_findings(timed(with_mse(mf=0.8, dnn=0.7, bias_only=0.75), mf=10, dnn=40))[0].text
    assert "MSE 0.1000 below that of MF for 30 s more training" in text


def test_faster_network_is_not_said_to_take_longer(with_mse: Build) -> None:
    text = worth_findings(timed(with_mse(mf=0.8, dnn=0.7), mf=40, dnn=10))[0].text
    assert "for no more training" in text


def test_worse_but_faster_network_is_not_called_worth_anything(with_mse: Build) -> None:
    text = worth_findings(timed(with_mse(mf=0.7, dnn=0.8), mf=40, dnn=10))[0].text
    assert text == "DNN: nothing that is cheaper in both time and parameters predicts as well."


def test_worth_is_one_sentence_only_where_one_rival_beats_all_networks(with_mse: Build) -> None:
    one = worth_summary(with_mse(mf=0.8, dnn=0.7, dnn_tuned=0.71, bias_only=0.6))
    two = worth_summary(with_mse(mf=0.8, dnn=0.7, dnn_tuned=0.5, bias_only=0.6))
    assert [finding.text.split(" is ")[0] for finding in one] == ["Neither DNN nor tuned DNN"]
    assert len(two) == 2


def test_baselines_are_beaten_tied_or_lost_to(with_mse: Build) -> None:
    text = baseline_findings(with_mse(mf=0.8, bias_only=0.7, user_mean=0.801, global_mean=0.9))[0].text
    assert text.startswith(
        "MF (0.8000) beats global mean (0.9000), ties with user mean (0.8010) and loses to bias only (0.7000)."
    )


def test_model_that_does_not_beat_averages_has_learnt_nothing_beyond_them(with_mse: Build) -> None:
    nothing = "no lower than that of user and item biases alone"
    assert nothing in baseline_findings(with_mse(mf=0.8, bias_only=0.7, global_mean=0.9))[0].text
    assert nothing in baseline_findings(with_mse(mf=0.7, bias_only=0.701, global_mean=0.9))[0].text
    assert nothing not in baseline_findings(with_mse(mf=0.6, bias_only=0.7, global_mean=0.9))[0].text


def test_model_that_beats_averages_but_not_popularity_is_told_so(with_mse: Build) -> None:
    def said(mf: float, slope: float) -> str:
        comparison = with_mse(mf=mf, bias_only=0.9, item_mean=slope)
        rows = [
            row.model_copy(update={"name": "popularity_slope"} if row.name == "item_mean" else {})
            for row in comparison.baselines
        ]
        return baseline_findings(comparison.model_copy(update={"baselines": rows}))[0].text

    lesson = "how much the user leans to popular items"
    assert lesson in said(mf=0.8, slope=0.801)
    assert lesson not in said(mf=0.7, slope=0.8)
    assert lesson not in said(mf=0.9, slope=0.8)


def test_model_worse_than_the_mean_is_told_so(with_mse: Build) -> None:
    assert "Predicting the mean" in baseline_findings(with_mse(mf=1.2, bias_only=0.7, global_mean=0.9))[0].text
    assert "Predicting the mean" not in baseline_findings(with_mse(mf=0.8, bias_only=0.7, global_mean=0.9))[0].text


def test_missing_baselines_are_said_to_be_missing(with_mse: Build) -> None:
    (finding,) = baseline_findings(with_mse(mf=0.8, dnn=0.7))
    assert finding.text.startswith("No baseline was scored")
    assert baseline_summary(with_mse(mf=0.8)) == []


def test_neighbours_may_be_the_best_baseline(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7, dnn_tuned=0.71, item_knn=0.65, bias_only=0.75)
    assert baseline_summary(comparison)[0].text == (
        "No model beats the best baseline, item kNN (MSE 0.6500, 72,000 parameters)."
    )
    assert "DNN (0.7000) beats bias only (0.7500) and loses to item kNN (0.6500)." in [
        finding.text for finding in baseline_findings(comparison)
    ]
    assert "item kNN does better than both" in worth_summary(comparison)[0].text


def test_what_hangs_on_the_seeds_is_no_part_of_the_answer(with_mse: Build, repeat: Build) -> None:
    comparison = with_mse(mf=0.700, dnn=0.8, bias_only=0.704)
    assert headline(comparison).startswith("No model beats the baseline “bias only”")
    steady, shaken = (repeat(comparison, mf=[0.700 - by, 0.700 + by]) for by in (0.0001, 0.002))
    assert headline(steady) == headline(comparison)
    assert "baseline" not in headline(shaken)
    assert baseline_summary(steady)[0].text.endswith("parameters); MF ties with it.")
    assert baseline_summary(shaken)[0].text.endswith(
        "parameters); MF ties with it, but with other seeds MF might beat it."
    )


def test_skipped_baseline_is_said_with_its_reason(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, bias_only=0.7, skipped=("item_knn",))
    assert [finding.text for finding in skipped_findings(comparison)] == ["Item kNN was left out: too many items."]
    assert skipped_findings(comparison)[0] in discussed(comparison)["Against the baselines"]
    assert skipped_findings(with_mse(mf=0.8, item_knn=0.7)) == []


def test_summary_names_winners_and_losers(with_mse: Build) -> None:
    def said(**mse: float) -> str:
        return baseline_summary(with_mse(**mse))[0].text

    assert said(mf=0.8, dnn=0.7, bias_only=0.6).startswith("No model beats the best baseline, bias only")
    assert said(mf=0.8, dnn=0.7, bias_only=0.701).endswith("parameters); DNN ties with it.")
    assert said(mf=0.7, dnn=0.7, bias_only=0.701).endswith("parameters); MF and DNN tie with it.")
    assert said(mf=0.8, dnn=0.7, bias_only=0.9).startswith("Every model beats")
    assert said(mf=0.8, bias_only=0.9).startswith("The one model beats")
    mixed = said(mf=0.8, dnn=0.6, dnn_tuned=0.6, bias_only=0.7)
    assert mixed.startswith("DNN and tuned DNN beat the best baseline")
    assert mixed.endswith("; MF does not.")
