"""What is known of a training once it has ended."""

import json
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from recsys.backend import keras
from recsys.errors import BadIds, BadSettings
from recsys.models.keras_predictor import KerasPredictor, load_keras
from recsys.models.mf import build_mf
from recsys.models.specs import MODEL, MODELS
from recsys.settings import BiasedMFSettings, Engine, MFSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_and_save, fit_model, train


def test_a_saved_training_tells_its_course_its_times_and_its_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    user, item = (random.integers(9, size=300).astype(np.int32) for _ in range(2))
    data = FitData(user, item, random.normal(size=300).astype(np.float32), np.arange(250), np.arange(250, 300))
    settings = MFSettings(epochs=3, embedding_size=4)
    before = psutil.Process().memory_info().rss / 1e6
    facts = fit_and_save(
        partial(fit_model, "mf", MODEL["mf"].build, None, 9, 9, data, settings, 1), settings, tmp_path, "model.keras"
    )
    assert facts["peak_mb"] > before / 2
    assert facts["peak_mb"] * 1e6 < psutil.virtual_memory().total
    assert datetime.fromisoformat(facts["started"]) <= datetime.fromisoformat(facts["ended"])
    assert pq.read_table(tmp_path / "history.parquet").column("loss").to_pylist() == facts["loss"]
    assert (tmp_path / "model.keras").is_file()
    assert json.loads(json.dumps(facts)) == facts


def test_ratings_of_another_scale_give_the_same_model_on_that_scale() -> None:
    random = np.random.default_rng(0)
    user, item = (random.integers(9, size=300).astype(np.int32) for _ in range(2))
    rating = random.integers(1, 11, size=300).astype(np.float32) / 2
    settings = BiasedMFSettings(epochs=3, embedding_size=4)
    found = []
    for scale, offset in ((1, 0), (20, 0), (1, -10)):
        data = FitData(user, item, (scale * rating + offset).astype(np.float32), np.arange(250), np.arange(250, 300))
        predictor, fit = fit_model(
            "mf_tuned", MODEL["mf_tuned"].build, None, 9, 9, data, settings, 1, standardised=True
        )
        found.append(((predictor.predict(user, item) - offset) / scale, np.array(fit.val_loss) / scale**2))
    for prediction, losses in found[1:]:
        np.testing.assert_allclose(prediction, found[0][0], atol=1e-5)
        np.testing.assert_allclose(losses, found[0][1], rtol=1e-6)


def test_rescaled_predictions_differ_where_standardised_ones_do_and_are_those_of_the_saved_model(
    tmp_path: Path,
) -> None:
    plain = KerasPredictor(build_mf(90, 90, MFSettings(embedding_size=4), seed=1))
    user, item = (code.ravel().astype(np.int32) for code in np.meshgrid(np.arange(90), np.arange(90)))
    expected = plain.predict(user, item)
    moved = plain.rescaled(1.06, -600.47)
    moved.save(tmp_path / "model.keras")
    for predictor in (moved, load_keras(tmp_path / "model.keras")):
        found = predictor.predict(user, item)
        np.testing.assert_array_equal(
            np.unique(found, return_inverse=True)[1], np.unique(expected, return_inverse=True)[1]
        )
        np.testing.assert_allclose(found, 1.06 * expected.astype(float) - 600.47, rtol=1e-14)
    stock = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(np.asarray(stock([user[:, None], item[:, None]]))[:, 0], found, rtol=1e-6)


def test_ratings_that_are_all_equal_are_standardised_to_0() -> None:
    code = np.zeros(4, np.int32)
    given, scale, offset = FitData(code, code, np.full(4, 3, np.float32), np.arange(4), np.arange(0)).standardised()
    assert not given.rating.any()
    assert (scale, offset) == (1.0, 3.0)


def some_data(users: int = 9, items: int = 7) -> FitData:
    random = np.random.default_rng(0)
    user, item = (random.integers(codes, size=300).astype(np.int32) for codes in (users, items))
    return FitData(user, item, random.normal(size=300).astype(np.float32), np.arange(250), np.arange(250, 300))


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize(("users", "items", "said"), [(8, 7, "to 7, as there are 8 users"), (9, 6, "are 6 items")])
def test_codes_beyond_the_tables_are_refused_by_every_engine(engine: Engine, users: int, items: int, said: str) -> None:
    settings = MFSettings(epochs=1, embedding_size=2)
    with pytest.raises(BadIds, match=f"codes run from 0 .*{said}: encode ids first"):
        train(build_mf(users, items, settings, seed=1), some_data(), settings, seed=1, engine=engine)


@pytest.mark.parametrize("name", [spec.name for spec in MODELS])
def test_codes_beyond_the_tables_are_refused_by_every_model(name: str) -> None:
    spec = MODEL[name]
    for users, items in ((8, 7), (9, 6)):
        with pytest.raises(BadIds, match="codes run from 0 to"):
            fit_model(name, spec.build, spec.fit, users, items, some_data(), spec.settings(), seed=1)


def test_an_engine_that_does_not_exist_is_told() -> None:
    settings = MFSettings(epochs=1, embedding_size=2)
    with pytest.raises(BadSettings, match="no engine 'torch': choose compiled or keras"):
        train(build_mf(9, 7, settings, seed=1), some_data(), settings, seed=1, engine="torch")  # type: ignore[arg-type]
