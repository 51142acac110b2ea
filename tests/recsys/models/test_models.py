"""The notebook's models, layer for layer."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.models.serialization import LATER, load_model, save_model, summary_of
from recsys.settings import DNNSettings, MFSettings, TunedDNNSettings

USERS, ITEMS = 702, 8227


def layers(model: keras.Model) -> list[tuple[str, str]]:
    return [(layer.name, type(layer).__name__) for layer in model.layers]


def test_mf_has_the_notebooks_layers_and_parameters() -> None:
    model = build_mf(USERS, ITEMS, MFSettings(), seed=1)
    assert layers(model) == [
        ("user_input", "InputLayer"),
        ("movie_input", "InputLayer"),
        ("user_embedding", "Embedding"),
        ("movie_embedding", "Embedding"),
        ("dot_product", "Dot"),
        ("dot_product_flat", "Flatten"),
    ]
    assert model.count_params() == 446_450


def test_dnn_has_the_notebooks_layers_and_parameters() -> None:
    model = build_dnn(USERS, ITEMS, DNNSettings(), seed=1)
    assert layers(model) == [
        ("user_input_dnn", "InputLayer"),
        ("movie_input_dnn", "InputLayer"),
        ("user_embedding_dnn", "Embedding"),
        ("movie_embedding_dnn", "Embedding"),
        ("user_flat_dnn", "Flatten"),
        ("movie_flat_dnn", "Flatten"),
        ("concatenated_dnn", "Concatenate"),
        ("dense1", "Dense"),
        ("dense2", "Dense"),
        ("output_dnn", "Dense"),
    ]
    assert model.count_params() == 476_019


def test_tuned_dnn_drops_out_after_its_first_layer_only() -> None:
    model = build_dnn(USERS, ITEMS, TunedDNNSettings(), seed=1)
    names = [layer.name for layer in model.layers]
    assert names[-4:] == ["dense1", "dropout1", "dense2", "output_dnn"]
    assert model.get_layer("dropout1").rate == pytest.approx(0.3)
    assert model.count_params() == 476_019


def test_units_and_embedding_size_are_settings() -> None:
    model = build_dnn(4, 5, DNNSettings(embedding_size=3, units=(8, 4, 2), dropout=0.1), seed=1)
    assert [layer.name for layer in model.layers if layer.name.startswith(("dense", "dropout"))] == [
        *("dense1", "dropout1", "dense2", "dropout2", "dense3")
    ]
    assert model.count_params() == 9 * 3 + (6 * 8 + 8) + (8 * 4 + 4) + (4 * 2 + 2) + 3


def test_the_seed_decides_every_weight() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        return [np.asarray(weight) for weight in build_dnn(20, 30, DNNSettings(), seed).get_weights()]

    assert all(np.array_equal(one, two) for one, two in zip(weights(1), weights(1), strict=True))
    assert not np.array_equal(weights(1)[0], weights(2)[0])


def test_equal_models_are_equal_files_which_stock_keras_opens(tmp_path: Path) -> None:
    for name in ("one", "two"):
        model = build_mf(20, 30, MFSettings(), seed=1)
        model.compile(optimizer="adam", loss="mean_squared_error")
        model.fit([np.array([[3]]), np.array([[7]])], np.array([[4.0]]), verbose=0)
        save_model(model, tmp_path / f"{name}.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    pairs = [np.array([[3]]), np.array([[7]])]
    stock = keras.models.load_model(tmp_path / "one.keras")
    assert np.array_equal(stock.predict(pairs, verbose=0), load_model(tmp_path / "two.keras").predict(pairs, verbose=0))
    assert {entry.date_time for entry in zipfile.ZipFile(tmp_path / "one.keras").infolist()} == {(1980, 1, 1, 0, 0, 0)}


def without_addresses(config: dict[str, Any]) -> str:
    return re.sub(r'"shared_object_id": \d+', "", json.dumps(config))


def test_a_file_leaves_out_what_older_versions_of_keras_do_not_know_and_only_that(tmp_path: Path) -> None:
    settings = TunedDNNSettings(embedding_size=2, units=(3,), batch_normalisation=True, biases=True, dot_factors=2)
    for name, model in (("deep", build_deep(4, 5, settings, 1, 3.0)), ("mf", build_mf(4, 5, MFSettings(), 1))):
        path = tmp_path / f"{name}.keras"
        save_model(model, path)
        written = zipfile.ZipFile(path).read("config.json").decode()
        assert not [setting for setting in LATER if f'"{setting}"' in written]
        for layer, loaded in zip(model.layers, load_model(path).layers, strict=True):
            assert without_addresses(loaded.get_config()) == without_addresses(layer.get_config())
    code = keras.Input(shape=(1,), dtype="int32", name="code", optional=True)
    save_model(keras.Model(code, keras.layers.Embedding(3, 2)(code)), tmp_path / "other.keras")
    assert '"optional": true' in zipfile.ZipFile(tmp_path / "other.keras").read("config.json").decode()


def test_the_summary_names_layers_shapes_and_parameters() -> None:
    summary = summary_of(build_mf(USERS, ITEMS, MFSettings(), seed=1))
    assert "movie_embedding (Embedding)" in summary
    assert "411,350" in summary
    assert "user_embedding, movie_embedding" in summary
    assert summary.endswith("parameters in all: 446,450")
