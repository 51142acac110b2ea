import numpy as np
import pytest

from recsys.evaluation.power_law import PowerLaws, fit_power_laws, meeting_sizes, missed_gap, outlook_of, unexplained

SIZES = np.array([0.1, 0.2, 0.4, 0.7, 1.0])


def law(limit: float, reducible: float, exponent: float) -> PowerLaws:
    return PowerLaws(np.array([limit]), np.array([reducible]), np.array([exponent]))


@pytest.mark.parametrize("numbers", [(0.6, 0.1, 0.5), (0.0, 0.8, 0.1), (0.7, 0.02, 1.3)])
def test_the_law_behind_the_points_is_found(numbers: tuple[float, float, float]) -> None:
    true = law(*numbers)
    found = fit_power_laws(SIZES, true.at(SIZES))
    assert found.at(SIZES) == pytest.approx(true.at(SIZES), abs=1e-3)
    assert found.at(np.array([10.0])) == pytest.approx(true.at(np.array([10.0])), abs=0.01)
    assert unexplained(found, SIZES, true.at(SIZES)) < 1e-3


def test_errors_that_rise_have_a_law_without_a_reducible_part() -> None:
    found = fit_power_laws(SIZES, np.array([[0.7, 0.71, 0.72, 0.73, 0.74]]))
    assert found.reducible == [0]
    assert 0.72 < found.limit < 0.74


def test_a_point_that_is_off_counts_less_with_few_ratings_than_with_many() -> None:
    error = law(0.6, 0.1, 0.4).at(SIZES)
    off = error + 0.01 * np.eye(5)[[0, -1]]
    moved = np.abs(fit_power_laws(SIZES, off).at(SIZES[-1:]) - error[:, -1])[:, 0]
    assert moved[0] < moved[1] / 4


def test_laws_meet_where_their_errors_are_equal_and_nowhere_else() -> None:
    flat, falling = law(0.7, 0.0, 1.0), law(0.5, 0.3, 0.5)
    assert meeting_sizes(flat, falling) == pytest.approx(2.25, rel=1e-3)  # 0.5 + 0.3 / sqrt(2.25) = 0.7
    assert np.isnan(meeting_sizes(flat, law(0.8, 0.1, 0.5))).all()


def test_a_law_that_holds_misses_no_gap() -> None:
    both = np.concatenate([law(0.6, 0.1, 0.5).at(SIZES), law(0.55, 0.2, 0.4).at(SIZES)])
    assert missed_gap(SIZES, both) < 2e-3


def test_what_follows_no_power_law_misses_it_by_what_the_last_point_shows() -> None:
    one, other = 0.6 + 0.0 * SIZES, 0.7 - 0.05 * np.log(10 * SIZES)
    bent = np.where(SIZES == 1, other - 0.03, other)
    missed = missed_gap(SIZES, np.stack([one, bent]))
    assert missed == pytest.approx((missed_gap(SIZES, np.stack([one, other])) + 0.03 / np.log(1 / 0.7)), rel=0.2)


def test_the_interval_of_the_gap_has_what_laws_of_another_form_would_miss() -> None:
    """Errors that fall faster the more ratings there are, as of factors that show only from some size on."""
    sizes = np.array([0.03, 0.06, 0.12, 0.21, 0.3]) / 0.3
    mse = np.array([[0.8596, 0.8114, 0.7695, 0.7404, 0.7182], [0.8939, 0.8254, 0.7748, 0.7426, 0.7259]])
    drawn = mse[..., None] + 0.001 * np.random.default_rng(1).normal(size=(2, 5, 500))
    found = outlook_of(sizes, mse, drawn, [[0.7182], [0.7259]], 240_000, np.random.default_rng(2), times=1 / 0.3)
    assert found.gap.low is not None
    assert found.gap.high is not None
    assert found.gap.low < 0.0586 < found.gap.high


def test_laws_that_may_be_wrong_meet_in_some_curves_only() -> None:
    one, other = (law(*numbers) for numbers in ((0.70, 0.05, 0.5), (0.71, 0.05, 0.5)))
    missed = np.array([0.0, 0.02, -0.02])
    many = [PowerLaws(*(np.repeat(part, 3) for part in (of.limit, of.reducible, of.exponent))) for of in (one, other)]
    assert np.isnan(meeting_sizes(many[0], many[1], missed)).tolist() == [True, False, True]
