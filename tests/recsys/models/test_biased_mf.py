"""Mean, biases and factors."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from recsys.backend import keras
from recsys.errors import BadSettings
from recsys.models.biased_mf import MOST_ITEMS, build_biased_mf
from recsys.models.implicit_feedback import ImplicitFeedback, rated_items
from recsys.models.predictor import KerasPredictor
from recsys.models.serialization import load_model, save_model, summary_of
from recsys.settings import BiasedMFSettings
from recsys.training.fit import FitData
from recsys.training.train import train

USERS, ITEMS = 30, 40


def some_ratings(rows: int = 3_000) -> FitData:
    random = np.random.default_rng(0)
    user, item = (random.integers(top, size=rows).astype(np.int32) for top in (USERS, ITEMS))
    rating = 3 + random.normal(size=USERS)[user] + random.normal(size=ITEMS)[item] + 0.3 * random.normal(size=rows)
    numbers = np.arange(rows)
    return FitData(user, item, rating.astype(np.float32), numbers[300:], numbers[:300])


def predicted(model: object, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    return np.asarray(model([user[:, None], item[:, None]]))[:, 0]  # type: ignore[operator]


def test_a_prediction_is_mean_plus_biases_plus_the_dot_product() -> None:
    model = build_biased_mf(USERS, ITEMS, BiasedMFSettings(embedding_size=3), 1, mean=3.5)
    tables = {layer.name: np.asarray(layer.weights[0]) for layer in model.layers if layer.weights}
    for name, table in tables.items():
        if name.endswith("bias"):
            model.get_layer(name).set_weights([np.arange(len(table), dtype=np.float32)[:, None]])
    user, item = np.array([2, 5]), np.array([7, 1])
    dot = (tables["user_embedding"][user] * tables["movie_embedding"][item]).sum(axis=1)
    assert predicted(model, user, item) == pytest.approx(3.5 + user + item + dot)


def test_without_factors_it_is_the_biases() -> None:
    data = some_ratings()
    settings = BiasedMFSettings(
        embedding_size=0, l2_biases=0.0, epochs=100, patience=0, learning_rate=0.01, batch_size=900
    )
    mean = float(data.rating[data.train].mean())
    model = build_biased_mf(USERS, ITEMS, settings, 1, mean)
    train(model, data, settings, 1)
    rows = data.train
    design = np.zeros((len(rows), USERS + ITEMS))
    design[np.arange(len(rows)), data.user[rows]] = 1
    design[np.arange(len(rows)), USERS + data.item[rows]] = 1
    solved = np.linalg.lstsq(design, data.rating[rows] - mean, rcond=None)[0]
    assert predicted(model, data.user[rows], data.item[rows]) == pytest.approx(mean + design @ solved, abs=0.05)


@pytest.mark.parametrize("without", ["user_bias", "item_bias"])
def test_each_bias_can_be_left_out(without: str) -> None:
    settings = BiasedMFSettings.model_validate({without: False})
    model = build_biased_mf(USERS, ITEMS, settings, 1, mean=0.0)
    side = {"user_bias": "user", "item_bias": "movie"}[without]
    assert f"{side}_bias" not in [layer.name for layer in model.layers]
    assert model.count_params() == 100 * (USERS + ITEMS) + (ITEMS if side == "user" else USERS)


def test_a_larger_penalty_leaves_smaller_factors() -> None:
    data, sizes = some_ratings(), []
    for l2 in (0.0, 1.0):
        settings = BiasedMFSettings(embedding_size=4, l2_factors=l2, epochs=10, patience=0)
        model = build_biased_mf(USERS, ITEMS, settings, 1, 3.0)
        train(model, data, settings, 1)
        sizes.append(float(np.square(model.get_layer("user_embedding").weights[0]).sum()))
    assert sizes[1] < 0.5 * sizes[0]


def test_it_opens_with_stock_keras_and_equal_models_are_equal_files(tmp_path: Path) -> None:
    model = build_biased_mf(USERS, ITEMS, BiasedMFSettings(), 1, mean=3.2)
    path = tmp_path / "model.keras"
    save_model(model, path)
    again = build_biased_mf(USERS, ITEMS, BiasedMFSettings(), 1, mean=3.2)
    save_model(again, path.with_name("again.keras"))
    assert path.read_bytes() == path.with_name("again.keras").read_bytes()
    user, item = np.array([1, 2]), np.array([3, 4])
    assert np.array_equal(predicted(load_model(path), user, item), predicted(model, user, item))


def svdpp(data: FitData, length: int = 5, **settings: object) -> keras.Model:
    """SVD++ with the histories of the training rows."""
    rows = data.train
    histories = rated_items(data.user[rows], data.item[rows], USERS, ITEMS, length, seed=4)
    chosen = BiasedMFSettings.model_validate({"embedding_size": 3, "implicit_items": length, **settings})
    return build_biased_mf(USERS, ITEMS, chosen, 1, 3.5, feedback=histories)


def test_with_histories_the_items_of_a_user_are_added_to_the_factors() -> None:
    user, item = np.array([0, 0, 0, 1], np.int32), np.array([7, 9, 9, 2], np.int32)
    histories = rated_items(user, item, USERS, ITEMS, 3, seed=1)
    settings = BiasedMFSettings(embedding_size=3, implicit_items=3)
    model = build_biased_mf(USERS, ITEMS, settings, 1, mean=3.5, feedback=histories)
    y, p, q = (np.asarray(model.get_layer(f"{name}_embedding").weights[0]) for name in ("history", "user", "movie"))
    assert y.std() == pytest.approx(settings.initial_sd, rel=0.3)
    vectors = [p[0] + (y[7] + y[9]) / np.sqrt(2), p[1] + y[2], p[2]]  # user 2 has rated nothing
    expected = [3.5 + vector @ q[4] for vector in vectors]
    assert predicted(model, np.arange(3), np.full(3, 4)) == pytest.approx(expected, rel=1e-5)


def test_a_history_of_0_is_the_model_without_one() -> None:
    with_0 = build_biased_mf(USERS, ITEMS, BiasedMFSettings(embedding_size=3, implicit_items=0), 1, 3.5)
    plain, data = build_biased_mf(USERS, ITEMS, BiasedMFSettings(embedding_size=3), 1, 3.5), some_ratings()
    assert with_0.get_config() | {"layers": 0} == plain.get_config() | {"layers": 0}
    assert [type(layer) for layer in with_0.layers] == [type(layer) for layer in plain.layers]
    assert all(np.array_equal(a, b) for a, b in zip(with_0.get_weights(), plain.get_weights(), strict=True))
    shared = {layer.name: layer for layer in svdpp(data).layers}
    for layer in plain.layers:  # what SVD++ adds changes no initial weight
        for ours, theirs in zip(shared[layer.name].get_weights(), layer.get_weights(), strict=True):
            assert np.array_equal(ours, theirs)


def test_other_rows_than_those_of_training_change_nothing() -> None:
    data = some_ratings()
    poisoned = FitData(data.user, data.item.copy(), data.rating.copy(), data.train, data.validation)
    poisoned.item[data.validation], poisoned.rating[data.validation] = 3, -1e3
    tables = []
    for source in (data, poisoned):
        model = svdpp(source, epochs=2, patience=0)
        train(model, source, BiasedMFSettings(implicit_items=5, epochs=2, patience=0), 1)
        tables.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*tables, strict=True))


def test_svdpp_opens_with_stock_keras_in_safe_mode_without_the_ratings(tmp_path: Path) -> None:
    data = some_ratings()
    settings = BiasedMFSettings(embedding_size=3, implicit_items=5, epochs=1, patience=0)
    model = svdpp(data)
    before = {name: model.get_layer(name).get_weights()[0] for name in ("user_history", "user_history_weight")}
    train(model, data, settings, 1)
    KerasPredictor(model).save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    user, item = data.user[:200], data.item[:200]
    assert np.array_equal(predicted(opened, user, item), predicted(model, user, item))
    for name, table in before.items():  # the histories are not trained
        assert np.array_equal(opened.get_layer(name).get_weights()[0], table)
    assert KerasPredictor(model).parameters == (3 + 1) * (USERS + ITEMS) + 3 * (ITEMS + 1)
    assert summary_of(opened).endswith(f"that are not trained: {2 * 5 * USERS}")


def test_a_larger_penalty_leaves_smaller_factors_of_the_history() -> None:
    data, sizes = some_ratings(), []
    for l2 in (0.0, 1.0):
        model = svdpp(data, l2_factors=l2)
        train(model, data, BiasedMFSettings(implicit_items=5, epochs=10, patience=0), 1)
        sizes.append(float(np.square(model.get_layer("history_embedding").weights[0][:ITEMS]).sum()))
    assert sizes[1] < 0.5 * sizes[0]


def test_a_history_without_factors_is_refused() -> None:
    with pytest.raises(ValidationError, match="implicit_items 20 needs factors, which embedding_size 0 leaves out"):
        BiasedMFSettings(embedding_size=0, implicit_items=20)
    assert BiasedMFSettings(embedding_size=0).implicit_items == 0


def test_histories_come_with_the_setting_and_the_setting_with_histories() -> None:
    histories = ImplicitFeedback(np.zeros((USERS, 2), np.int32), np.ones((USERS, 2), np.float32))
    for settings, given in ((BiasedMFSettings(implicit_items=2), None), (BiasedMFSettings(), histories)):
        with pytest.raises(ValueError, match="feedback belongs to implicit_items above 0"):
            build_biased_mf(USERS, ITEMS, settings, 1, 3.0, feedback=given)


def test_more_items_than_float32_counts_are_refused() -> None:
    histories = ImplicitFeedback(np.zeros((USERS, 2), np.int32), np.ones((USERS, 2), np.float32))
    settings = BiasedMFSettings(implicit_items=2, embedding_size=1, item_bias=False)
    with pytest.raises(BadSettings, match="at most 16,777,215 items, and there are 16,777,216"):
        build_biased_mf(USERS, MOST_ITEMS, settings, 1, 3.0, feedback=histories)
