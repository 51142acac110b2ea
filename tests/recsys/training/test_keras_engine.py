from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import numpy as np
import pytest

from recsys.backend import keras
from recsys.errors import TrainingDiverged
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.settings import DNNSettings, Engine, MFSettings, TunedDNNSettings
from recsys.training.fit import Fit, FitData
from recsys.training.keras_engine import train_keras
from recsys.training.train import train


@pytest.fixture(scope="module")
def data() -> FitData:
    random = np.random.default_rng(0)
    user, item = random.integers(12, size=600).astype(np.int32), random.integers(15, size=600).astype(np.int32)
    rating = (3 + random.normal(size=12)[user] + 0.3 * random.normal(size=600)).astype(np.float32)
    rows = random.permutation(600)
    return FitData(user, item, rating, rows[:500], rows[500:])


def fit(
    data: FitData, *, epochs: int = 3, patience: int = 0, learning_rate: float = 1e-2, seed: int = 5
) -> tuple[keras.Model, Fit]:
    settings = DNNSettings(
        embedding_size=4, units=(8,), dropout=0.2, epochs=epochs, patience=patience, learning_rate=learning_rate
    )
    model = build_dnn(12, 15, settings, seed)
    told: list[float] = []
    result = train_keras(model, data, settings, seed, lambda done, total, text: told.append(done))
    assert told == list(range(1, len(result.loss) + 1))
    return model, result


def test_training_learns(data: FitData) -> None:
    _, result = fit(data, epochs=10)
    assert result.loss[-1] < result.loss[0] / 2
    assert result.val_loss[-1] < float(np.var(data.rating))
    assert result.scored_epoch == 10
    assert not result.stopped_early


def test_reported_validation_loss_is_that_of_the_models_predictions(data: FitData) -> None:
    model, result = fit(data)
    rows = data.validation
    predicted = model.predict([data.user[rows, None], data.item[rows, None]], verbose=0)[:, 0]
    assert result.val_loss[-1] == pytest.approx(float(np.mean((predicted - data.rating[rows]) ** 2)), rel=1e-5)


def test_penalties_are_no_part_of_the_reported_losses(data: FitData) -> None:
    settings = TunedDNNSettings(embedding_size=4, units=(8,), epochs=2, patience=0, l2_kernels=3.0, biases=True)
    results, engines = [], get_args(Engine)
    for engine in engines:
        model = build_deep(12, 15, settings.model_copy(update={"dropout": 0.0}), 5, data.mean)
        results.append(train(model, data, settings, 5, engine=engine))
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-3)
    assert results[0].val_loss == pytest.approx(results[1].val_loss, rel=1e-3)


def test_early_stopping_restores_the_best_weights(data: FitData) -> None:
    model, result = fit(data, epochs=60, patience=2, learning_rate=0.05)
    assert result.stopped_early
    assert result.best_epoch is not None
    assert len(result.loss) == result.best_epoch + 2
    assert result.scored_epoch == result.best_epoch
    rows = data.validation
    predicted = model.predict([data.user[rows, None], data.item[rows, None]], verbose=0)[:, 0]
    assert min(result.val_loss) == pytest.approx(float(np.mean((predicted - data.rating[rows]) ** 2)), rel=1e-5)


def test_the_same_seed_gives_the_same_bits_alone_or_beside_others(data: FitData) -> None:
    alone = fit(data)[0].get_weights()
    with ThreadPoolExecutor(3) as pool:
        beside = [training.result()[0].get_weights() for training in [pool.submit(fit, data) for _ in range(3)]]
    for weights in beside:
        assert all(np.array_equal(one, two) for one, two in zip(alone, weights, strict=True))
    assert not np.array_equal(alone[0], fit(data, seed=6)[0].get_weights()[0])


def test_a_loss_that_explodes_is_one_sentence(data: FitData) -> None:
    huge = FitData(data.user, data.item, data.rating * np.float32(1e30), data.train, data.validation)
    settings = MFSettings(embedding_size=4, epochs=2)
    with pytest.raises(TrainingDiverged, match=r"mf: the loss became (inf|nan) in epoch 1 at learning rate 0.001; try"):
        train_keras(build_mf(12, 15, settings, 1), huge, settings, 1, lambda done, total, text: None)
