"""Whatever a model reads, histories included, it reads of the rows it is fitted to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.data.split import split
from recsys.models.specs import MODEL, TUNED
from recsys.settings import SplitSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_model

USERS, ITEMS, RATINGS = 12, 20, 160
SMALL: dict[str, dict[str, Any]] = {
    "mf_tuned": {"embedding_size": 4, "implicit": "both", "patience": 0},
    "bayes_mf": {"embedding_size": 3},
    "dnn_tuned": {"embedding_size": 4, "units": [4], "batch_size": 32, "biases": True, "patience": 0},
    "towers": {"embedding_size": 4, "width": 4},
    "autorec": {"units": 4, "patience": 0},
}
"""Without early stopping, as validation ratings are to choose the epoch of the models that have it."""

SPLITS = ("random", "kfold", "time", "user-last", "leave-one-out")


def some_other(random: np.random.Generator, column: np.ndarray, rows: np.ndarray, codes: int) -> np.ndarray:
    changed = column.copy()
    changed[rows] = (column[rows] + random.integers(1, codes, len(rows)).astype(column.dtype)) % codes
    return changed


@pytest.mark.parametrize("name", [spec.name for spec in TUNED])
@pytest.mark.parametrize("split_by", SPLITS)
def test_other_users_items_and_ratings_in_validation_and_test_rows_leave_a_fit_as_it_is(
    name: str, split_by: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    user, item = np.divmod(np.sort(random.permutation(USERS * ITEMS)[:RATINGS]), ITEMS)
    user, item = user.astype(np.int32), item.astype(np.int32)
    rating = random.integers(1, 6, RATINGS).astype(np.float32)
    how = SplitSettings.model_validate({"split_by": split_by})
    split(RATINGS, how, "fair", tmp_path, user=user, time=random.permutation(RATINGS))
    train, validation = (np.load(tmp_path / f"{part}.npy") for part in ("train", "validation"))
    data = FitData(user, item, rating, train, validation)
    others = np.setdiff1d(np.arange(RATINGS), train)
    changed = replace(
        data,
        user=some_other(random, user, others, USERS),
        item=some_other(random, item, others, ITEMS),
        rating=some_other(random, rating, others, 6),
    )
    spec = MODEL[name]
    found = []
    for given in (data, changed):
        settings = spec.settings.model_validate({"epochs": 2, **SMALL[name]})
        predictor, fit = fit_model(
            name, spec.build, spec.fit, USERS, ITEMS, given, settings, 5, standardised=spec.standardised
        )
        everyone = np.repeat(np.arange(USERS, dtype=np.int32), ITEMS), np.tile(np.arange(ITEMS, dtype=np.int32), USERS)
        found.append((predictor.predict(*everyone).tobytes(), fit.loss))
        assert fit.val_loss
    assert found[0] == found[1]
    assert len(others) > RATINGS // 8
