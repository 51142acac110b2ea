from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Chances, Comparison, Difference, DifferenceVerdict
from recsys.report.sections.verdict import (
    certainty_summary,
    chances_summary,
    typical_error,
    verdict,
    what_would_change_it,
)

Build = Callable[..., Comparison]


def with_tested(
    comparison: Comparison,
    told: DifferenceVerdict,
    half: float,
    names: tuple[str, str] = ("dnn", "mf"),
    p: float = 0.2,
    others: int = 0,
) -> Comparison:
    """The comparison with the difference of two rows, its interval `half` to each side; `others` have a larger p."""
    mse = {row.name: row.mse for row in comparison.models}
    gap = mse[names[0]] - mse[names[1]]
    fields: dict[str, Any] = {"mse_difference": gap, "low": gap - half, "high": gap + half, "p_corrected": p}
    one = Difference(name=names[0], other=names[1], p=p, verdict=told, **fields)
    rest = [one.model_copy(update={"other": f"row {number}", "p": 0.9}) for number in range(others)]
    return comparison.model_copy(update={"differences": [one, *rest]})


def change(comparison: Comparison) -> str:
    return " ".join(finding.text for finding in what_would_change_it(comparison))


def test_a_certain_lead_would_have_to_shrink_to_a_tie(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.7)
    assert change(with_tested(comparison, "better", 0.02)) == (
        "The 0.1000 by which DNN leads would have to fall below 0.0045 to make a tie; even the near end of its 95% "
        "interval is 0.0800."
    )
    assert change(with_tested(comparison, "worse", 0.098, names=("mf", "dnn"))).endswith(
        "and the near end of its 95% interval is 0.0020."
    )
    assert change(comparison) == "The 0.1000 by which DNN leads would have to fall below 0.0045 to make a tie."
    told = comparison.model_copy(update={"min_effect": 0.0})
    assert change(with_tested(told, "better", 0.02)).startswith("The 0.1000 by which DNN leads would have to vanish;")


@pytest.mark.parametrize(("half", "times"), [(0.02, "About 4.0 times"), (0.03, "About 9.0 times")])
def test_users_that_settle_an_uncertain_difference_grow_with_the_square_of_its_interval(
    with_mse: Build, half: float, times: str
) -> None:
    comparison = with_tested(with_mse(mf=0.8, dnn=0.79), "not certain", half)
    assert change(comparison) == (
        f"{times} as many test users would make the difference certain, if it stayed at 0.0100."
    )


def test_several_tests_ask_for_more_users(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.79)
    assert change(with_tested(comparison, "not certain", 0.02, others=9)).startswith(
        "About 8.2 times as many test users"
    )


def test_an_uncertain_difference_that_is_small_would_be_shown_to_be_small(with_mse: Build) -> None:
    text = change(with_tested(with_mse(mf=0.8, dnn=0.801), "not certain", 0.007))
    assert text == (
        "About 4.0 times as many test users would show that the difference is too small to matter, if it stayed at "
        "0.0010."
    )
    assert "certain" not in text


def test_users_that_nobody_has_are_not_counted(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.79)
    assert change(with_tested(comparison, "not certain", 2.0)).startswith("More than 1,000 times as many")
    assert change(with_tested(comparison, "not certain", 0.0101)).startswith("A few more test users would")
    lone = with_tested(comparison, "not certain", 0.02)
    single = lone.differences[0].model_copy(update={"low": None, "high": None})
    assert change(lone.model_copy(update={"differences": [single]})) == "Ratings of more than one test user."


def test_a_difference_too_small_would_have_to_grow(with_mse: Build) -> None:
    assert change(with_tested(with_mse(mf=0.8, dnn=0.801), "too small", 0.001)) == (
        "To matter, the difference would have to be at least 0.0045, 4.5 times as large as it is."
    )
    assert change(with_tested(with_mse(mf=0.8, dnn=0.8), "too small", 0.001)) == (
        "To matter, the difference would have to be at least 0.0045."
    )
    assert change(with_mse(mf=0.8, dnn=0.801)) == "A difference of more than 0.0045 would be one; it is 0.0010."


