from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm, ttest_rel

from recsys.errors import BadIds, BadRatings, BadSettings
from recsys.evaluation.results import Difference
from recsys.evaluation.significance import chances, compare_pairs, holm
from recsys.evaluation.thresholds import smallest_effect

Floats = npt.NDArray[np.float64]
Rows = tuple[npt.NDArray[np.int64], Floats, dict[str, Floats]]


def erring(scales: Sequence[float], *, users: int, seed: int, mean_rows: int = 20) -> Rows:
    """Predictions of ratings of 0: each user has an error level of his own with each model, times its scale.

    The expected squared error of a model is the square of its scale.
    """
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 1 + random.poisson(mean_rows - 1, size=users))
    predicted = {
        f"m{place}": scale * np.sqrt(random.gamma(2.0, 0.5, size=users))[user] * random.normal(size=len(user))
        for place, scale in enumerate(scales)
    }
    return user, np.zeros(len(user)), predicted


def compared(rows: Rows, pairs: Sequence[tuple[str, str]] = (("m0", "m1"),), **changes: Any) -> list[Difference]:
    user, rating, predicted = rows
    of_one_seed = {name: [prediction] for name, prediction in predicted.items()}
    return compare_pairs(
        user, rating, of_one_seed, pairs, **{"smallest_effect": 0.005, "resamples": 500, "seed": 1, **changes}
    )


def side_by_side(models: int) -> list[tuple[str, str]]:
    """Pairs that share no model, so that each is an experiment of its own."""
    return [(f"m{place}", f"m{place + 1}") for place in range(0, models, 2)]


@pytest.mark.parametrize("users", [15, 60])
def test_equal_models_are_told_apart_as_often_as_the_level_says(users: int) -> None:
    rejected = []
    for seed in range(5):
        rows = erring([1.0] * 400, users=users, seed=seed)
        rejected += [found.p < 0.05 for found in compared(rows, side_by_side(400), seed=seed)]
    # 1,000 experiments: a standard deviation of 0.7%
    assert 0.03 < np.mean(rejected) < 0.07


def test_where_users_have_as_many_rows_each_it_is_the_paired_t_test_over_users() -> None:
    random = np.random.default_rng(2)
    user, predicted = np.repeat(np.arange(5), 4), {name: random.normal(size=20) for name in ("m0", "m1")}
    (found,) = compared((user, np.zeros(20), predicted), resamples=50_000)
    one, other = ((predicted[name] ** 2).reshape(5, 4).mean(axis=1) for name in ("m0", "m1"))
    expected = ttest_rel(one, other)
    low, high = expected.confidence_interval()
    assert (found.mse_difference, found.p) == pytest.approx((one.mean() - other.mean(), expected.pvalue), rel=0.02)
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.02)


def test_a_test_that_takes_rows_for_independent_would_reject_too_often() -> None:
    rows = erring([1.0] * 400, users=60, seed=0, mean_rows=100)
    _, _, predicted = rows
    naive = []
    for one, other in side_by_side(400):
        difference = predicted[one] ** 2 - predicted[other] ** 2
        naive.append(2 * norm.sf(abs(difference.mean()) / (difference.std() / np.sqrt(len(difference)))) < 0.05)
    ours = [found.p < 0.05 for found in compared(rows, side_by_side(400))]
    assert np.mean(naive) > 0.25
    assert np.mean(ours) < 0.11


def test_intervals_cover_the_true_difference_as_often_as_they_say() -> None:
    covered = []
    for seed in range(5):
        rows = erring([1.0, 1.1] * 200, users=80, seed=seed)
        for found in compared(rows, side_by_side(400), seed=seed):
            assert found.low is not None
            assert found.high is not None
            covered.append(found.low <= 1.0 - 1.21 <= found.high)
    assert 0.93 < np.mean(covered) < 0.97


