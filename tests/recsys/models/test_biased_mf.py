"""Mean, biases and factors."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from recsys.models.biased_mf import build_biased_mf
from recsys.models.serialization import load_model, save_model
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


def test_histories_without_factors_are_refused() -> None:
    with pytest.raises(ValidationError, match="implicit both needs factors, which embedding_size 0 leaves out"):
        BiasedMFSettings(embedding_size=0, implicit="both")
    assert not BiasedMFSettings(embedding_size=0).fits_itself


def test_the_former_settings_of_implicit_feedback_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="implicit_items"):
        BiasedMFSettings.model_validate({"implicit_items": 20})
