"""Ratings and settings at the edge of arithmetic: a sane model or a sentence, never a silent NaN."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from recsys.backend import keras
from recsys.errors import BadSettings, TrainingDiverged
from recsys.models.biased_mf import build_biased_mf
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.models.specs import MODEL
from recsys.settings import BiasedMFSettings, DNNSettings, EmbeddingSettings, Engine, MFSettings, TunedDNNSettings
from recsys.training.fit import FitData
from recsys.training.train import train
from tests.factories import SMALL_MODELS, small_settings
from tests.faults.conftest import Tell
from tests.interrupting import config
from tests.processes import ROOT, PrefectServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

USERS, ITEMS, ROWS, TRAINED = 20, 30, 600, 500
EPOCHS = 3

random = np.random.default_rng(0)
user, item = (random.integers(size, size=ROWS).astype(np.int32) for size in (USERS, ITEMS))

RATINGS: dict[str, npt.NDArray[np.floating]] = {
    "constant": np.full(ROWS, 3.0),
    "zeros": np.zeros(ROWS),
    "around 1e6": random.normal(1e6, 10.0, ROWS),
    "from -1e15 to 1e15": random.uniform(-1e15, 1e15, ROWS),
    "below 1e-30": random.uniform(0.0, 1e-30, ROWS),
    "one that is not the others": np.where(np.arange(ROWS) == 0, 1e6, 1.0),
}

LEARNING_RATES = (1e-3, 10.0)

Build = Callable[[Any, float], keras.Model]

MODELS: dict[str, tuple[type[EmbeddingSettings], Build]] = {
    "mf": (MFSettings, lambda settings, mean: build_mf(USERS, ITEMS, settings, 1)),
    "tuned mf": (BiasedMFSettings, lambda settings, mean: build_biased_mf(USERS, ITEMS, settings, 1, mean)),
    "dnn": (DNNSettings, lambda settings, mean: build_dnn(USERS, ITEMS, settings, 1)),
    "tuned dnn": (TunedDNNSettings, lambda settings, mean: build_deep(USERS, ITEMS, settings, 1, mean)),
}

FURTHER: dict[str, dict[str, Any]] = {
    "tuned dnn": {"biases": True, "dot_factors": 4, "batch_normalisation": True, "units": (8, 8)},
    "dnn": {"units": (8, 8)},
}


def fitted(model: str, ratings: npt.NDArray[np.floating], engine: Engine, learning_rate: float) -> str:
    """Train, and return what came of it: "diverged" with a sentence, or "sane"."""
    data = FitData(user, item, ratings.astype(np.float32), np.arange(TRAINED), np.arange(TRAINED, ROWS))
    kind, build = MODELS[model]
    settings = kind(epochs=EPOCHS, learning_rate=learning_rate, embedding_size=8, **FURTHER.get(model, {}))
    built = build(settings, data.mean)
    sentence = f"at learning rate {learning_rate:g}; try a smaller learning rate"
    try:
        fit = train(built, data, settings, 1, engine=engine)
    except TrainingDiverged as error:
        return "diverged" if sentence in str(error) else str(error)
    assert np.isfinite([*fit.loss, *fit.val_loss]).all()
    assert np.isfinite(KerasPredictor(built).predict(user, item)).all()
    return "sane"


@pytest.mark.quick
@pytest.mark.parametrize("model", MODELS)
def test_a_training_ends_sane_or_with_a_sentence(model: str, tell: Tell) -> None:
    found = {
        (name, learning_rate): fitted(model, ratings, "compiled", learning_rate)
        for name, ratings in RATINGS.items()
        for learning_rate in LEARNING_RATES
    }
    ends = list(found.values())
    assert set(ends) <= {"sane", "diverged"}
    assert {found[name, 1e-3] for name in ("constant", "zeros", "around 1e6")} == {"sane"}
    tell(
        f"{model} on {len(RATINGS)} kinds of ratings at learning rates {LEARNING_RATES}",
        f"{ends.count('sane')} sane, {ends.count('diverged')} with a sentence, no silent NaN",
    )


@pytest.mark.parametrize("model", MODELS)
def test_kerass_own_fit_does_no_worse(model: str, tell: Tell) -> None:
    ends = [fitted(model, ratings, "keras", 10.0) for ratings in RATINGS.values()]
    assert set(ends) <= {"sane", "diverged"}
    tell(
        f"the same with engine keras at learning rate {10.0}",
        f"{model}: {ends.count('sane')} sane, {ends.count('diverged')} with a sentence",
    )


@pytest.fixture(params=["float16", "mixed_float16"])
def half_precision(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have the user's Keras in half precision."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if request.param == "float16":
        keras.config.set_floatx("float16")
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.quick
@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("model", MODELS)
def test_half_precision_is_refused_with_a_sentence(model: str, engine: Engine, half_precision: str, tell: Tell) -> None:
    with pytest.raises(BadSettings, match=rf"computes in {half_precision}, not in float32; set Keras to float32"):
        fitted(model, RATINGS["constant"], engine, 1e-3)
    tell(f"{model}, engine {engine}, Keras set to {half_precision}", "refused with a sentence")


class Words(HTMLParser):
    """The text of a page, without its styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += data.split()


NO_NUMBERS = {"nan", "inf", "-inf", "−inf"}

TABLES: dict[str, Callable[[np.random.Generator], npt.NDArray[np.floating]]] = {
    "one rating value only": lambda random: np.full(ROWS, 4.0),
    "ratings around 1e6": lambda random: random.normal(1e6, 10.0, ROWS).round(2),
    "ratings of ±1e15": lambda random: random.choice([-1e15, 1e15], ROWS),
    "ratings below 1e-30": lambda random: random.uniform(0.0, 1e-30, ROWS),
}


@pytest.mark.parametrize("changes", [{}, {"learning_rate": 10.0}], ids=["as usual", "learning rate 10"])
@pytest.mark.parametrize("table", TABLES)
def test_a_whole_run_reports_numbers_only(
    table: str, changes: dict[str, Any], tmp_path: Path, server: PrefectServer, tell: Tell
) -> None:
    ratings = tmp_path / "ratings.csv"
    values = TABLES[table](np.random.default_rng(1))
    rows = [f"{u},{i},{rating!r}" for u, i, rating in zip(user, item, values.tolist(), strict=True)]
    ratings.write_text("\n".join(["user,item,rating", *rows]) + "\n")
    models = {
        name: small | {field: value for field, value in changes.items() if field in MODEL[name].settings.model_fields}
        for name, small in SMALL_MODELS.items()
    }
    settings = small_settings(ratings, tmp_path, **models)
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "flows/compare.py", *config(settings, tmp_path / "run.yaml")],
        cwd=ROOT,
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
    )
    said = run.stdout + run.stderr
    assert run.returncode in {0, 1}, said
    assert "Traceback" not in said
    assert "Warning" not in said
    report = tmp_path / "reports" / "run"
    document = json.loads((report / "comparison.json").read_text(), parse_constant=_refuse)
    scored = [model for model in document["models"] if model["mse"] is not None]
    assert all(math.isfinite(model["mse"]) for model in [*scored, *document["baselines"]])
    page = Words()
    page.feed((report / "report.html").read_text(encoding="utf-8"))
    assert NO_NUMBERS & {word.strip("(),.;:±").lower() for word in page.words} == set()
    failed = [line for line in said.splitlines() if line.startswith("Failed:")]
    tell(f"a run on {table} {changes or ''}", f"{len(scored)} models scored {' '.join(failed)}")


def _refuse(constant: str) -> None:
    raise AssertionError(f"comparison.json holds {constant}")
