from collections.abc import Callable

from recsys.evaluation.results import Comparison, Contribution
from recsys.report.sections.discussion import contribution_findings, contribution_summary
from recsys.report.sections.verdict import verdict
from tests.made_reports import discussed

Build = Callable[..., Comparison]


def with_parts(comparison: Comparison, **parts: tuple[float, float]) -> Comparison:
    """The comparison whose tuned DNN is a sum of these addends, with their standard deviation and MSE without."""
    found = [
        Contribution(name=name.replace("_", " "), sd=sd, mse_without=without) for name, (sd, without) in parts.items()
    ]
    models = [
        row.model_copy(update={"contributions": found, "seeds": []}) if row.name == "dnn_tuned" else row
        for row in comparison.models
    ]
    return comparison.model_copy(update={"models": models})


def test_dense_layers_that_count_are_said_to_count(with_mse: Build) -> None:
    comparison = with_parts(with_mse(mf=0.8, dnn_tuned=0.7), dense_layers=(0.31, 0.78), dot_product=(0.2, 0.74))
    (finding,) = contribution_findings(comparison)
    assert finding.topic == "inside"
    assert "dense layers 0.3100 and dot product 0.2000" in finding.text
    assert "the MSE of 0.7000 would be 0.7800 without the dense layers and 0.7400 without" in finding.text
    assert not contribution_summary(comparison)


def test_dense_layers_that_bring_nothing_are_named_on_the_first_screen(with_mse: Build) -> None:
    comparison = with_parts(with_mse(mf=0.8, dnn_tuned=0.7), dense_layers=(0.08, 0.7011), dot_product=(0.2, 0.74))
    (finding,) = contribution_summary(comparison)
    assert finding.text.startswith("The dense layers of tuned DNN add nothing that counts")
    assert "its MSE would be 0.0011 higher, so it predicts by the matrix factorisation" in finding.text
    assert finding in verdict(comparison)
    assert finding.text in discussed(comparison)["Inside the network"][0].text


def test_dense_layers_that_are_switched_off(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn_tuned=0.7)
    (with_dot,) = contribution_summary(with_parts(comparison, dense_layers=(1e-5, 0.7), dot_product=(0.2, 0.74)))
    (without,) = contribution_summary(with_parts(comparison, dense_layers=(1e-5, 0.7), user_bias=(0.2, 0.74)))
    assert "are switched off" in with_dot.text
    assert with_dot.text.endswith("what is left is matrix factorisation.")
    assert without.text.endswith("what is left is biases.")


def test_a_network_without_addends_is_passed_over(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn_tuned=0.7)
    assert not contribution_findings(comparison)
    assert not contribution_summary(comparison)
    assert "Inside the network" not in discussed(comparison)
