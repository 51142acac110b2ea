"""Rows that can be told apart, and rows that share a letter."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.evaluation.results import Difference
from recsys.evaluation.tiers import letters, tiers

ROWS, USERS = 6_000, 200


def made(noise: dict[str, list[float]]) -> tuple[np.ndarray, np.ndarray, dict[str, list[np.ndarray]]]:
    """Users, ratings and predictions whose errors have these standard deviations, one for each seed."""
    random = np.random.default_rng(3)
    rating = random.normal(size=ROWS)
    shared = random.normal(size=ROWS)
    predicted = {
        name: [rating + sd * (0.9 * shared + 0.4 * random.normal(size=ROWS)) for sd in seeds]
        for name, seeds in noise.items()
    }
    return random.integers(USERS, size=ROWS), rating, predicted


def of(
    noise: dict[str, list[float]], differences: list[Difference] | None = None
) -> dict[str, tuple[float, float, str]]:
    found = tiers(*made(noise), differences or [], smallest_effect=0.005, resamples=200, seed=1)
    return {tier.name: (tier.low, tier.high, tier.letters) for tier in found}


def test_rows_that_differ_have_letters_of_their_own() -> None:
    found = of({"worst": [1.3], "best": [1.0], "second": [1.01]})
    assert list(found) == ["best", "second", "worst"]
    assert found["best"][:2] == (0, 0)
    assert found["worst"][0] > 0
    assert found["best"][2] == found["second"][2] == "a"
    assert found["worst"][2] == "b"


def test_a_difference_that_was_tested_decides() -> None:
    tested = Difference(
        name="second", other="best", mse_difference=0.02, low=0.01, high=0.03, p=0.0, p_corrected=0.0, verdict="worse"
    )
    found = of({"best": [1.0], "second": [1.01]}, [tested])
    assert found["best"][2] != found["second"][2]


def test_seeds_that_disagree_widen_the_interval() -> None:
    steady, shaken = (of({"best": [1.0], "other": sds})["other"] for sds in ([1.2, 1.2, 1.2], [1.0, 1.2, 1.39]))
    assert shaken[1] - shaken[0] > 1.5 * (steady[1] - steady[0])


def test_one_test_user_leaves_all_in_a_tie() -> None:
    _, rating, predicted = made({"best": [1.0], "worst": [2.0]})
    user = np.zeros(ROWS, np.int32)
    found = tiers(user, rating, predicted, [], smallest_effect=0.005, resamples=50, seed=1)
    assert {tier.letters for tier in found} == {"a"}


PAIRS = {many: list(combinations([str(number) for number in range(many)], 2)) for many in range(10)}


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(PAIRS[n])) if n > 1 else st.just(set()))
    )
)
def test_two_share_a_letter_exactly_if_they_are_not_apart(case: tuple[int, set[tuple[str, str]]]) -> None:
    many, apart = case
    names = [str(number) for number in range(many)]
    found = letters(names, sorted(apart))
    assert all(found[name] for name in names)
    for pair in combinations(names, 2):
        assert bool(set(found[pair[0]]) & set(found[pair[1]])) == (pair not in apart)
    assert "a" in found["0"]


def test_there_are_letters_for_any_number_of_tiers() -> None:
    names = [str(number) for number in range(70)]
    found = set(letters(names, combinations(names, 2)).values())
    assert len(found) == 70
    assert {len(of_row) for of_row in found} == {1}
