import math

import numpy as np
import pytest

from recsys.models import item_knn
from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.item_knn import ItemKNN, corrections, fit_item_knn, residual_matrix, steps, too_large

USERS, ITEMS = 31, 26
"""The last user and the last item have no ratings."""

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def data(seed: int = 0, rows: int = 300) -> Rows:
    """Ratings by two tastes, some pairs repeatedly."""
    random = np.random.default_rng(seed)
    user, item = (random.integers(size - 1, size=rows).astype(np.int32) for size in (USERS, ITEMS))
    taste = np.where(user % 2 == item % 2, 1.0, -1.0)
    return user, item, (3 + taste + 0.5 * random.normal(size=rows)).astype(np.float32)


def biases_of(train: Rows) -> Baseline:
    return fit_baselines(train, train, USERS, ITEMS)["bias_only"]


def model(train: Rows, neighbours: int, shrinkage: float) -> ItemKNN:
    biases = biases_of(train)
    residuals = residual_matrix(train, biases)
    return ItemKNN(biases, residuals, neighbours, shrinkage, residuals.nnz, 0.0)


def every_pair() -> tuple[np.ndarray, np.ndarray]:
    user, item = np.divmod(np.arange(USERS * ITEMS, dtype=np.int32), np.int32(ITEMS))
    return user, item


def by_loops(train: Rows, biases: Baseline, neighbours: int, shrinkage: float) -> list[float]:
    """The definition, word for word."""
    rated: dict[int, dict[int, list[float]]] = {}
    for u, i, r in zip(*(column.tolist() for column in train), strict=True):
        bias = biases.mean + biases.user[u] + biases.item[i]
        rated.setdefault(i, {}).setdefault(u, []).append(r - bias)
    residual = {i: {u: sum(all_) / len(all_) for u, all_ in of.items()} for i, of in rated.items()}

    def similarity(i: int, j: int) -> float:
        common = residual[i].keys() & residual[j].keys()
        if len(common) < 2:
            return 0.0
        covariance = sum(residual[i][u] * residual[j][u] for u in common)
        spread = sum(residual[i][u] ** 2 for u in common) * sum(residual[j][u] ** 2 for u in common)
        return covariance / math.sqrt(spread) * (len(common) - 1) / (len(common) - 1 + shrinkage)

    predicted = []
    for u, i in zip(*(column.tolist() for column in every_pair()), strict=True):
        found = [(similarity(i, j), of[u]) for j, of in residual.items() if u in of and i in residual]
        found = sorted((pair for pair in found if pair[0] > 0), reverse=True)[:neighbours]
        weights = sum(weight for weight, _ in found)
        correction = sum(weight * value for weight, value in found) / weights if found else 0.0
        predicted.append(biases.mean + biases.user[u] + biases.item[i] + correction)
    return predicted


@pytest.mark.parametrize(("neighbours", "shrinkage"), [(1, 10.0), (3, 0.0), (5, 100.0), (100, 25.0)])
def test_predictions_are_those_of_plain_loops(neighbours: int, shrinkage: float) -> None:
    train = data()
    fitted = model(train, neighbours, shrinkage)
    assert fitted.predict(*every_pair()) == pytest.approx(
        by_loops(train, fitted.biases, neighbours, shrinkage), abs=1e-9
    )


def test_no_neighbours_leave_the_biases() -> None:
    fitted = model(data(), 0, 10.0)
    assert (fitted.predict(*every_pair()) == fitted.biases.predict(*every_pair())).all()


def test_an_id_without_ratings_gets_its_biases() -> None:
    fitted = model(data(), 20, 10.0)
    user, item = every_pair()
    unknown = (user == USERS - 1) | (item == ITEMS - 1)
    same = fitted.predict(user, item) == fitted.biases.predict(user, item)
    assert same[unknown].all()
    assert not same[~unknown].all()


def test_of_equally_similar_items_the_lower_code_is_the_neighbour() -> None:
    random = np.random.default_rng(3)
    residual = random.normal(size=8)
    user = np.tile(np.arange(8), 3)
    item = np.repeat(np.arange(3), 8)
    rating = np.concatenate([residual, 2 * residual, 2 * residual])
    rating[8:16] *= 2
    user, item, rating = user[1:], item[1:], rating[1:]  # user 0 has not rated item 0
    nothing = Baseline(0.0, np.zeros(8), np.zeros(3), 0, 0.0)
    residuals = residual_matrix((user.astype(np.int32), item.astype(np.int32), rating), nothing)
    wanted = np.zeros(1, np.int32)
    (found,) = corrections(residuals, wanted, wanted, [(1, 10.0)])
    assert found[0] == pytest.approx(4 * residual[0])


