import numpy as np
import pytest

from recsys.errors import BadIds, BadRatings
from recsys.evaluation.calibration import FEWEST_ROWS, Calibration, calibration


def found(slope: float, *, shift: float = 0.0, rows: int = 20_000, by_user: float = 0.0) -> Calibration:
    """Ratings that follow predictions with this slope, with noise of each rating and of each of 200 users."""
    random = np.random.default_rng(3)
    user = random.integers(200, size=rows)
    predicted = random.normal(3.5, 0.5, rows)
    actual = 3.5 + shift + slope * (predicted - 3.5) + random.normal(size=rows)
    return calibration(user, actual + by_user * random.normal(size=200)[user], predicted)


def test_slope_and_its_interval_are_found() -> None:
    for slope in (0.6, 1.0, 1.4):
        line = found(slope)
        assert line.low is not None
        assert line.high is not None
        assert line.low < slope < line.high
        assert line.slope == pytest.approx(slope, abs=0.05)


def test_only_agreement_within_the_noise_is_calibrated() -> None:
    assert found(1.0).calibrated
    assert not found(0.6).calibrated
    assert not found(1.4).calibrated
    assert not found(1.0, shift=0.2).calibrated


def test_users_who_err_together_are_noise_and_not_a_gap() -> None:
    alone, together = found(1.0), found(1.0, by_user=0.5)
    middle = [max(line.bins, key=lambda entry: entry.rows) for line in (alone, together)]
    assert middle[0].reach is not None
    assert middle[1].reach is not None
    assert middle[1].reach > 2 * middle[0].reach
    assert together.calibrated


def test_bins_hold_every_rating_and_few_of_them_tell_nothing() -> None:
    line = found(0.6)
    assert sum(entry.rows for entry in line.bins) == 20_000
    few = [entry for entry in line.bins if entry.rows < FEWEST_ROWS]
    assert few
    assert not any(entry.off for entry in few)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random, covered = np.random.default_rng(5), 0
    for _ in range(200):
        user = random.integers(60, size=1500)
        predicted = random.normal(3.5, 0.5, 1500) + 0.3 * random.normal(size=60)[user]
        line = calibration(user, predicted + random.normal(size=1500) + 0.4 * random.normal(size=60)[user], predicted)
        assert line.low is not None
        assert line.high is not None
        covered += line.low <= 1 <= line.high
    assert 0.88 <= covered / 200 <= 0.99


def test_equal_predictions_or_one_user_have_no_slope() -> None:
    user, rating = np.arange(4), np.array([1.0, 2.0, 3.0, 4.0])
    assert calibration(user, rating, np.full(4, 2.5)).slope is None
    single = calibration(np.zeros(4, dtype=np.int64), rating, rating)
    assert single.slope is None
    assert not single.calibrated
    assert single.bins[0].reach is None


def test_no_ratings_are_refused() -> None:
    with pytest.raises(ValueError, match="no ratings"):
        calibration(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))


def test_what_cannot_be_compared_is_told() -> None:
    user, rating = np.arange(3), np.array([1.0, 2.0, 3.0])
    for changed, error in (((user - 1, rating, rating), BadIds), ((user, rating, rating[:2]), BadRatings)):
        with pytest.raises(error):
            calibration(*changed)
    with pytest.raises(BadRatings, match="prediction at position 2 is missing"):
        calibration(user, rating, np.array([1.0, 2.0, np.nan]))
