import numpy as np
import pytest

from recsys.data.scale import rating_apart

ONE_TO_TEN = list(range(1, 11))


def drawn(values: list[float], odd: float | None = None, share: float = 0.2) -> np.ndarray:
    chance = np.random.default_rng(3)
    ratings = chance.choice(values, 4000)
    if odd is not None:
        ratings = np.where(chance.random(4000) < share, odd, ratings)
    return ratings.astype(np.float32)


@pytest.mark.parametrize("odd", [-1, 0, 99, -99, 999])
def test_a_number_beside_the_scale_is_found_with_its_count(odd: float) -> None:
    ratings = drawn([*map(float, ONE_TO_TEN)], odd, share=0.3)
    found = rating_apart(ratings)
    assert found == {"value": odd, "rows": int((ratings == odd).sum()), "low": 1, "high": 10}


def test_ninety_nine_is_apart_from_a_continuous_scale() -> None:
    ratings = np.random.default_rng(3).uniform(-10, 10, 4000).astype(np.float32)
    ratings[:400] = 99
    found = rating_apart(ratings)
    assert found is not None
    assert (found["value"], found["rows"]) == (99, 400)


@pytest.mark.parametrize(
    "ratings",
    [
        drawn([1, 2, 3, 4, 5]),
        drawn([0.5 * step for step in range(1, 11)]),
        drawn([float(step) for step in range(11)]),
        drawn([1, 3, 4, 5]),
        drawn([0, 1]),
        drawn([-1, 0, 1]),
        drawn([1, 2, 3, 4, 5], 99, share=0.001),
        np.random.default_rng(3).normal(0, 1, 4000).astype(np.float32),
        np.zeros(9, np.float32),
    ],
)
def test_an_ordinary_scale_has_none(ratings: np.ndarray) -> None:
    assert rating_apart(ratings) is None