def test_a_large_true_difference_is_found_and_has_the_sign_of_the_better() -> None:
    rows = erring([1.0, 1.5], users=200, seed=3)
    (found,) = compared(rows)
    (turned,) = compared(rows, [("m1", "m0")])
    _, _, predicted = rows
    assert found.mse_difference == pytest.approx((predicted["m0"] ** 2).mean() - (predicted["m1"] ** 2).mean())
    assert found.p_corrected < 1e-6
    assert (found.verdict, turned.verdict) == ("better", "worse")
    assert turned.mse_difference == -found.mse_difference


def test_a_large_difference_is_found_with_the_fewest_resamples_and_several_pairs() -> None:
    rows = erring([1.0, 1.5, 2.0, 3.0], users=200, seed=3)
    pairs = [(f"m{one}", f"m{other}") for other in range(4) for one in range(other)]
    assert {found.verdict for found in compared(rows, pairs, resamples=100)} == {"better"}


def test_the_same_seed_gives_the_same_numbers_and_another_other_ones() -> None:
    rows = erring([1.0, 1.1], users=50, seed=4)
    assert compared(rows) == compared(rows)
    assert compared(rows)[0].p != compared(rows, seed=2)[0].p
    assert compared(rows)[0].p == pytest.approx(compared(rows, seed=2)[0].p, rel=0.5)


def test_the_order_of_the_rows_does_not_matter() -> None:
    user, rating, predicted = rows = erring([1.0, 1.1], users=50, seed=5)
    order = np.random.default_rng(0).permutation(len(user))
    shuffled = user[order], rating[order], {name: values[order] for name, values in predicted.items()}
    (one,), (other,) = compared(rows), compared(shuffled)
    for field in ("mse_difference", "low", "high", "p"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9)


def test_what_counts_of_several_seeds_is_the_mean_of_their_squared_errors() -> None:
    user, rating, predicted = erring([1.0, 1.0, 1.2, 1.2], users=50, seed=7)
    seeds = {"one": [predicted["m0"], predicted["m1"]], "other": [predicted["m2"], predicted["m3"]]}
    (found,) = compare_pairs(user, rating, seeds, [("one", "other")], smallest_effect=0.005, resamples=500, seed=1)
    mse = {name: (prediction**2).mean() for name, prediction in predicted.items()}
    assert found.mse_difference == pytest.approx((mse["m0"] + mse["m1"] - mse["m2"] - mse["m3"]) / 2)


def test_users_without_test_rows_do_not_count() -> None:
    user, rating, predicted = rows = erring([1.0, 1.1], users=50, seed=6)
    assert compared((user * 7 + 3, rating, predicted)) == compared(rows)


def test_many_users_are_drawn_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = erring([1.0, 1.1], users=50, seed=7)
    whole = compared(rows)
    monkeypatch.setattr("recsys.evaluation.significance.DRAWN_AT_ONCE", 170)
    assert compared(rows)[0].p == pytest.approx(whole[0].p, rel=1e-9)


def test_correction_is_that_of_an_example_by_hand() -> None:
    # in order: 4 × 0.005, 3 × 0.01, 2 × 0.03, and 1 × 0.04, which may not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_p_values_are_corrected_over_all_pairs() -> None:
    found = compared(erring([1.0, 1.05, 1.1], users=80, seed=8), [("m0", "m1"), ("m0", "m2"), ("m1", "m2")])
    assert [difference.p_corrected for difference in found] == holm([difference.p for difference in found])


def test_a_certain_difference_below_the_smallest_effect_is_too_small() -> None:
    rows = erring([1.0, 1.5], users=200, seed=3)
    (found,) = compared(rows, smallest_effect=5.0)
    assert found.p_corrected < 0.05
    assert found.verdict == "too small"


