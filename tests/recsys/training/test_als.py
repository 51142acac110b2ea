"""Matrix factorisation by alternating least squares."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.errors import BadSettings, NotEnoughMemory, TrainingDiverged
from recsys.memory import Available
from recsys.models.biased_mf import build_biased_mf
from recsys.models.keras_predictor import FittedFactors
from recsys.models.settings import BiasedMFSettings
from recsys.progress import silent
from recsys.training.als import _Side, _Training, fit_mf
from recsys.training.fit import Fit, FitData
from recsys.training.gibbs import rows
from recsys.training.train import fit_model, train

USERS, ITEMS = 40, 60
Tables = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def data() -> FitData:
    """Ratings by taste; the last user and the last item have no training rows."""
    random = np.random.default_rng(0)
    user, item = np.divmod(random.permutation(USERS * ITEMS)[:900], ITEMS)
    taste = random.normal(size=(USERS, 2)) @ random.normal(size=(2, ITEMS)) + random.normal(size=(USERS, 1))
    rating = 3 + taste[user, item] + 0.3 * random.normal(size=len(user))
    rows = random.permutation(len(user))
    judged = (rows < 100) | (user[rows] == USERS - 1) | (item[rows] == ITEMS - 1)
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    return FitData(*columns, rows[~judged], rows[judged])


def fitted(data: FitData, checkpoint: Path | None = None, seed: int = 1, **changes: Any) -> tuple[FittedFactors, Fit]:
    settings = BiasedMFSettings.model_validate({"solver": "als", "embedding_size": 3, "epochs": 6, **changes})
    return fit_mf(USERS, ITEMS, data, settings, seed, silent, checkpoint)


def bits(found: tuple[FittedFactors, Fit], data: FitData) -> bytes:
    predicted: bytes = found[0].predict(data.user, data.item).tobytes()
    return predicted + str((found[1].loss, found[1].val_loss)).encode()


def tables_of(found: FittedFactors) -> Tables:
    names = "user_vectors", "item_vectors", "user_bias", "item_bias"
    return {name: np.asarray(found.as_keras.model.get_layer(name).embeddings, np.float64) for name in names}


def objective(tables: Tables, data: FitData, l2_factors: float, l2_biases: float) -> tuple[float, Tables]:
    """The objective that `biased_mf` states, and its gradient."""
    user, item = data.user[data.train], data.item[data.train]
    p, q, b, c = (
        tables[name][codes]
        for name, codes in (("user_vectors", user), ("item_vectors", item), ("user_bias", user), ("item_bias", item))
    )
    error = (data.mean + b + c)[:, 0] + (p * q).sum(axis=1) - data.rating[data.train]
    penalty = l2_biases * (b**2 + c**2).sum() + l2_factors * (p**2 + q**2).sum()
    gradient = {name: np.zeros_like(table) for name, table in tables.items()}
    np.add.at(gradient["user_vectors"], user, 2 * error[:, None] * q + 2 * l2_factors * p)
    np.add.at(gradient["item_vectors"], item, 2 * error[:, None] * p + 2 * l2_factors * q)
    np.add.at(gradient["user_bias"], user, 2 * error[:, None] + 2 * l2_biases * b)
    np.add.at(gradient["item_bias"], item, 2 * error[:, None] + 2 * l2_biases * c)
    return float((error**2).sum() + penalty), gradient


def test_it_ends_in_a_minimum_of_the_objective_that_adam_comes_near(data: FitData) -> None:
    l2: dict[str, Any] = {"l2_factors": 0.1, "l2_biases": 0.03}
    found, fit = fitted(data, epochs=400, patience=0, **l2)
    least, gradient = objective(tables_of(found), data, **l2)
    assert max(float(np.abs(part).max()) for part in gradient.values()) < 1e-2
    model = build_biased_mf(USERS, ITEMS, BiasedMFSettings(embedding_size=3, **l2), 1, data.mean)
    settings = BiasedMFSettings(embedding_size=3, epochs=150, patience=0, learning_rate=0.01, batch_size=64, **l2)
    train(model, data, settings, 1)
    of_adam = {
        name: np.asarray(model.get_layer(layer).embeddings, np.float64)
        for name, layer in (
            ("user_vectors", "user_embedding"),
            ("item_vectors", "movie_embedding"),
            ("user_bias", "user_bias"),
            ("item_bias", "movie_bias"),
        )
    }
    assert least < objective(of_adam, data, **l2)[0] < 1.05 * least
    predicted = found.predict(data.user[data.train], data.item[data.train])
    assert fit.loss[-1] == pytest.approx(np.mean((predicted - data.rating[data.train]) ** 2), rel=1e-4)


def test_each_epoch_lowers_the_objective_and_validation_chooses_the_epoch(data: FitData) -> None:
    l2: dict[str, Any] = {"l2_factors": 0.02, "l2_biases": 0.01}
    values = [
        objective(tables_of(fitted(data, epochs=epochs, patience=0, **l2)[0]), data, **l2)[0] for epochs in (1, 2, 4, 8)
    ]
    assert values == sorted(values, reverse=True)
    found, fit = fitted(data, epochs=60, patience=3, **l2)
    assert fit.best_epoch == fit.scored_epoch == 1 + int(np.argmin(fit.val_loss)) == len(fit.loss) - 3
    assert fit.stopped_early
    rows = data.validation
    squares = (found.predict(data.user[rows], data.item[rows]) - data.rating[rows]) ** 2
    assert np.mean(squares) == pytest.approx(min(fit.val_loss), rel=1e-4)


def test_biases_can_be_left_out_and_are_all_that_is_left_without_factors(data: FitData) -> None:
    without, _ = fitted(data, user_bias=False)
    assert not tables_of(without)["user_bias"].any()
    assert tables_of(without)["item_bias"].any()
    assert without.parameters == (USERS + ITEMS) * 3 + ITEMS
    alone, _ = fitted(data, embedding_size=0, user_bias=False, patience=0, epochs=50, l2_biases=0.03)
    assert alone.parameters == USERS + ITEMS
    names = "user_bias", "item_bias"
    tables = {name: np.asarray(alone.as_keras.model.get_layer(name).embeddings, np.float64) for name in names}
    nothing = {"user_vectors": np.zeros((USERS, 0)), "item_vectors": np.zeros((ITEMS, 0))}
    _, gradient = objective({**nothing, **tables}, data, 0.0, 0.03)
    assert max(float(np.abs(gradient[name]).max()) for name in names) < 1e-3


def test_users_and_items_without_training_ratings_are_predicted_by_the_mean(data: FitData) -> None:
    found, _ = fitted(data)
    cold = np.array([USERS - 1], np.int32), np.array([ITEMS - 1], np.int32)
    assert found.predict(*cold)[0] == pytest.approx(data.mean, abs=1e-6)


def test_same_seed_same_bits_whatever_the_threads_and_their_parts(
    data: FitData, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [bits(fitted(data, seed=seed), data) for seed in (1, 2)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda seed: bits(fitted(data, seed=seed), data), (1, 2, 1))) == [*alone, alone[0]]
    for threads, parts in ((1, 1), (3, 11)):
        monkeypatch.setattr(rows, "THREADS", threads)
        monkeypatch.setattr(rows, "PARTS", parts)
        assert bits(fitted(data), data) == alone[0]


def test_an_interrupted_training_continues_to_the_same_bits(
    data: FitData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real, epochs = tmp_path / "checkpoints", _Training._epoch, list[int]()
    whole = bits(fitted(data), data)

    def interrupted(training: _Training) -> float | None:
        epochs.append(1 + len(training.course.loss))
        if epochs == [1, 2, 3]:
            raise KeyboardInterrupt
        return real(training)

    monkeypatch.setattr(_Training, "_epoch", interrupted)
    monkeypatch.setattr("recsys.training.checkpoint.CHECKPOINT_SHARE", np.inf)  # each of these short epochs is kept
    with pytest.raises(KeyboardInterrupt):
        fitted(data, folder)
    assert bits(fitted(data, folder), data) == whole
    assert epochs == [1, 2, 3, 3, 4, 5, 6]
    assert not folder.exists()


def test_the_settings_choose_what_fits(data: FitData) -> None:
    functions = "recsys.models.biased_mf:build", "recsys.training.als:fit_mf"
    small = {"embedding_size": 2, "epochs": 1, "patience": 0}
    for changes, engine in (
        ({}, "compiled"),
        ({"solver": "als"}, "als"),
        ({"implicit": "both"}, "histories"),
        ({"implicit": "both", "solver": "als"}, "histories"),
    ):
        settings = BiasedMFSettings.model_validate({**small, **changes})
        assert fit_model("mf_tuned", *functions, USERS, ITEMS, data, settings, 1)[1].engine == engine


def test_the_epoch_that_diverges_is_named(data: FitData, monkeypatch: pytest.MonkeyPatch) -> None:
    real, solved = _Side.solve, []

    def solve(side: _Side, other: _Side, size: int) -> None:
        solved.append(side)
        real(side, other, size)
        if len(solved) > 4:  # both sides of two epochs
            side.theta[:] = np.nan

    monkeypatch.setattr(_Side, "solve", solve)
    with pytest.raises(TrainingDiverged, match="the loss became nan in epoch 3; try a larger l2_factors"):
        fitted(data)


def test_what_cannot_be_fitted_is_refused(data: FitData, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = FitData(data.user, data.item, data.rating * np.float32(1e30), data.train, data.validation)
    with (
        np.errstate(all="ignore"),
        pytest.raises(TrainingDiverged, match=r"the loss became .* in epoch 1; try a larger"),
    ):
        fitted(huge)
    with pytest.raises(BadSettings, match="there are no training ratings"):
        fitted(FitData(data.user, data.item, data.rating, data.train[:0], data.validation))
    with pytest.raises(BadSettings, match="early stopping needs validation ratings"):
        fitted(FitData(data.user, data.item, data.rating, data.train, data.validation[:0]))
    monkeypatch.setattr("recsys.memory.ALWAYS_GRANTED", 0)
    monkeypatch.setattr("recsys.memory.available_memory", lambda: Available(1000, "are left"))
    with pytest.raises(
        NotEnoughMemory, match="Alternating least squares with 3 factors of 40 users and 60 items needs"
    ):
        fitted(data)
