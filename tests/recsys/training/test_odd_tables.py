"""Every searched model on tables that are unlike any it was made for: finite predictions, or one sentence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recsys.models.baselines import fit_biases
from recsys.models.specs import MODEL, TUNED
from recsys.training.fit import FitData
from recsys.training.train import fit_model

ROWS = 240
SMALL: dict[str, dict[str, Any]] = {
    "mf_tuned": {"embedding_size": 4, "implicit": "both", "epochs": 8},
    "bayes_mf": {"embedding_size": 3, "epochs": 40},
    "dnn_tuned": {"embedding_size": 4, "units": [4], "batch_size": 32, "biases": True, "epochs": 8},
    "towers": {"embedding_size": 4, "width": 4, "epochs": 8},
    "autorec": {"units": 4, "epochs": 8},
}
Columns = tuple[np.ndarray, np.ndarray, np.ndarray]


def scattered(random: np.random.Generator) -> Columns:
    user, item = random.integers(20, size=ROWS), random.integers(30, size=ROWS)
    return user, item, random.integers(1, 6, ROWS).astype(float)


def twice(user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> Columns:
    return np.tile(user, 2), np.tile(item, 2), np.tile(rating, 2)


TABLES: dict[str, Callable[[np.random.Generator], Columns]] = {
    "one user": lambda random: (np.zeros(30, int), np.arange(30), random.integers(1, 6, 30).astype(float)),
    "one item": lambda random: (np.arange(30), np.zeros(30, int), random.integers(1, 6, 30).astype(float)),
    "an item that everybody rated": lambda random: (
        np.concatenate([np.arange(20), random.integers(20, size=ROWS)]),
        np.concatenate([np.zeros(20, int), random.integers(1, 30, ROWS)]),
        random.integers(1, 6, ROWS + 20).astype(float),
    ),
    "1 to 100": lambda random: (*scattered(random)[:2], random.integers(1, 101, ROWS).astype(float)),
    "negative ratings": lambda random: (*scattered(random)[:2], random.uniform(-10, -1, ROWS).round(1)),
    "every pair twice": lambda random: twice(*scattered(random)),
    "one rating each": lambda random: (np.arange(20), np.arange(10, 30), random.integers(1, 6, 20).astype(float)),
    "all the same": lambda random: (*scattered(random)[:2], np.full(ROWS, 4.0)),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", [spec.name for spec in TUNED])
def test_predictions_are_finite_and_near_the_ratings(name: str, table: str) -> None:
    random = np.random.default_rng(2)
    user, item, rating = TABLES[table](random)
    order = random.permutation(len(user))
    held_out = len(user) // 10
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    data = FitData(*columns, order[held_out:], order[:held_out])
    users, items = int(user.max()) + 1, int(item.max()) + 1
    spec = MODEL[name]
    settings = spec.settings.model_validate(SMALL[name])
    predictor, fit = fit_model(
        name, spec.build, spec.fit, users, items, data, settings, 5, standardised=spec.standardised
    )
    everyone = np.repeat(np.arange(users, dtype=np.int32), items), np.tile(np.arange(items, dtype=np.int32), users)
    predicted = predictor.predict(*everyone)
    assert np.isfinite(fit.loss).all()
    assert np.isfinite(fit.val_loss).all()
    reach = max(np.ptp(rating), 1.0)
    assert (np.abs(predicted - rating.mean()) <= 2 * reach).all()


@pytest.mark.parametrize("name", [spec.name for spec in TUNED])
def test_shuffled_ratings_are_predicted_hardly_worse_than_by_biases(name: str) -> None:
    random = np.random.default_rng(4)
    rows = 4000
    user, item = random.integers(100, size=rows).astype(np.int32), random.integers(80, size=rows).astype(np.int32)
    rating = random.permutation(np.repeat([1, 2, 3, 4, 5], rows // 5)).astype(np.float32)
    data = FitData(user, item, rating, np.arange(3000), np.arange(3000, rows))
    spec = MODEL[name]
    changes = {"l2_embeddings": 0.3, "patience": 2} if name == "dnn_tuned" else {}
    settings = spec.settings.model_validate(SMALL[name] | changes)
    predictor, _ = fit_model(name, spec.build, spec.fit, 100, 80, data, settings, 5, standardised=spec.standardised)
    error = np.mean((predictor.predict(user[3000:], item[3000:]) - rating[3000:]) ** 2)
    mean = rating[:3000].mean()
    [(of_user, of_item)] = fit_biases(user[:3000], item[:3000], rating[:3000] - mean, 100, 80, (5.0,))
    by_biases = np.mean((mean + of_user[user[3000:]] + of_item[item[3000:]] - rating[3000:]) ** 2)
    assert error < 1.1 * by_biases
    assert by_biases > rating.var()
