import pandas as pd

from recsys.evaluation.calibration import Bin, Calibration
from recsys.evaluation.results import Comparison
from recsys.report.sections.error_plots import calibration_sentence, calibrations
from recsys.report.svg import style

GOOD = Bin(rows=500, predicted=3.0, actual=3.01, reach=0.05)
OFF = Bin(rows=500, predicted=4.5, actual=4.1, reach=0.05)
FEW = Bin(rows=5, predicted=4.9, actual=2.1, reach=0.05)


def said(slope: float | None, half: float, *bins: Bin) -> str:
    low, high = (None, None) if slope is None else (slope - half, slope + half)
    return calibration_sentence("tuned MF", Calibration(list(bins), slope, low, high), 0.0025)


def test_calibrated_is_said_only_within_the_noise() -> None:
    assert said(0.98, 0.05, GOOD, FEW) == (
        "Tuned MF is calibrated as far as these ratings can tell: no gap between predictions and ratings is more than "
        "noise (slope 0.98, 95% interval 0.93 to 1.03)."
    )
    assert said(0.98, 0.05, GOOD, OFF).startswith(
        "Tuned MF is not calibrated: where it predicts 4.5000 on average, ratings lie 0.4000 below that (slope 0.98"
    )


def test_slope_tells_too_extreme_from_too_timid() -> None:
    assert "too extreme, as ratings differ by 0.70 where they differ by 1" in said(0.7, 0.05, GOOD)
    assert "not spread out enough, as ratings differ by 1.30 where they differ by 1" in said(1.3, 0.05, GOOD)


def test_nothing_is_claimed_of_predictions_without_a_slope() -> None:
    assert "cannot be told" in said(None, 0.0, GOOD)


def test_picture_of_each_side_and_of_bias_only(whole: tuple[Comparison, pd.DataFrame]) -> None:
    comparison, predictions = whole
    with style():
        plots = calibrations(comparison, predictions)
        alone = calibrations(comparison, predictions.drop(columns=["bias_only"]))
    assert [plot.name for plot in plots] == ["calibration-mf-tuned", "calibration-dnn-tuned", "calibration-bias-only"]
    assert len(alone) == 2
    assert plots[0].caption.startswith("Tuned MF is")
