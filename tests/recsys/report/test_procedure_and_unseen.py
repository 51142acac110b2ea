from collections.abc import Callable, Iterable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, Score
from recsys.report.section import Plot
from recsys.report.sections import cold_start as unseen
from recsys.report.sections import methodology as procedure
from recsys.report.sections.methodology import provenance

Build = Callable[..., Comparison]


def with_model(comparison: Comparison, name: str, **changes: Any) -> Comparison:
    models = [model.model_copy(update=changes) if model.name == name else model for model in comparison.models]
    return comparison.model_copy(update={"models": models})


def with_data(comparison: Comparison, **changes: Any) -> Comparison:
    return comparison.model_copy(update={"data": comparison.data.model_copy(update=changes)})


def text(findings: Iterable[Any]) -> str:
    return " ".join(finding.text for finding in findings)


def test_notebook_names_all_its_faults(with_mse: Build) -> None:
    comparison = with_mse("notebook", mf=1.2, dnn=0.9, dnn_tuned=0.8, bias_only=0.78)
    said = text(procedure.procedure_findings(comparison))
    assert procedure.boxes(comparison)[0].title == "What is wrong with this procedure"
    for fault in (
        "The epoch whose weights are kept for tuned DNN was chosen on the same 20,000 test ratings",
        "neither mean nor biases nor regularisation",
        "Tuned DNN was tuned by hand, with dropout or early stopping, and MF was not tuned at all",
        "The notebook itself has no baseline",
        "Predictions are not clipped",
        "once, with one seed (42)",
    ):
        assert fault in said
    assert procedure.unsettled_findings(comparison) == []


@pytest.mark.parametrize("plots", [[], [Plot("mse", "results", "", "", "", b"")]])
def test_pictures_are_named_only_where_there_are_some(with_mse: Build, plots: list[Plot]) -> None:
    (_, this_run) = procedure.section(with_mse(mf=0.8), plots).parts
    assert ("pictures" in text(this_run.findings)) == bool(plots)


def test_optimism_is_claimed_only_of_models_that_the_test_ratings_stopped(with_mse: Build) -> None:
    said = procedure.optimism(with_mse("notebook", mf=1.2, dnn=0.9))
    assert "no model was stopped by them" in said
    assert "optimistic" not in said


def test_fair_names_what_is_fair_and_what_is_not_settled(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7, dnn_tuned=0.7, bias_only=0.9)
    assert procedure.boxes(comparison)[0].title == "What is fair about this run"
    said = text(procedure.procedure_findings(comparison))
    assert "The epoch kept for tuned DNN was chosen on 1,200 validation ratings" in said
    assert "optimistic" not in said
    open_questions = text(procedure.unsettled_findings(comparison))
    assert "cannot show that networks are better, or worse, than matrix factorisation in general" in open_questions
    assert "once, with one seed (42)" in open_questions


def test_factorisation_with_biases_is_not_called_bare(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8)
    assert "bare dot product" in procedure.bare_factorisation(comparison)
    assert procedure.bare_factorisation(with_model(comparison, "mf", parameters=446_450 + 8_930)) == ""
    assert procedure.bare_factorisation(with_mse(dnn=0.8)) == ""


def test_regularised_factorisation_is_not_said_to_lack_it(with_mse: Build) -> None:
    comparison = with_model(with_mse(mf=0.8), "mf", settings={"embedding_size": 50, "l2": 0.1})
    assert "nor regularisation" not in procedure.bare_factorisation(comparison)


def test_tuning_on_both_sides_or_none_is_not_called_one_sided(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn_tuned=0.7)
    both = with_model(comparison, "mf", settings={"embedding_size": 50, "patience": 3})
    assert "Both sides" in procedure.one_sided_tuning(both)
    assert "No side was tuned" in procedure.one_sided_tuning(with_mse(mf=0.8, dnn=0.7))
    assert procedure.one_sided_tuning(with_mse(mf=0.8)) == ""
    assert "no hyperparameter search on either side" in procedure.limits(both)
    assert "tuned by hand against MF not tuned" in procedure.limits(comparison)


def test_refits_are_told_with_what_chose_their_epochs(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9, dnn_tuned=0.7)
    assert procedure.refits(comparison) == ""
    tuned = with_model(comparison, "dnn_tuned", refitted_rows=80_000)
    assert "on training and validation ratings together (80,000 ratings)" in procedure.refits(tuned)
    assert procedure.refits(tuned).endswith("the lowest validation loss chose the epochs of tuned DNN (2).")
    both = with_model(tuned, "mf", refitted_rows=80_000)
    assert procedure.refits(both).endswith("chose the epochs of tuned DNN (2), the settings those of MF (10).")
    fixed = procedure.refits(with_model(comparison, "mf", refitted_rows=80_000))
    assert fixed.endswith("the settings chose the epochs of MF (10).")
    assert procedure.refits(both) in text(procedure.procedure_findings(both))


