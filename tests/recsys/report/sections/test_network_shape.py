from collections.abc import Callable
from typing import Any

import pytest

from recsys.evaluation.results import Comparison, SearchedSetting, Trial
from recsys.report.section import Plot
from recsys.report.sections.network_shape import dimensions, section, shape_findings, shape_table
from tests.made_searches import dnn_search, mf_search, trial, tuning

Build = Callable[..., Comparison]


def of(with_mse: Build, trials: list[Trial], **changes: Any) -> Comparison:
    comparison = with_mse(dnn_tuned=0.8)
    data = comparison.data.model_copy(update={"validation_rows": 20_000})
    return comparison.model_copy(update={"data": data, "tuning": [tuning("dnn_tuned", trials, **changes)]})


def shaped(*tried: tuple[list[int], float, float]) -> list[Trial]:
    return [trial(n, error, {"units": units, "dropout": dropout}) for n, (units, dropout, error) in enumerate(tried)]


def texts(comparison: Comparison) -> list[str]:
    findings = shape_findings(comparison)
    assert {finding.topic for finding in findings} <= {"shape"}
    return [finding.text for finding in findings]


def labels(comparison: Comparison) -> list[list[str]]:
    return [[group.label for group in dimension.groups] for dimension in dimensions(comparison)]


def test_the_best_number_of_layers_is_named_with_those_that_are_higher(with_mse: Build) -> None:
    comparison = of(with_mse, shaped(*[([64], 0.1, 0.80)] * 3, *[([64, 64], 0.1, 0.75)] * 3, ([64, 64, 64], 0.1, 0.7)))
    layers = texts(comparison)[0]
    assert layers.startswith("The number of layers: the lowest validation MSE is 0.7500, with 2 layers; ")
    assert "higher: 1 layer (0.8000)" in layers
    assert "a tie" not in layers
    assert layers.endswith("1 trial in groups of fewer than 3.")


def test_a_small_gap_is_a_tie(with_mse: Build) -> None:
    layers = texts(of(with_mse, shaped(*[([64], 0.1, 0.752)] * 3, *[([64, 64], 0.1, 0.75)] * 3)))[0]
    assert "a tie: 1 layer (0.7520)." in layers
    assert "higher" not in layers


def test_with_too_few_trials_no_effect_is_claimed(with_mse: Build) -> None:
    (only,) = texts(of(with_mse, shaped(([64], 0.1, 0.80), ([64, 64], 0.2, 0.7), ([128], 0.3, 0.6))))
    assert only.startswith("The 3 trials of tuned DNN cannot show the effect of")
    assert "the number of layers, the units of the first layer and dropout" in only
    assert "0.6" not in only


def test_failed_trials_are_left_out_and_pruned_ones_are_not(with_mse: Build) -> None:
    trials = [*shaped(([64], 0.1, 0.80)), trial(1, None, {"units": [64], "dropout": 0.1})]
    trials.append(trial(2, 0.9, {"units": [64], "dropout": 0.1}, state="pruned"))
    row = [cell.text for cell in shape_table(of(with_mse, trials)).rows[0]]
    assert row == ["1 layer", "2", "0.8000", "0.8500", "trial 0"]


def test_dropout_and_units_of_many_values_are_binned(with_mse: Build) -> None:
    tried = shaped(*[([2 ** (4 + n) + n], n / 100, 0.8) for n in range(8)], ([4000], 0.29, 0.8))
    comparison = of(with_mse, tried)
    layers, units, dropout = labels(comparison)
    assert layers == ["1 layer"]
    assert (units[0], units[-1]) == ("a first layer of 16 to 31", "a first layer of 2,048 to 4,095")
    assert dropout == ["dropout 0 to under 0.1", "dropout 0.2 to under 0.3"]
    assert all(sum(len(group.trials) for group in found.groups) == 9 for found in dimensions(comparison))


def test_choices_are_not_binned(with_mse: Build) -> None:
    tried = shaped(([64], 0.0, 0.8), ([128], 0.25, 0.8))
    choices = [SearchedSetting(name="dropout", choices=[0.0, 0.25], ordered=True)]
    assert labels(of(with_mse, tried, searched=choices)) == [
        ["1 layer"],
        ["a first layer of 64", "a first layer of 128"],
        ["no dropout", "dropout 0.25"],
    ]


def test_trials_that_lack_one_dimension_are_left_out_of_it_alone(with_mse: Build) -> None:
    trials = [trial(0, 0.8, {"units": [64]}), trial(1, 0.7, {"dropout": 0.1}), trial(2, 0.7, {"dropout": 0.3})]
    assert labels(of(with_mse, trials)) == [
        ["1 layer"],
        ["a first layer of 64"],
        ["dropout 0.1 to under 0.2", "dropout 0.3 to under 0.4"],
    ]


@pytest.mark.parametrize("settings", [{"learning_rate": 0.1}, {"units": "64"}])
def test_there_is_no_section_where_no_shape_was_searched(
    with_mse: Build, settings: dict[str, int | float | str]
) -> None:
    comparison = of(with_mse, [trial(n, 0.8, dict(settings)) for n in range(6)])
    assert dimensions(comparison) == []
    assert shape_findings(comparison) == []
    assert section(comparison, []) is None


def test_factorisation_has_no_shape(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8).model_copy(update={"tuning": [mf_search()]})
    assert section(comparison, []) is None


def test_groups_of_a_whole_search_add_up_and_its_section_has_findings_table_and_plot(with_mse: Build) -> None:
    comparison = of(with_mse, dnn_search().trials)
    assert [sum(len(group.trials) for group in found.groups) for found in dimensions(comparison)] == [29, 29, 29]
    plots = [Plot(section, section, "", "", "", b"") for section in ("search", "shape")]
    found = section(comparison, plots)
    assert found is not None
    assert len(found.findings) == 3
    assert list(found.plots) == plots[1:]
    assert len(found.tables[0].rows) == sum(len(found.groups) for found in dimensions(comparison))
