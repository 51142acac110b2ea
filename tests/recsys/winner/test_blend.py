"""A winner that is a blend of two fits of a factor model, biases, popularity and neighbours."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import ExportFailed
from recsys.models.baselines import Baseline, fit_biases
from recsys.models.blend import blended
from recsys.models.factor_model import factor_model
from recsys.models.factors import Factors
from recsys.models.item_knn import ItemKNN, residual_matrix
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.popularity_slope import PopularitySlope, fit_slopes
from recsys.winner.export import export
from recsys.winner.packing import write_winner
from recsys.winner.recommender import Recommender

USERS, ITEMS, SIZE = 40, 30, 3
WEIGHTS = {"mf_tuned": 0.5, "item_knn": 0.2, "popularity_slope": 0.1, "bias_only": 0.15}
MEAN = 3.2
COLD_USER, COLD_ITEM = USERS - 1, ITEMS - 1

Ratings = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]


@pytest.fixture
def ratings() -> Ratings:
    random = np.random.default_rng(3)
    cells = random.permutation(COLD_USER * COLD_ITEM)[:400]
    user, item = (cells // COLD_ITEM).astype(np.int32), (cells % COLD_ITEM).astype(np.int32)
    return user, item, random.integers(1, 6, size=len(cells)).astype(np.float32)


def fits() -> list[KerasPredictor]:
    found = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        shapes = ((USERS, SIZE), (ITEMS, SIZE), (USERS,), (ITEMS,))
        users, items, *biases = (random.normal(scale=0.7, size=shape).astype(np.float32) for shape in shapes)
        factors = Factors(users, items, biases[0], biases[1], MEAN)
        found.append(KerasPredictor(factor_model(factors, "mf_tuned")))
    return found


@pytest.fixture
def baselines(ratings: Ratings) -> tuple[Baseline, PopularitySlope, ItemKNN]:
    [of] = fit_biases(*ratings, USERS, ITEMS, (5.0,))
    biases = Baseline(float(ratings[2].mean(dtype=np.float64)), *of, USERS + ITEMS + 1, 0.0)
    [slope] = fit_slopes(ratings, USERS, ITEMS, (1.0,))
    residuals = residual_matrix(ratings, biases)
    return biases, slope, ItemKNN(biases, residuals, 20, 50.0, residuals.nnz, 0.0)


@pytest.fixture
def folder(tmp_path: Path, ratings: Ratings, baselines: tuple[Baseline, PopularitySlope, ItemKNN]) -> Path:
    biases, slope, neighbours = baselines
    files, members = {}, {name: {"weight": weight, "folders": []} for name, weight in WEIGHTS.items()}
    for number, fit in enumerate(fits(), 1):
        fit.save(tmp_path / f"{number}.keras")
        files[f"mf_tuned_{number}/model.keras"] = tmp_path / f"{number}.keras"
        members["mf_tuned"] = {"weight": 0.5, "folders": ["mf_tuned_1", "mf_tuned_2"]}
    for name, baseline in (("popularity_slope", slope), ("item_knn", neighbours)):
        files[f"{name}.npz"] = tmp_path / f"{name}.npz"
        baseline.save(files[f"{name}.npz"])
    users = pa.table({"code": range(USERS), "id": range(USERS)})
    titles = pa.array([None] * ITEMS, pa.string())
    items = pa.table({"code": range(ITEMS), "id": [100 + code for code in range(ITEMS)], "title": titles})
    tables = tmp_path / "users.parquet", tmp_path / "items.parquet"
    for table, path in zip((users, items), tables, strict=True):
        pq.write_table(table, path)
    about = {"name": "blend", "title": "blend", "reason": "it was chosen with --use", "refitted": True, "seed": 1}
    about |= {"settings": {}, "members": members, "mean": MEAN}
    winner = tmp_path / "winner"
    winner.mkdir()
    write_winner(winner, files, about, ratings, biases, tables)
    return winner


@pytest.fixture
def expected(baselines: tuple[Baseline, PopularitySlope, ItemKNN]) -> npt.NDArray[np.float64]:
    """Predictions of all pairs, shape (users, items), by a plain sum."""
    biases, slope, neighbours = baselines
    user, item = (codes.ravel().astype(np.int32) for codes in np.mgrid[:USERS, :ITEMS])
    cold = (user == COLD_USER) | (item == COLD_ITEM)

    def within(predicted: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return np.asarray(np.clip(predicted, 1, 5))

    by_biases = biases.predict(user, item)
    of_fits = [within(np.where(cold, by_biases, fit.predict(user, item))) for fit in fits()]
    total = MEAN + 0.5 * (np.mean(of_fits, axis=0) - MEAN) + 0.2 * (within(neighbours.predict(user, item)) - MEAN)
    total += 0.1 * (within(slope.predict(user, item)) - MEAN) + 0.15 * (within(by_biases) - MEAN)
    return np.asarray(within(total)).reshape(USERS, ITEMS)


def test_it_predicts_the_weighted_sum(folder: Path, expected: npt.NDArray[np.float64]) -> None:
    winner = Recommender.load(folder)
    user, item = (codes.ravel() for codes in np.mgrid[:USERS, :ITEMS])
    np.testing.assert_allclose(winner.predict(user, 100 + item), expected.ravel(), rtol=1e-5)


def test_its_lists_have_the_highest_predictions(
    folder: Path, expected: npt.NDArray[np.float64], ratings: Ratings
) -> None:
    winner = Recommender.load(folder)
    found = winner.recommend(3, n=5)
    rated = ratings[1][ratings[0] == 3]
    others = np.setdiff1d(np.arange(COLD_ITEM), rated)
    best = others[np.argsort(-expected[3, others], kind="stable")[:5]]
    assert found["item"].tolist() == (100 + best).tolist()
    assert len(winner.similar_items(104, n=2)) == 2


def test_each_member_folds_a_new_user_in_as_it_would_alone(folder: Path) -> None:
    winner = Recommender.load(folder)
    rated, rating = [104, 107, 111, 120], np.array([5.0, 1.0, 4.0, 2.0])
    new = winner.fold_in(rated, rating)
    assert new.way == (
        "by the blend of tuned MF in closed form, item kNN by a bias alone, popularity slope by a bias alone and bias "
        "only by a bias alone"
    )
    asked = np.arange(COLD_ITEM, dtype=np.int32)
    item = np.array(rated, np.int32) - 100
    parts = {
        "mf_tuned": np.mean(
            [
                np.clip(scores(asked), 1, 5)
                for fit in winner._foldings["mf_tuned"]
                if (scores := fit.fold_in(winner.item_ratings, item, rating).scores)
            ],
            axis=0,
        )
    }
    left = rating - winner.biases.mean - winner.biases.item[item]
    by_bias = winner.biases.mean + left.sum() / (4 + winner._damping) + winner.biases.item[asked]
    parts |= dict.fromkeys(("item_knn", "popularity_slope", "bias_only"), np.clip(by_bias, 1, 5))
    total = np.clip(blended(parts, WEIGHTS, MEAN), 1, 5)
    np.testing.assert_allclose(new.predict(100 + asked), total, rtol=1e-5)


def test_it_is_not_exported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="choose one of its models with --use"):
        export(folder, "vectors", tmp_path / "out")
    assert not (tmp_path / "out").exists()