def test_nothing_trained_means_nothing_said_of_seeds(with_mse: Build) -> None:
    comparison = with_mse(global_mean=1.0, failed=("mf", "dnn"))
    assert procedure.unsettled_findings(comparison) == []
    assert "losses per epoch" not in text(procedure.procedure_findings(comparison))


@pytest.mark.parametrize(
    ("split_by", "said", "unsaid"),
    [
        ("random", "one random split (split seed 42)", "cut in time"),
        ("kfold", "one fold, number 2 of 5 counted from 0 (split seed 42)", "cut in time"),
        ("time", "one cut in time, with no test rating older than a training rating", "later ratings from earlier"),
        ("user-last", "one split, which tests the last ratings of each user", "split seed"),
        ("leave-one-out", "one split, which tests the last rating of each user", "split seed"),
    ],
)
def test_what_one_split_leaves_open_depends_on_how_it_was_made(
    with_mse: Build, split_by: str, said: str, unsaid: str
) -> None:
    comparison = with_data(with_mse(mf=0.8, dnn=0.7), repeated_pairs=0)
    comparison = comparison.model_copy(update={"split_by": split_by, "fold": 2})
    assert f"once, with one seed (42), on {said}" in text(procedure.unsettled_findings(comparison))
    assert unsaid not in text(procedure.unsettled_findings(comparison))


def test_where_pairs_repeat_a_test_rating_may_be_older_than_a_training_rating(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.8, dnn=0.7), repeated_pairs=3).model_copy(update={"split_by": "time"})
    said = text(procedure.unsettled_findings(comparison))
    assert "on one cut in time, with no training rating later than the cut" in said
    one_each = with_data(comparison, duplicates="last")
    assert "no test rating older than a training rating" in text(procedure.unsettled_findings(one_each))


@pytest.mark.parametrize(
    ("split_by", "manner", "test", "validation"),
    [
        ("random", "at random", "25% of all (600)", "10% of the training ratings (240)"),
        (
            "kfold",
            "fold 2 of 5 random ones, counted from 0",
            "fold 2 of 5 random ones, counted from 0 (600)",
            "10% of the training ratings (240)",
        ),
        (
            "time",
            "the latest ratings of all held out",
            "the latest 25% of all (600)",
            "the latest 10% of the others (240)",
        ),
        (
            "user-last",
            "each user's last ratings held out",
            "the last 25% of each user's ratings, rounded to whole ratings (600)",
            "the last 10% of each user's other ratings, rounded to whole ratings (240)",
        ),
        (
            "leave-one-out",
            "each user's last two ratings held out",
            "the last of each user with 3 ratings or more (600)",
            "the last but one of each of these users (240)",
        ),
    ],
)
def test_how_the_rows_were_split_is_told(
    with_mse: Build, split_by: str, manner: str, test: str, validation: str
) -> None:
    comparison = with_data(with_mse(mf=0.8), test_rows=600, validation_rows=240, repeated_pairs=0)
    facts = dict(provenance(comparison.model_copy(update={"split_by": split_by, "fold": 2, "test_size": 0.25})))
    assert (facts["Split"], facts["Test ratings"], facts["Validation ratings"]) == (manner, test, validation)
    assert ("Seed of the split" in facts) == (split_by in ("random", "kfold"))


@pytest.mark.parametrize(
    ("split_by", "manner", "test", "validation"),
    [
        ("random", "at random", "25% of all (600)", "10% of the training ratings (240)"),
        (
            "time",
            "the latest ratings of all held out",
            "the latest 25% of all, with the earlier ones of the same pairs of user and item (600)",
            "the latest 10% of the others, with the earlier ones of the same pairs of user and item (240)",
        ),
        (
            "user-last",
            "each user's last ratings held out",
            "the last 25% of each user's ratings, rounded so that the ratings of an item stay together (600)",
            "the last 10% of each user's other ratings, rounded so that the ratings of an item stay together (240)",
        ),
        (
            "leave-one-out",
            "all ratings of each user's last two items held out",
            "all of the last item of each user with 3 items or more (600)",
            "all of the last item but one of each of these users (240)",
        ),
    ],
)
def test_how_rows_were_split_where_pairs_repeat_is_told(
    with_mse: Build, split_by: str, manner: str, test: str, validation: str
) -> None:
    comparison = with_data(with_mse(mf=0.8), test_rows=600, validation_rows=240, repeated_pairs=3)
    facts = dict(provenance(comparison.model_copy(update={"split_by": split_by, "test_size": 0.25})))
    assert (facts["Split"], facts["Test ratings"], facts["Validation ratings"]) == (manner, test, validation)


