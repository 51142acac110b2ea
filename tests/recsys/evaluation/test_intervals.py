from dataclasses import dataclass

import numpy as np
import pytest

from recsys.evaluation import inputs
from recsys.evaluation.intervals import intervals
from recsys.models.predictor import Codes, Floats


@dataclass
class Normal:
    """Predicts 0, and claims that ratings deviate by `deviation`."""

    deviation: float

    def predict(self, user: Codes, item: Codes) -> Floats:
        return np.zeros(len(user), np.float32)

    def standard_deviation(self, user: Codes, item: Codes) -> Floats:
        return np.full(len(user), self.deviation, np.float32)


class Certain:
    def predict(self, user: Codes, item: Codes) -> Floats:
        return np.zeros(len(user), np.float32)


@pytest.fixture
def tested() -> inputs.Tested:
    rating = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    rating[:5000] = 9  # cold
    code = np.zeros(20_000, np.int32)
    return inputs.Tested(code, code, rating, np.arange(20_000) < 5000)


def test_intervals_of_the_right_width_hold_what_they_promise(tested: inputs.Tested) -> None:
    found = intervals(Normal(1.0), tested, None)
    assert [one.level for one in found] == [0.8, 0.9]
    for one in found:
        assert one.covered == pytest.approx(one.level, abs=0.01)
    assert found[1].width == pytest.approx(2 * 1.645, abs=0.001)


def test_narrow_intervals_hold_less(tested: inputs.Tested) -> None:
    assert intervals(Normal(0.5), tested, None)[1].covered < 0.65


def test_intervals_end_with_the_scale(tested: inputs.Tested) -> None:
    assert intervals(Normal(1.0), tested, (-1, 1))[0].width == pytest.approx(2)


def test_who_has_no_deviations_has_no_intervals(tested: inputs.Tested) -> None:
    assert intervals(Certain(), tested, None) == []
