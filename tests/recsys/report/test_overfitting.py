from collections.abc import Callable

import pytest

from recsys.evaluation.results import Comparison, LearningCurve
from recsys.report.sections.overfitting import overfits, overfitting

Build = Callable[..., Comparison]


def said(comparison: Comparison, loss: list[float], val_loss: list[float], scored_epoch: int = 1) -> str:
    model = comparison.models[0].model_copy(
        update={"history": LearningCurve(loss=loss, val_loss=val_loss), "scored_epoch": scored_epoch}
    )
    return overfitting(comparison, model)


@pytest.fixture
def comparison(with_mse: Build) -> Comparison:
    return with_mse(mf=0.8)


def test_rising_validation_loss_under_a_falling_training_loss_is_overfitting(comparison: Comparison) -> None:
    text = said(comparison, [1.0, 0.8, 0.6, 0.4], [1.0, 0.9, 0.95, 1.08], scored_epoch=4)
    assert text.startswith("MF overfits from epoch 3 on: by epoch 4 its validation loss had risen by 0.1800 (20.0%)")
    assert "The weights of epoch 4 were scored, not those of its best epoch 2" in text


def test_restored_weights_are_those_of_the_best_epoch(comparison: Comparison) -> None:
    text = said(comparison, [1.0, 0.8, 0.6], [1.0, 0.9, 1.0], scored_epoch=2)
    assert "so the test error is that of its best epoch" in text


def test_rise_within_a_tie_is_no_clear_overfitting(comparison: Comparison) -> None:
    text = said(comparison, [1.0, 0.8, 0.6], [1.0, 0.9, 0.902])
    assert text.startswith("MF shows no clear overfitting")
    assert "ended no more than a tie above it" in text


def test_rise_of_both_losses_is_not_overfitting(comparison: Comparison) -> None:
    text = said(comparison, [1.0, 0.8, 0.9], [1.0, 0.9, 1.2])
    assert "overfits" not in text
    assert "rose by 0.3000 without a falling training loss" in text


def test_loss_that_still_falls_asks_for_more_epochs(comparison: Comparison) -> None:
    assert "more epochs might lower its error further" in said(comparison, [1.0, 0.8], [1.0, 0.9])
    assert "almost stopped falling" in said(comparison, [1.0, 0.8, 0.7], [1.0, 0.9, 0.8999])


def test_loss_above_that_of_the_mean_has_hardly_begun_to_fall(comparison: Comparison) -> None:
    text = said(comparison, [9.0, 8.99, 8.98], [9.0, 8.99, 8.98])
    assert "almost stopped" not in text
    assert text.endswith(
        "by no more than a tie in that epoch, though it is still above 1.0000, the MSE of predicting the "
        "mean: it has hardly begun to learn, and more epochs or a higher learning rate might lower its error."
    )


def test_weights_as_good_as_the_best_are_not_said_to_be_worse(comparison: Comparison) -> None:
    assert "not that of its best epoch" not in said(comparison, [0.9, 0.9], [0.8, 0.8], scored_epoch=2)


def test_one_epoch_or_none_tells_nothing(comparison: Comparison) -> None:
    assert "single epoch" in said(comparison, [1.0], [1.0])
    assert "no recorded losses" in said(comparison, [], [])


def test_protocol_notebook_calls_its_held_out_loss_a_test_loss(with_mse: Build) -> None:
    text = said(with_mse("notebook", mf=0.8), [1.0, 0.8, 0.6], [1.0, 0.9, 1.0])
    assert "its test loss" in text
    assert "validation" not in text


def test_few_validation_ratings_need_a_larger_rise(comparison: Comparison) -> None:
    model = comparison.models[0].model_copy(
        update={"history": LearningCurve(loss=[1, 0.8, 0.6], val_loss=[1, 0.9, 0.95])}
    )
    few = comparison.model_copy(update={"data": comparison.data.model_copy(update={"validation_rows": 20})})
    many = comparison.model_copy(update={"data": comparison.data.model_copy(update={"validation_rows": 20_000})})
    assert overfits(many, model)
    assert not overfits(few, model)