def test_a_small_difference_with_a_wide_interval_is_not_certain_and_with_a_narrow_one_too_small() -> None:
    rows = erring([1.0, 1.0], users=30, seed=9)
    (found,) = compared(rows)
    assert found.p > 0.05
    assert found.high is not None
    assert found.high > 0.01
    assert compared(rows, smallest_effect=0.9 * found.high)[0].verdict == "not certain"
    assert compared(rows, smallest_effect=10.0)[0].verdict == "too small"


def test_equal_predictions_do_not_differ_at_all() -> None:
    user, rating, predicted = erring([1.0], users=30, seed=10)
    (found,) = compared((user, rating, {**predicted, "m1": predicted["m0"]}), smallest_effect=0.0)
    assert (found.mse_difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.verdict == "too small"


def test_one_user_settles_nothing() -> None:
    _, rating, predicted = erring([1.0, 9.0], users=2, seed=11)
    (found,) = compared((np.zeros(len(rating), np.int64), rating, predicted))
    assert (found.low, found.high, found.p, found.verdict) == (None, None, 1.0, "not certain")


def test_without_rows_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no rows"):
        compared((np.zeros(0, np.int64), np.zeros(0), {"m0": np.zeros(0), "m1": np.zeros(0)}))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"user": [0, 0, -1]}, BadIds, "position 2 is -1"),
        ({"user": ["a", "b", "c"]}, BadIds, "texts"),
        ({"rating": [1, 2, np.nan]}, BadRatings, "rating at position 2 is missing"),
        ({"rating": [1, 2]}, BadRatings, "3 user codes, 2 ratings"),
        (
            {"predicted": {"m0": [[1, 2, 3]], "m1": [[1, 2, np.inf]]}},
            BadRatings,
            "prediction at position 2 is infinite",
        ),
        ({"predicted": {"m0": [[1, 2, 3]], "m1": [[1, 2]]}}, BadRatings, "and 2 predictions"),
        ({"predicted": {"m0": [[1, 2, 3]]}}, ValueError, "no predictions of m1"),
        ({"predicted": {"m0": [[1, 2, 3]], "m1": []}}, ValueError, "no predictions of m1"),
        ({"resamples": 0}, BadSettings, "number of resamples is 0"),
        ({"smallest_effect": -1.0}, BadSettings, "smallest effect is -1"),
        ({"smallest_effect": np.nan}, BadSettings, "smallest effect is nan"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(change: dict[str, Any], error: type[Exception], said: str) -> None:
    right: dict[str, Any] = {
        "user": [0, 0, 1],
        "rating": [1, 2, 3],
        "predicted": {"m0": [[1, 2, 3]], "m1": np.array([[1, 2, 4]])},
        "smallest_effect": 0.1,
        "resamples": 10,
        "seed": 1,
    }
    assert len(compare_pairs(pairs=[("m0", "m1")], **right)) == 1
    with pytest.raises(error, match=said):
        compare_pairs(pairs=[("m0", "m1")], **(right | change))
    given = right | change
    given["one"], given["other"] = ([*given["predicted"].get(name, [])] for name in ("m0", "m1"))
    del given["predicted"]
    with pytest.raises(error, match=said.replace(" of m1", "")):
        chances(**given)


@pytest.mark.parametrize(("p", "said"), [([0.1, np.nan], "missing"), ([0.1, 2.0], "2.0 is no"), ([-0.1], "-0.1 is no")])
def test_what_are_no_p_values_is_told(p: list[float], said: str) -> None:
    with pytest.raises((BadRatings, ValueError), match=said):
        holm(p)


def test_smallest_effect_follows_the_scale_unless_it_is_named() -> None:
    assert smallest_effect(None, 1.0588) == pytest.approx(0.005, abs=5e-5)
    assert smallest_effect(None, 10.588) == pytest.approx(0.5, abs=5e-3)
    assert smallest_effect(0.02, 10.588) == 0.02
    assert smallest_effect(0.0, 10.588) == 0.0


@dataclass(frozen=True)
class World:
    """Two models of several seeds on ratings of 0; the second's expected MSE is higher by `worse_by`."""

    users: int
    seeds: int
    seed_sd: float
    worse_by: float = 0.0

    def draw(self, seed: int) -> tuple[npt.NDArray[np.int64], Floats, list[Floats], list[Floats]]:
        """Errors of both, on 30 ratings a user, correlate by 0.95; a seed moves their MSE of 0.7 by `seed_sd`."""
        random = np.random.default_rng(seed)
        user = np.repeat(np.arange(self.users), 30)
        common, levels = random.normal(size=len(user)), np.sqrt(random.gamma(2.0, 0.5, size=self.users))[user]

        def model(mse: float) -> list[Floats]:
            own = random.normal(size=len(user))
            of_seeds = mse + self.seed_sd * random.normal(size=self.seeds)
            return [np.sqrt(of_seed) * levels * (0.95**0.5 * common + 0.05**0.5 * own) for of_seed in of_seeds]

        return user, np.zeros(len(user)), model(0.7), model(0.7 + self.worse_by)


EFFECT = 0.005


def chances_in(world: World, seed: int, smallest_effect: float = EFFECT) -> tuple[float, float, float]:
    user, rating, one, other = world.draw(seed)
    return chances(user, rating, one, other, smallest_effect=smallest_effect, resamples=500, seed=seed)


def test_chances_sum_to_one_and_go_where_the_difference_is() -> None:
    for worse_by, place in ((0.2, 0), (-0.2, 2)):
        found = chances_in(World(users=300, seeds=3, seed_sd=0.002, worse_by=worse_by), 1)
        assert sum(found) == pytest.approx(1)
        assert found[place] > 0.95
    user, rating, one, _ = World(users=30, seeds=3, seed_sd=0.01).draw(1)
    same = [np.mean(one, axis=0)]
    assert chances(user, rating, same, same, smallest_effect=EFFECT, resamples=200, seed=1) == (0, 1, 0)
    mf, equal, dnn = chances_in(World(users=30, seeds=3, seed_sd=0.01), 1, smallest_effect=0.0)
    assert mf + dnn == pytest.approx(1)
    assert equal == pytest.approx(0)


def test_seeds_that_disagree_make_chances_less_certain() -> None:
    user, rating, one, other = World(users=400, seeds=4, seed_sd=0.0, worse_by=0.03).draw(2)
    spread = [prediction * factor for prediction, factor in zip(other, (0.9, 1.05, 0.98, 1.07), strict=True)]
    given: Any = {"smallest_effect": EFFECT, "resamples": 1000, "seed": 1}
    certain = chances(user, rating, one, other, **given)[0]
    level = np.sqrt(np.mean([np.mean(of**2) for of in other]) / np.mean([np.mean(of**2) for of in spread]))
    unsure = chances(user, rating, one, [level * of for of in spread], **given)[0]
    assert unsure < certain - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("world", [World(670, 5, 0.001), World(6000, 5, 0.002)], ids=str)
def test_a_winner_is_named_where_there_is_one(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of docs/protocols.md: 200 data sets each without a difference, and with three times the smallest."""

    def named(world: World) -> Sequence[str]:
        verdicts = []
        for seed in range(200):
            user, rating, one, other = world.draw(seed)
            (found,) = compare_pairs(
                user, rating, {"m0": one, "m1": other}, [("m0", "m1")], smallest_effect=EFFECT, resamples=500, seed=seed
            )
            better = chances(user, rating, one, other, smallest_effect=EFFECT, resamples=500, seed=seed)
            assert found.verdict != "better" or better[0] >= 0.5
            verdicts.append(found.verdict)
        return verdicts

    false = np.mean([verdict in ("better", "worse") for verdict in named(world)])
    right = np.mean([verdict == "better" for verdict in named(replace(world, worse_by=3 * EFFECT))])
    with capsys.disabled():
        print(f"\n{world}: {false:.1%} false winners, {right:.1%} found")
    assert false <= 0.05
    assert right >= 0.8
