"""The deep family: the notebook's network, and everything that may stand beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.models.serialization import load_model, save_model
from recsys.settings import TunedDNNSettings

USERS, ITEMS = 6, 7
EVERYTHING: dict[str, Any] = {
    "activation": "silu",
    "input_dropout": 0.2,
    "batch_normalisation": True,
    "l2_embeddings": 0.1,
    "l2_kernels": 0.2,
    "biases": True,
    "l2_biases": 0.3,
    "dot_factors": 3,
    "l2_dot": 0.4,
}


def deep(mean: float = 3.5, **settings: Any) -> keras.Model:
    small = {"embedding_size": 4, "units": (5, 3), **settings}
    return build_deep(USERS, ITEMS, TunedDNNSettings.model_validate(small), seed=1, mean=mean)


def predicted(model: keras.Model, user: list[int], item: list[int]) -> np.ndarray:
    return np.asarray(model([np.array(user)[:, None], np.array(item)[:, None]]))[:, 0]


def architecture(model: keras.Model) -> list[Any]:
    return [(type(layer).__name__, layer.get_config()) for layer in model.layers]


@pytest.mark.parametrize("settings", [{}, {"units": (8, 4, 2), "dropout": 0.1}, {"units": (8,), "dropout": 0.0}])
def test_by_default_it_is_the_notebooks_network_weight_for_weight(settings: dict[str, Any]) -> None:
    whole = TunedDNNSettings.model_validate(settings)
    ours, notebooks = build_deep(20, 30, whole, 1, mean=3.5), build_dnn(20, 30, whole, 1, name="dnn_tuned")
    assert architecture(ours) == architecture(notebooks)
    assert ours.name == notebooks.name
    assert all(np.array_equal(*pair) for pair in zip(ours.get_weights(), notebooks.get_weights(), strict=True))


def test_biases_and_dot_product_are_added_to_the_network() -> None:
    model, network = deep(biases=True, dot_factors=3), deep()
    assert predicted(model, [0], [0]) != pytest.approx(predicted(network, [0], [0]))
    for name, rows in (("user_bias", USERS), ("movie_bias", ITEMS)):
        model.get_layer(name).set_weights([np.arange(rows, dtype=np.float32)[:, None]])
    factors = [np.asarray(model.get_layer(name).weights[0]) for name in ("user_factors", "movie_factors")]
    user, item = [2, 5, 0], [6, 1, 0]
    dot = (factors[0][user] * factors[1][item]).sum(axis=1)
    expected = predicted(network, user, item) + 3.5 + np.array(user) + np.array(item) + dot
    assert predicted(model, user, item) == pytest.approx(expected, rel=1e-5)


def test_the_mean_belongs_to_the_biases() -> None:
    assert predicted(deep(mean=1.0), [1], [2]) == predicted(deep(mean=9.0), [1], [2])
    with_biases = [predicted(deep(mean=mean, biases=True), [1], [2]) for mean in (1.0, 9.0)]
    assert with_biases[1] - with_biases[0] == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("setting", "layers"),
    [
        ({"biases": True}, {"user_bias", "user_bias_flat", "movie_bias", "movie_bias_flat", "sum", "rating"}),
        ({"dot_factors": 2}, {"user_factors", "movie_factors", "dot_product", "dot_product_flat", "sum"}),
        ({"input_dropout": 0.1}, {"input_dropout"}),
        ({"batch_normalisation": True}, {"normalised1", "activation1", "normalised2", "activation2"}),
    ],
)
def test_each_addition_brings_its_own_layers_only(setting: dict[str, Any], layers: set[str]) -> None:
    with_it, without = ({layer.name for layer in model.layers} for model in (deep(**setting), deep()))
    assert with_it - without == layers
    assert without <= with_it


def test_batch_normalisation_stands_before_the_activation_and_takes_the_dense_biases_place() -> None:
    model = deep(batch_normalisation=True, activation="tanh", dropout=0.3)
    names = [layer.name for layer in model.layers]
    assert names[-9:] == [
        *("concatenated_dnn", "dense1", "normalised1", "activation1", "dropout1"),
        *("dense2", "normalised2", "activation2", "output_dnn"),
    ]
    assert [model.get_layer(name).use_bias for name in ("dense1", "dense2", "output_dnn")] == [False, False, True]
    assert [model.get_layer(name).activation.__name__ for name in ("dense1", "activation1")] == ["linear", "tanh"]


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "silu"])
def test_the_activation_is_that_of_the_hidden_layers(activation: str) -> None:
    model = deep(activation=activation)
    used = [model.get_layer(name).activation.__name__ for name in ("dense1", "dense2", "output_dnn")]
    assert used == [activation, activation, "linear"]


def test_penalties_land_where_they_belong() -> None:
    model = deep(**EVERYTHING)
    embeddings = {
        layer.name: layer.activity_regularizer.l2 for layer in model.layers if isinstance(layer, keras.layers.Embedding)
    }
    assert embeddings == {
        **dict.fromkeys(("user_embedding_dnn", "movie_embedding_dnn"), pytest.approx(0.1)),
        **dict.fromkeys(("user_bias", "movie_bias"), pytest.approx(0.3)),
        **dict.fromkeys(("user_factors", "movie_factors"), pytest.approx(0.4)),
    }
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.kernel_regularizer.l2 for layer in dense] == pytest.approx([0.2] * 3)


def test_with_everything_it_opens_with_stock_keras_and_equal_models_are_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_model(deep(**EVERYTHING), tmp_path / f"{name}.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    user, item = [0, 5], [6, 2]
    assert np.array_equal(
        predicted(load_model(tmp_path / "one.keras"), user, item), predicted(deep(**EVERYTHING), user, item)
    )