@pytest.mark.parametrize("block_cells", [1, 30, 1000])
def test_size_of_a_block_changes_no_bit(block_cells: int) -> None:
    train = data()
    residuals = residual_matrix(train, biases_of(train))
    candidates = [(2, 10.0), (5, 0.0), (5, 10.0)]
    whole = corrections(residuals, *every_pair(), candidates)
    parts = corrections(residuals, *every_pair(), candidates, block_cells=block_cells)
    assert [found.tobytes() for found in whole] == [found.tobytes() for found in parts]
    assert len({found.tobytes() for found in whole}) == 3


def test_candidates_side_by_side_get_what_each_gets_alone() -> None:
    train = data()
    residuals = residual_matrix(train, biases_of(train))
    candidates = [(2, 10.0), (0, 10.0), (9, 0.0), (5, 10.0)]
    together = corrections(residuals, *every_pair(), candidates)
    alone = [corrections(residuals, *every_pair(), [candidate])[0] for candidate in candidates]
    assert [found.tobytes() for found in together] == [found.tobytes() for found in alone]


def test_order_of_the_rows_changes_nothing() -> None:
    fitted = model(data(), 4, 10.0)
    user, item = every_pair()
    shuffled = np.random.default_rng(1).permutation(len(user))
    assert (fitted.predict(user[shuffled], item[shuffled]) == fitted.predict(user, item)[shuffled]).all()


def test_validation_alone_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_knn, "NEIGHBOURS", (1, 4, 12))
    monkeypatch.setattr(item_knn, "SHRINKAGES", (1.0, 50.0))
    train = data()
    biases = biases_of(train)
    chosen = set()
    for neighbours in (1, 4, 12):
        for shrinkage in (1.0, 50.0):
            wanted = model(train, neighbours, shrinkage)
            validation = (*every_pair(), wanted.predict(*every_pair()).astype(np.float32))
            fitted, predicted = fit_item_knn(train, validation, biases)
            assert (predicted == wanted.predict(*every_pair())).all()
            assert (fitted.neighbours, fitted.shrinkage) == (neighbours, shrinkage)
            assert (fitted.residuals != wanted.residuals).nnz == 0
            chosen.add((fitted.neighbours, fitted.shrinkage))
    assert len(chosen) == 6


def test_same_ratings_give_the_same_bits_and_neighbours_beat_the_biases() -> None:
    train, validation, test = data(0, 500), data(1, 100), data(2, 200)
    one, two = (fit_item_knn(train, validation, biases_of(train))[0] for _ in range(2))
    predicted = one.predict(*test[:2])
    assert predicted.tobytes() == two.predict(*test[:2]).tobytes()
    without = one.biases.predict(*test[:2])
    assert np.mean((predicted - test[2]) ** 2) < 0.7 * np.mean((without - test[2]) ** 2)


def test_parameters_are_the_ratings_kept_and_a_refit_keeps_the_choice() -> None:
    few, all_ = data(0, 200), data(0, 300)
    chosen, _ = fit_item_knn(few, data(1, 50), biases_of(few))
    fitted = chosen.refitted(all_, biases_of(all_))
    assert fitted.parameters == len(set(zip(all_[0].tolist(), all_[1].tolist(), strict=True))) > chosen.parameters
    again = model(all_, chosen.neighbours, chosen.shrinkage)
    assert (fitted.predict(*every_pair()) == again.predict(*every_pair())).all()
    assert fitted.seconds > chosen.seconds


def test_steps_are_pairs_of_ratings_of_a_user_neighbours_of_the_rows_and_pairs_of_items() -> None:
    assert steps(np.array([3.0, 1, 0]), np.array([1.0, 2, 1]), 10) == (9 + 1) + (3 + 0 + 1 + 1) + 100


def test_too_many_ratings_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    train, predicted = np.full(1, 4.0), np.full(1, 2.0)
    monkeypatch.setattr(item_knn, "MOST_STEPS", steps(train, predicted, 5))
    assert too_large(train, predicted, 5) == ""
    assert too_large(train, predicted + 1, 5).startswith("comparing 5 items")
    monkeypatch.setattr(item_knn, "MOST_RATINGS", 3)
    assert "4 are more than the 3" in too_large(train, predicted, 5)


def test_more_items_than_a_place_has_bits_for_are_refused() -> None:
    nothing = Baseline(0.0, np.zeros(1), np.zeros(65_537), 0, 0.0)
    codes = np.zeros(1, np.int32)
    residuals = residual_matrix((codes, codes, np.ones(1, np.float32)), nothing)
    with pytest.raises(ValueError, match="65,537 items"):
        corrections(residuals, codes, codes, [(1, 1.0)])
