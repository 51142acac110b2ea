"""A model that comes to vectors and biases predicts from its tables what Keras predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.errors import BadIds
from recsys.models.biased_mf import build_biased_mf
from recsys.models.factor_model import factor_model, factors_of
from recsys.models.factors import Factors, deviations
from recsys.models.keras_predictor import FittedFactors, KerasPredictor, load_keras
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.settings import BiasedMFSettings, DNNSettings, MFSettings, TunedDNNSettings

USERS, ITEMS, MEAN = 7, 9, 3.5


def random_factors(size: int) -> Factors:
    random = np.random.default_rng(size)
    user, item = (random.normal(size=(rows, size)).astype(np.float32) for rows in (USERS, ITEMS))
    user_bias, item_bias = (random.normal(size=rows).astype(np.float32) for rows in (USERS, ITEMS))
    return Factors(user, item, user_bias, item_bias, MEAN)


def biased(**settings: Any) -> keras.Model:
    return build_biased_mf(USERS, ITEMS, BiasedMFSettings.model_validate(settings), 1, MEAN)


LINEAR = {
    "factors": factor_model(random_factors(5), "towers"),
    "biases": factor_model(random_factors(0), "autorec"),
    "mf": build_mf(USERS, ITEMS, MFSettings(embedding_size=4), 1),
    "mf_tuned": biased(embedding_size=3),
    "one bias": biased(embedding_size=3, user_bias=False),
    "no biases": biased(embedding_size=3, user_bias=False, item_bias=False),
    "no factors": biased(embedding_size=0),
}
DEEP = {
    "dnn": build_dnn(USERS, ITEMS, DNNSettings(embedding_size=4, units=(3,)), 1),
    "dnn_tuned": build_deep(
        USERS, ITEMS, TunedDNNSettings(embedding_size=4, units=(3,), biases=True, dot_factors=5), 1, MEAN
    ),
}


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_tables_predict_what_keras_predicts(name: str, standardised: bool) -> None:
    model = LINEAR[name]
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weights.shape) for weights in model.get_weights()])
    assert factors_of(model) is not None
    predictor = KerasPredictor(model).rescaled(2.0, 1.0) if standardised else KerasPredictor(model)
    user, item = (codes.ravel().astype(np.int32) for codes in np.mgrid[:USERS, :ITEMS])
    expected = np.asarray(predictor.model([user[:, None], item[:, None]]))[:, 0]
    np.testing.assert_allclose(predictor.predict(user, item), expected, rtol=1e-5, atol=1e-5)


def test_fitted_tables_predict_the_bits_of_the_keras_model_that_is_saved(tmp_path: Path) -> None:
    user, item = (codes.ravel().astype(np.int32) for codes in np.mgrid[:USERS, :ITEMS])
    for predictor in (FittedFactors(random_factors(2), "mf_tuned", 7), FittedFactors(random_factors(0), "autorec", 7)):
        for fitted in (predictor, predictor.rescaled(2.0, 1.0).rescaled(0.5, 3.0)):
            fitted.save(tmp_path / "model.keras")
            loaded = load_keras(tmp_path / "model.keras")
            assert np.array_equal(fitted.predict(user, item), loaded.predict(user, item))
            assert (fitted.parameters, fitted.units) == (7, loaded.units)


@pytest.mark.parametrize("name", DEEP)
def test_a_network_has_no_such_tables(name: str) -> None:
    assert factors_of(DEEP[name]) is None


@pytest.mark.parametrize(("user", "item"), [(USERS, 0), (0, ITEMS), (-1, 0)])
def test_a_code_that_no_table_has_is_refused(user: int, item: int) -> None:
    with pytest.raises(BadIds, match="codes run from 0 to"):
        deviations(random_factors(2), np.array([0, user], np.int32), np.array([0, item], np.int32))
