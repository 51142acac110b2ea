"""Exports predict what the winner predicts, in its ids, and stock Keras does so with the snippet of the docs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from recsys.backend import tensorflow
from recsys.errors import BadSettings, ExportFailed
from recsys.models.bayes_mf import BayesianFactors, Draws
from recsys.models.factor_model import factor_model
from recsys.models.factors import Factors
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.neumf import build_deep
from recsys.models.predictor import SavedPredictor
from recsys.models.towers import TowersPredictor, UserHistories, build_tower
from recsys.settings import TunedDNNSettings
from recsys.winner import export as exporting
from recsys.winner.export import export
from recsys.winner.recommender import Recommender
from tests.made_winners import FACTORS, HIGHEST, ITEMS, LOWEST, USERS, made_winner

ROOT = Path(__file__).parents[3]
COMPRESSION = "These are 2 of 3 factors: their MSE is 104.2% of that of the mean."
RESCALING = 0.4, 1.5
KNOWN_USERS, KNOWN_ITEMS = [10, 20, 30, 40, 50], list(range(100, 108))
PAIRS = [(user, item) for user in KNOWN_USERS for item in KNOWN_ITEMS]
NO_NETWORK = ("Failed to fetch", "dns error", "error sending request", "the network was disabled")
FEWER = Factors(FACTORS.user[:, :2], FACTORS.item[:, :2], FACTORS.user_bias, FACTORS.item_bias, 0.0)


def factors() -> SavedPredictor:
    return KerasPredictor(factor_model(FACTORS, "mf_tuned"))


def biases() -> SavedPredictor:
    return KerasPredictor(factor_model(FACTORS._replace(user=FACTORS.user[:, :0], item=FACTORS.item[:, :0]), "autorec"))


def network() -> SavedPredictor:
    settings = TunedDNNSettings(
        embedding_size=4, units=(3,), biases=True, dot_factors=5, batch_normalisation=True, dropout=0.3
    )
    model = build_deep(USERS, ITEMS, settings, 1, 3.0)
    random = np.random.default_rng(5)
    model.set_weights([np.abs(random.normal(0.2, 0.2, weights.shape)) for weights in model.get_weights()])
    return KerasPredictor(model)


def bayesian() -> SavedPredictor:
    draws = Draws(
        np.zeros((1, USERS, 3), np.float16),
        np.zeros((1, ITEMS, 3), np.float16),
        np.ones((1, USERS), np.float32),
        np.ones((1, ITEMS), np.float32),
    )
    compressed = KerasPredictor(factor_model(FEWER, "bayes_mf"))
    return BayesianFactors(FACTORS._replace(mean=0.0), lambda: compressed, draws, COMPRESSION, 7)


def towers() -> SavedPredictor:
    kernels, shifts, backs = (np.zeros(shape, np.float32) for shape in ((0, 3, 2), (0, 2), (0, 2, 3)))
    tower = build_tower(kernels, shifts, backs, 0.0, 1, "user_tower")
    histories = UserHistories(np.zeros((ITEMS, 1, 3), np.float32), np.zeros(ITEMS, np.float32), 1.0)
    return TowersPredictor(KerasPredictor(factor_model(FACTORS, "towers")), tower, histories)


MADE: dict[str, Callable[[], SavedPredictor]] = {
    "mf_tuned": factors,
    "autorec": biases,
    "dnn_tuned": network,
    "bayes_mf": bayesian,
    "towers": towers,
}


def winner(tmp_path: Path, name: str, text_ids: bool = False) -> Path:
    return made_winner(tmp_path / "winner", MADE[name]().rescaled(*RESCALING), name, text_ids)


def predicted(folder: Path, pairs: list[tuple[int, int]] = PAIRS) -> npt.NDArray[np.float32]:
    return Recommender.load(folder).predict(*zip(*pairs, strict=True))


def by_stock_model(folder: Path) -> npt.NDArray[np.float64]:
    stock = Recommender.load(folder).model
    model = stock.compressed() if isinstance(stock, BayesianFactors) else stock
    user, item = (np.array(codes, np.int32) for codes in zip(*((u // 10 - 1, i - 100) for u, i in PAIRS), strict=True))
    return np.clip(model.predict(user, item), LOWEST, HIGHEST)


def numbers(folder: Path, number: str) -> list[npt.NDArray[np.int32]]:
    """Codes or rows of PAIRS by the exported ids."""
    tables = [pd.read_parquet(folder / name).set_index("id") for name in ("users.parquet", "items.parquet")]
    assert [table.index.tolist() for table in tables] == [KNOWN_USERS, KNOWN_ITEMS]
    assert tables[1]["title"].dropna().tolist() == [f"title {code}" for code in (1, 3, 5, 7)]
    users, items = zip(*PAIRS, strict=True)
    return [table.loc[list(ids), number].to_numpy(np.int32) for table, ids in zip(tables, (users, items), strict=True)]


@pytest.mark.parametrize("name", ["mf_tuned", "dnn_tuned", "bayes_mf", "towers"])
def test_a_saved_model_predicts_what_the_stock_model_does(tmp_path: Path, name: str) -> None:
    folder, out = winner(tmp_path, name), tmp_path / "exported"
    said = export(folder, "tf", out)
    user, item = numbers(out, "code")
    loaded = tensorflow.saved_model.load(str(out / "saved_model"))
    found = np.clip(np.asarray(loaded.serve([user[:, None], item[:, None]]))[:, 0], LOWEST, HIGHEST)
    np.testing.assert_allclose(found, by_stock_model(folder), atol=1e-5)
    assert len(set(found)) > 10
    assert (COMPRESSION in said) == (name == "bayes_mf")
    assert ("final vectors" in said) == (name == "towers")
    facts = (out / "README.md").read_text()
    assert "clip predictions to 1.0 and 5.0" in facts
    assert "int32 of shape (pairs, 1)" in facts
    assert ("`user_input_dnn`" if name == "dnn_tuned" else "`user_input`") in facts
    assert {path.name for path in tmp_path.iterdir()} == {"winner", "exported"}


@pytest.mark.parametrize("name", ["mf_tuned", "dnn_tuned", "bayes_mf", "autorec"])
def test_a_model_of_onnx_predicts_what_the_stock_model_does(tmp_path: Path, name: str) -> None:
    for package in exporting.ONNX_PACKAGES:
        pytest.importorskip(package, reason="the extra export is not installed")
    import onnxruntime

    folder, out = winner(tmp_path, name), tmp_path / "exported"
    export(folder, "onnx", out)
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = [tensor.name for tensor in session.get_inputs()]
    found = session.run(None, dict(zip(inputs, (codes[:, None] for codes in numbers(out, "code")), strict=True)))[0]
    np.testing.assert_allclose(np.clip(found[:, 0], LOWEST, HIGHEST), by_stock_model(folder), atol=1e-5)
    facts = (out / "README.md").read_text()
    assert f"`{inputs[0]}` and `{inputs[1]}`" in facts


@pytest.mark.parametrize("name", ["mf_tuned", "bayes_mf", "towers"])
def test_inner_products_of_vectors_are_the_ratings_of_the_whole_model(tmp_path: Path, name: str) -> None:
    folder, out = winner(tmp_path, name), tmp_path / "exported"
    said = export(folder, "vectors", out)
    users, items = (np.load(out / f"{side}_vectors.npy") for side in ("user", "item"))
    assert users.shape == (5, 5)
    assert items.shape == (8, 5)
    assert users.dtype == items.dtype == np.float32
    user, item = numbers(out, "row")
    found = (users @ items.T)[user, item]
    np.testing.assert_allclose(np.clip(found, LOWEST, HIGHEST), predicted(folder), atol=1e-5)
    assert COMPRESSION not in said
    np.testing.assert_array_equal(items[:, :3], FACTORS.item[:8])


@pytest.mark.parametrize("name", ["dnn_tuned", "autorec"])
def test_a_model_without_vectors_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportFailed, match="has no vectors"):
        export(winner(tmp_path, name), "vectors", tmp_path / "exported")
    assert {path.name for path in tmp_path.iterdir()} == {"winner"}


def test_an_export_that_predicts_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "RESCALED", "another layer")
    with pytest.raises(ExportFailed, match="off those of the model"):
        export(winner(tmp_path, "mf_tuned"), "vectors", tmp_path / "exported")
    assert {path.name for path in tmp_path.iterdir()} == {"winner"}


def test_a_format_that_does_not_exist_is_told_and_paths_may_be_texts(tmp_path: Path) -> None:
    folder = winner(tmp_path, "mf_tuned")
    with pytest.raises(BadSettings, match="no format 'pickle': choose onnx, tf, vectors"):
        export(folder, "pickle", tmp_path / "exported")  # type: ignore[arg-type]
    assert export(str(folder), "vectors", str(tmp_path / "exported")).startswith(str(tmp_path / "exported"))


def test_missing_packages_are_named_with_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in exporting.ONNX_PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportFailed, match=r"onnx, onnxruntime and tf2onnx: pip install 'mf-or-dnn\[export\]'"):
        export(winner(tmp_path, "mf_tuned"), "onnx", tmp_path / "exported")


@pytest.mark.parametrize(("place", "said"), [("winner", "exists"), ("nowhere/exported", "does not exist")])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, place: str, said: str) -> None:
    folder = winner(tmp_path, "mf_tuned")
    with pytest.raises(BadSettings, match=said):
        export(folder, "vectors", tmp_path / place)
    assert len(predicted(folder)) == len(PAIRS)


def snippet_of_the_docs(tmp_path: Path) -> tuple[str, list[float]]:
    """The snippet for a network and for two towers, without this project, and the two predictions that it prints."""
    page = (ROOT / "docs" / "winner.md").read_text(encoding="utf-8").partition("## With stock Keras alone")[2]
    snippet = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    assert set(re.findall(r"^(?:import|from) (\w+)", snippet, re.MULTILINE)) == {"json", "pathlib", "keras", "pandas"}
    shown = re.findall(r"^folder, user, item = .*", snippet, re.MULTILINE)
    assert len(shown) == 1
    code = "import sys; sys.modules |= dict.fromkeys(('recsys', 'tasks', 'flows'))\n"
    expected = []
    for name, text_ids, user, item in (("dnn_tuned", False, 20, 104), ("towers", True, "u20", "i103")):
        folder = made_winner(tmp_path / name, MADE[name]().rescaled(*RESCALING), name, text_ids)
        given = f"folder, user, item = Path({str(folder)!r}), {user!r}, {item!r}"
        code += snippet.replace(shown[0], given)
        expected.append(float(Recommender.load(folder).predict([user], [item])[0]))
    assert LOWEST < min(expected) < max(expected) < HIGHEST
    return code, expected


def test_the_snippet_of_the_docs_predicts_with_stock_keras_alone(tmp_path: Path) -> None:
    code, expected = snippet_of_the_docs(tmp_path)
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], expected, atol=1e-5)


@pytest.mark.slow
def test_the_snippet_predicts_with_the_oldest_keras_that_the_docs_name_and_another_backend(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "winner.md").read_text(encoding="utf-8").partition("## With stock Keras alone")[2]
    oldest = re.findall(r"Keras (\d+\.\d+) or newer", page)
    assert len(oldest) == 1
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        pytest.skip("uv, which installs an older Keras, is not here")
    same = [f"{name}=={version(name)}" for name in ("numpy", "pandas", "pyarrow", "scipy")]
    packages = [f"keras=={oldest[0]}.0", "jax==0.10.2", "packaging", *same]
    run = [uv, "run", "--no-project", "--isolated", "--python", sys.executable]
    run += [part for package in packages for part in ("--with", package)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}

    def python(code: str) -> subprocess.CompletedProcess[str]:
        command = [*run, "python", "-I", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=900)

    installed = python("import keras; print(keras.__version__)")
    if installed.returncode and any(word in installed.stderr for word in NO_NETWORK):
        pytest.skip(f"Keras {oldest[0]} cannot be installed: there is no network")
    assert installed.stdout == f"{oldest[0]}.0\n", installed.stderr
    code, expected = snippet_of_the_docs(tmp_path)
    done = python(code)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], expected, atol=1e-5)