def test_seeds_are_named_only_where_one_of_each_could_have_told_otherwise(with_mse: Build, repeat: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    apart = repeat(comparison, mf=[0.79, 0.81], dnn=[0.89, 0.91])
    mixed = repeat(comparison, mf=[0.78, 0.82], dnn=[0.80, 0.86])
    assert "seeds" not in change(apart)
    assert "in 1 of 4 pairs of seeds" in change(mixed)


def test_splits_that_turn_the_answer_are_named(with_mse: Build, split_also: Build) -> None:
    comparison = split_also(with_mse(mf=0.8, dnn=0.9), "random", 43, mf=0.8, dnn=0.9)
    assert change(comparison).endswith("The one other split does not.")
    turned = split_also(comparison, "time", 42, mf=0.9, dnn=0.8)
    assert change(turned).endswith("under the cut in time it is reversed.")
    both = split_also(turned, "user-last", 42, mf=0.8, dnn=0.8)
    assert change(both).endswith(
        "Another split: under the split by each user's last ratings it becomes a tie; under the cut in time it is "
        "reversed."
    )


def test_nothing_is_said_of_an_answer_that_was_not_given(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    assert what_would_change_it(with_mse(mf=0.8)) == []
    assert certainty_summary(with_mse(dnn=0.8)) == []
    assert typical_error(with_mse(dnn=0.8)) == []
    answered = {finding.topic for finding in verdict(comparison)}
    alike = comparison.model_copy(update={"data": comparison.data.model_copy(update={"rating_sd": 0.0})})
    unanswered = {finding.topic for finding in verdict(alike)}
    assert answered - unanswered == {"typical error", "certainty"}


def test_chances_are_told_of_each_answer_and_never_as_certain(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.79)
    assert chances_summary(comparison) == []
    told = comparison.model_copy(update={"chances": Chances(mf=0.001, equal=0.42, dnn=0.579)})
    (finding,) = chances_summary(told)
    assert finding.text.startswith("Chances: under 1% that MF has the lower MSE by more than 0.0045, 58% that DNN has")
    assert "42% that they are practically equal" in finding.text
    (sure,) = chances_summary(comparison.model_copy(update={"chances": Chances(mf=1, equal=0, dnn=0)}))
    assert "over 99% that MF" in sure.text


def certainty(comparison: Comparison) -> str:
    (finding,) = certainty_summary(comparison)
    return finding.text


def test_interval_is_told_from_the_row_that_is_ahead(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    sure = "MSE of MF is 0.0800 to 0.1200 below that of DNN"
    assert sure in certainty(with_tested(comparison, "worse", 0.02))
    assert sure in certainty(with_tested(comparison, "better", 0.02, names=("mf", "dnn")))
    unsure = certainty(with_tested(comparison, "not certain", 0.15))
    assert "MSE of MF is between 0.0500 above and 0.2500 below that of DNN" in unsure
    assert certainty(comparison).startswith("Basis:")


def test_basis_counts_trainings_and_test_ratings(with_mse: Build, repeat: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    assert certainty(comparison) == "Basis: 20,000 test ratings (split: at random), both models trained once."
    often = repeat(comparison, mf=[0.79, 0.80, 0.81], dnn=[0.89, 0.90, 0.91])
    assert "both models trained with 3 seeds" in certainty(often)
    uneven = repeat(comparison, mf=[0.79, 0.80, 0.81])
    assert "both models trained with 1 to 3 seeds" in certainty(uneven)


def test_typical_error_is_that_of_the_tuned_factorisation_and_the_best_network(with_mse: Build) -> None:
    comparison = with_mse(mf=0.9, mf_tuned=0.8, dnn=0.9, dnn_tuned=0.85)
    mae = {"mf": 0.71, "mf_tuned": 0.61, "dnn": 0.75, "dnn_tuned": 0.65}
    models = [model.model_copy(update={"mae": mae[model.name]}) for model in comparison.models]
    (finding,) = typical_error(comparison.model_copy(update={"models": models}))
    assert finding.topic == "typical error"
    assert "0.6100 for tuned MF and 0.6500 for tuned DNN" in finding.text
