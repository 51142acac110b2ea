import numpy as np
import pytest

from recsys.evaluation.power_law import PowerLaws, fit_power_laws, meeting_sizes, unexplained

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
