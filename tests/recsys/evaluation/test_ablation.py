from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.evaluation.ablation import contributions
from recsys.evaluation.inputs import Tested as Held
from recsys.evaluation.metrics import mse
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.mf import build_mf
from recsys.models.neumf import build_deep
from recsys.models.predictor import clipped
from recsys.settings import MFSettings, TunedDNNSettings

USERS, ITEMS, ROWS = 6, 7, 60


def deep(**settings: Any) -> keras.Model:
    return build_deep(
        USERS, ITEMS, TunedDNNSettings.model_validate({"units": (5,), "embedding_size": 4, **settings}), seed=1, mean=3
    )


@pytest.fixture
def held() -> Held:
    random = np.random.default_rng(0)
    user, item = random.integers(USERS, size=ROWS).astype(np.int32), random.integers(ITEMS, size=ROWS).astype(np.int32)
    return Held(user, item, random.integers(1, 6, size=ROWS).astype(np.float32), item == ITEMS - 1)


def found(model: keras.Model, test: Held, bounds: tuple[float, float] | None = None) -> dict[str, tuple[float, float]]:
    answered = clipped(KerasPredictor(model).predict(test.user, test.item), bounds)
    return {
        part.name: (part.sd, part.mse_without) for part in contributions(KerasPredictor(model), test, answered, bounds)
    }


def test_a_bias_contributes_what_it_moves(held: Held) -> None:
    model = deep(biases=True, dot_factors=3)
    model.get_layer("user_bias").set_weights([np.arange(USERS, dtype=np.float32)[:, None]])
    warm = ~held.cold
    bias = held.user[warm].astype(float)
    answered = KerasPredictor(model).predict(held.user, held.item).astype(float)
    without = answered.copy()
    without[warm] += bias.mean() - bias
    parts = found(model, held)
    assert list(parts) == ["dense layers", "dot product", "user bias", "item bias"]
    assert parts["user bias"] == pytest.approx((bias.std(), mse(held.rating, without, held.user)), rel=1e-5)
    assert parts["item bias"] == pytest.approx((0.0, mse(held.rating, answered, held.user)), abs=1e-5)


def test_what_is_clipped_stays_clipped(held: Held) -> None:
    model = deep(biases=True)
    model.get_layer("user_bias").set_weights([np.full((USERS, 1), 100, np.float32)])
    assert found(model, held, (1, 5))["dense layers"][1] < 16


def test_a_model_that_is_no_sum_has_no_addends(held: Held) -> None:
    assert not found(deep(), held)
    assert not found(build_mf(USERS, ITEMS, MFSettings(embedding_size=3), seed=1), held)


def test_cold_rows_alone_say_nothing(held: Held) -> None:
    cold = Held(held.user, held.item, held.rating, np.ones(ROWS, bool))
    assert not found(deep(biases=True), cold)
