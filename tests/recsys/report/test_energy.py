from collections.abc import Callable
from typing import Any

import pytest

from recsys.energy import Unmeasured
from recsys.evaluation.results import Comparison
from recsys.report.sections import cost
from recsys.report.sections.energy import energy_findings

Build = Callable[..., Comparison]


def energies(comparison: Comparison, **measured: Any) -> Comparison:
    """The comparison with the watt-hours of models, or why these are not known."""
    models = []
    for model in comparison.models:
        known = measured.get(model.name)
        key = "energy_unmeasured" if isinstance(known, str) else "watt_hours"
        models.append(model.model_copy(update={key: known}))
    return comparison.model_copy(update={"models": models})


def headings(comparison: Comparison) -> list[str]:
    section = cost.section(comparison, [])
    assert section
    return [heading.text for heading in section.tables[0].headings]


def test_the_table_has_the_energy_of_those_that_were_measured(with_mse: Build) -> None:
    comparison = energies(with_mse(mf=0.8, dnn=0.7, bias_only=0.9), mf=0.0421, dnn="shared")
    section = cost.section(comparison, [])
    assert section
    assert headings(comparison)[-1] == "Energy"
    assert [row[-1].text for row in section.tables[0].rows] == ["0.0421 Wh", "–", "–"]
    [finding] = energy_findings(comparison)
    assert "DNN" in finding.text
    assert "not measured of MF" not in finding.text


@pytest.mark.parametrize("why", ["library", "counters", "shared"])
def test_what_was_not_measured_is_said_to_be_so_and_why(with_mse: Build, why: Unmeasured) -> None:
    comparison = energies(with_mse(mf=0.8, dnn=0.7), mf=why, dnn=why)
    [finding] = energy_findings(comparison)
    assert finding.topic == "energy"
    assert finding.text.startswith("Energy: not measured (")
    assert "Energy" not in headings(comparison)


def test_comparisons_of_before_say_that_it_was_not_measured(with_mse: Build) -> None:
    assert [finding.text for finding in energy_findings(with_mse(mf=0.8))] == ["Energy: not measured."]