def test_pairs_that_the_notebook_trains_and_tests_on_are_among_its_faults(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7).model_copy(update={"protocol": "notebook"})
    clean = text(procedure.procedure_findings(with_data(comparison, repeated_test_rows=0)))
    said = text(procedure.procedure_findings(with_data(comparison, repeated_test_rows=1_600)))
    assert "a leak" not in clean
    assert "1,600 of 20,000 test ratings (8.0%) are of a pair of user and item that training ratings are of" in said
    assert "Protocol notebook splits row by row, as the notebook does." in said


@pytest.mark.parametrize(
    ("cold", "said"),
    [
        (0, "Every test rating is of a user and an item that have training ratings."),
        (1, "1 test rating of 20,000 (0.0050%) is of a user"),
        (818, "818 test ratings of 20,000 (4.1%) are of a user"),
        (20_000, "Every one of the 20,000 test ratings is of a user or an item without any training rating"),
    ],
)
def test_share_of_cold_rows_is_told(with_mse: Build, cold: int, said: str) -> None:
    assert unseen.cold_share(with_data(with_mse(mf=0.8), cold_test_rows=cold)).startswith(said)


def test_a_single_test_rating_is_spoken_of_as_one(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.8, dnn=0.7), test_rows=1, cold_test_rows=1)
    assert unseen.cold_share(comparison).startswith("The only test rating is of a user or an item without any")
    said = text(procedure.procedure_findings(comparison))
    assert "The 1 test rating was not used in any training, and read once" in said


def test_number_of_clipped_predictions_is_told(with_mse: Build) -> None:
    comparison = with_model(with_mse(mf=0.8, dnn=0.7), "dnn", clipped_rows=300)
    assert unseen.clipping(comparison).endswith(
        "the losses per epoch were not. Of the predictions, it moved none of MF and 300 (1.5%) of DNN."
    )
    assert unseen.clipping(with_mse(bias_only=0.8)).endswith("the losses per epoch were not.")


def part(mse: float) -> Score:
    return Score(rows=100, mse=mse, rmse=mse**0.5, mae=mse, r2=None)


def test_best_overall_may_lose_on_cold_rows(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.8, dnn=0.9), cold_test_rows=100)
    comparison = with_model(comparison, "mf", warm=part(0.7), cold=part(2.0))
    comparison = with_model(comparison, "dnn", warm=part(0.9), cold=part(1.0))
    assert unseen.warm_and_cold(comparison) == (
        "On warm test ratings, MF, the best overall, also leads or ties (MSE 0.7000); "
        "on cold test ratings, DNN has the lowest MSE, 1.0000 against 2.0000 of MF, the best overall."
    )


def test_cold_rows_that_bias_only_answers_are_not_a_contest(with_mse: Build) -> None:
    comparison = with_data(with_mse(mf=0.8, bias_only=0.9), cold_test_rows=100)
    comparison = with_model(comparison, "mf", warm=part(0.7), cold=part(2.0))
    baseline = comparison.baselines[0].model_copy(update={"warm": part(0.9), "cold": part(2.0)})
    alike = comparison.model_copy(update={"baselines": [baseline]})
    assert "every model predicts as bias only does (MSE 2.0000)" in unseen.warm_and_cold(alike)
    other = with_model(alike, "mf", cold=part(1.9))
    assert "every model predicts" not in unseen.warm_and_cold(other)


def test_all_cold_rows_are_not_compared_with_warm_ones(with_mse: Build) -> None:
    assert unseen.warm_and_cold(with_data(with_mse(mf=0.8, dnn=0.9), cold_test_rows=20_000)) == ""


def test_clipping_is_told_as_it_was(with_mse: Build) -> None:
    assert unseen.clipping(with_mse(mf=0.8)).startswith("Predictions were clipped to 0.5 to 5")
    assert unseen.clipping(with_mse("notebook", mf=0.8)).startswith("Predictions were not clipped")


def test_models_that_were_not_chosen_are_named(with_mse: Build) -> None:
    comparison = with_mse(mf_tuned=0.8, dnn=0.6, dnn_tuned=0.7)
    models = [row.model_copy(update={"chosen": row.name != "dnn"}) for row in comparison.models]
    texts = [one.text for one in procedure.procedure_findings(comparison.model_copy(update={"models": models}))]
    (text,) = [text for text in texts if "lowest validation loss in their families" in text]
    assert "tuned MF and tuned DNN" in text
    assert text.endswith("DNN has a row of one seed.")
    assert not any("families" in one.text for one in procedure.procedure_findings(comparison))
