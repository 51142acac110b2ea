from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Trial
from recsys.report.sections.network_shape import questions, shape_findings, shape_rows
from tests.made_searches import dnn_search, mf_search, trial, tuning

Build = Callable[..., Comparison]


def of(with_mse: Build, trials: list[Trial], **changes: Any) -> Comparison:
    comparison = with_mse(dnn_tuned=0.8)
    data = comparison.data.model_copy(update={"validation_rows": 20_000})
    return comparison.model_copy(update={"data": data, "tuning": [tuning("dnn_tuned", trials, **changes)]})


def shaped(*tried: tuple[list[int], float, float]) -> list[Trial]:
    return [trial(n, error, {"units": units, "dropout": dropout}) for n, (units, dropout, error) in enumerate(tried)]


def said(comparison: Comparison) -> str:
    return " ".join(finding.text for finding in shape_findings(comparison))


def test_layers_that_are_better_are_said_to_be(with_mse: Build) -> None:
    comparison = of(with_mse, shaped(*[([64], 0.1, 0.80)] * 3, *[([64, 64], 0.1, 0.75)] * 3, ([64, 64, 64], 0.1, 0.7)))
    assert (
        "As to the number of layers, the lowest validation MSE is 0.7500, with 2 layers; with 1 layer (0.8000) it is "
        "higher. 1 trial in groups of fewer than 3 is not compared."
    ) in said(comparison)


def test_a_small_gap_is_not_made_into_an_answer(with_mse: Build) -> None:
    comparison = of(with_mse, shaped(*[([64], 0.1, 0.752)] * 3, *[([64, 64], 0.1, 0.75)] * 3))
    assert "with 1 layer (0.7520) it is higher by no more than chance may bring." in said(comparison)
    assert "it is higher." not in said(comparison)


def test_too_few_trials_are_said_to_tell_nothing(with_mse: Build) -> None:
    comparison = of(with_mse, shaped(([64], 0.1, 0.80), ([64, 64], 0.2, 0.7), ([128], 0.3, 0.6)))
    assert said(comparison) == (
        "The 3 trials of tuned DNN cannot tell what the number of layers, the units of the first layer and dropout do: "
        "it takes two groups of 3 trials or more to compare."
    )


def test_failed_trials_have_no_say_and_pruned_ones_do(with_mse: Build) -> None:
    trials = [*shaped(([64], 0.1, 0.80)), trial(1, None, {"units": [64], "dropout": 0.1})]
    trials.append(trial(2, 0.9, {"units": [64], "dropout": 0.1}, state="pruned"))
    assert shape_rows(of(with_mse, trials))[0] == ["1 layer", "2", "0.8000", "0.8500", "trial 0"]


def test_dropout_and_units_of_many_values_are_put_into_bins(with_mse: Build) -> None:
    tried = shaped(*[([2 ** (4 + n) + n], n / 100, 0.8) for n in range(8)], ([4000], 0.29, 0.8))
    labels = [[group.label for group in question.groups] for question in questions(of(with_mse, tried))]
    assert labels[0] == ["1 layer"]
    assert labels[1][0] == "a first layer of 16 to 31"
    assert labels[1][-1] == "a first layer of 2,048 to 4,095"
    assert labels[2] == ["dropout 0 to under 0.1", "dropout 0.2 to under 0.3"]
    assert all(sum(len(g.trials) for g in q.groups) == 9 for q in questions(of(with_mse, tried)))


def test_values_that_were_choices_stay_as_they_are(with_mse: Build) -> None:
    tried = shaped(([64], 0.0, 0.8), ([128], 0.25, 0.8))
    choices = [SearchedSetting(name="dropout", choices=[0.0, 0.25], ordered=True)]
    asked = questions(of(with_mse, tried, searched=choices))
    labels = [group.label for question in asked for group in question.groups]
    assert labels == ["1 layer", "a first layer of 64", "a first layer of 128", "no dropout", "dropout 0.25"]


@pytest.mark.parametrize("settings", [{"learning_rate": 0.1}, {"units": "64"}])
def test_nothing_is_said_where_no_shape_was_searched(with_mse: Build, settings: dict[str, int | float | str]) -> None:
    comparison = of(with_mse, [trial(n, 0.8, dict(settings)) for n in range(6)])
    assert questions(comparison) == []
    assert shape_findings(comparison) == []


def test_factorisation_has_no_shape(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8).model_copy(update={"tuning": [mf_search()]})
    assert shape_rows(comparison) == []


def test_groups_of_a_whole_search_add_up(with_mse: Build) -> None:
    search = dnn_search()
    asked = questions(of(with_mse, search.trials))
    assert len(asked) == 3
    assert {sum(len(group.trials) for group in question.groups) for question in asked} == {29}
