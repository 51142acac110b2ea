from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from recsys.evaluation import ensembles
from recsys.evaluation.ensembles import FOLDS, SHARES, blend_weights, weigh
from recsys.models.blend import blended


def test_weights_are_those_that_made_the_ratings() -> None:
    random = np.random.default_rng(0)
    one, other, noise = random.normal(3, 1, size=(3, 500))
    rating = 3 + 0.7 * (one - 3) + 0.2 * (other - 3)
    weights, _ = blend_weights(rating, {"one": one, "other": other, "noise": noise}, 3.0)
    assert weights["one"] == pytest.approx(0.7, abs=1e-6)
    assert weights["other"] == pytest.approx(0.2, abs=1e-6)
    assert weights.get("noise", 0) < 1e-6
    assert blended({"one": one, "other": other, "noise": noise}, weights, 3.0) == pytest.approx(rating, abs=1e-5)


def test_no_weight_is_negative_and_those_of_no_use_are_left_out() -> None:
    random = np.random.default_rng(1)
    good = random.normal(3, 1, size=500)
    weights, _ = blend_weights(good, {"good": good, "opposite": 6 - good}, 3.0)
    assert list(weights) == ["good"]
    assert weights["good"] == pytest.approx(1.0)


def test_the_same_prediction_twice_is_no_trouble() -> None:
    random = np.random.default_rng(2)
    good = random.normal(3, 1, size=500)
    weights, _ = blend_weights(good, {"one": good, "twin": good}, 3.0)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_where_nothing_differs_from_the_mean_there_is_no_blend() -> None:
    constant = np.full(50, 4.0)
    assert blend_weights(constant, {"one": constant, "other": constant}, 4.0) == ({}, 0.0)


def alike(rows: int, members: int = 6, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Ratings, and predictions that are equally good: each the taste and a noise of its own."""
    random = np.random.default_rng(seed)
    taste = random.normal(size=rows)
    predicted = {f"member{number}": 3 + taste + 0.3 * random.normal(size=rows) for number in range(members)}
    return 3 + taste + random.normal(size=rows), predicted


def cross_validated(rating: np.ndarray, predicted: dict[str, np.ndarray], mean: float, share: float) -> float:
    """The error of refitted weights, moved by so much, in the rows that they were not fitted to."""
    errors, fold_of = [], np.arange(len(rating)) % FOLDS
    for fold in range(FOLDS):
        rest, held = fold_of != fold, fold_of == fold
        design = np.stack([prediction - mean for prediction in predicted.values()], axis=1)
        weights, _ = nnls(design[rest], rating[rest] - mean)
        equal = np.where(weights > 0, weights.sum() / max(1, (weights > 0).sum()), 0)
        moved = (1 - share) * weights + share * equal
        errors.append(np.mean((rating[held] - mean - design[held] @ moved) ** 2))
    return float(np.mean(errors))


def test_weights_of_members_that_are_alike_are_moved_towards_equal_ones_and_keep_their_sum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rating, predicted = alike(100, seed=1)
    moved, share = blend_weights(rating, predicted, 3.0)
    monkeypatch.setattr(ensembles, "SHARES", (0.0,))
    fitted, nothing = blend_weights(rating, predicted, 3.0)
    assert share > 0 == nothing
    assert moved.keys() == fitted.keys()
    assert sum(moved.values()) == pytest.approx(sum(fitted.values()))
    equal = sum(fitted.values()) / len(fitted)
    assert moved == pytest.approx({name: (1 - share) * weight + share * equal for name, weight in fitted.items()})


def test_weights_that_differ_for_good_reason_are_left_as_they_are() -> None:
    rating, predicted = alike(2000, members=2)
    predicted["poor"] = 3 + (rating - 3) * 0.1 + np.random.default_rng(1).normal(size=2000)
    weights, share = blend_weights(rating, predicted, 3.0)
    assert share == 0
    assert 0 < weights["poor"] < 0.5 * weights["member0"]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_chosen_is_never_worse_in_cross_validation(seed: int) -> None:
    rating, predicted = alike(100 + 5 * seed, seed=seed)
    _, share = blend_weights(rating, predicted, 3.0)
    found = {share: cross_validated(rating, predicted, 3.0, share) for share in SHARES}
    assert found[share] <= found[0.0]
    assert share == 0 or found[share] == pytest.approx(min(found.values()))


def test_fewer_ratings_than_folds_are_not_cross_validated() -> None:
    rating, predicted = alike(FOLDS - 1)
    assert blend_weights(rating, predicted, 3.0)[1] == 0.0


def test_ratings_of_one_pair_are_in_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    rating, predicted = alike(60)
    pair = np.random.default_rng(3).integers(25, size=60).astype(np.int32)
    used: list[np.ndarray] = []

    def watched(*given: Any) -> tuple[dict[str, float], float]:
        used.append(given[3])
        return blend_weights(*given)

    monkeypatch.setattr(ensembles, "blend_weights", watched)
    rows = dict(zip(("bias_only", "item_knn"), predicted.values(), strict=False))
    found = weigh((pair // 5, pair % 5, rating.astype(np.float32)), rows)
    folds = [{*used[0][pair == one].tolist()} for one in {*pair.tolist()}]
    assert set().union(*folds) == set(range(FOLDS))
    assert all(len(fold) == 1 for fold in folds)
    assert found.of

    alone = np.arange(60, dtype=np.int32)
    weigh((alone, alone, rating.astype(np.float32)), rows)
    assert used[1] is None


def test_fewer_pairs_than_folds_leave_the_weights_where_they_are() -> None:
    rating, predicted = alike(60)
    pair = np.arange(60, dtype=np.int32) % 3
    rows = dict(zip(("bias_only", "item_knn"), predicted.values(), strict=False))
    assert weigh((pair, pair, rating.astype(np.float32)), rows).equal_share == 0.0
