"""The loop of matrix factorisation: which models take it, and that it computes what the XLA program computes."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.models.biased_mf import build_biased_mf
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.settings import BiasedMFSettings, DNNSettings, EmbeddingSettings, MFSettings
from recsys.training import checkpoint as checkpoints
from recsys.training.compiled import engine
from recsys.training.compiled.engine import train_compiled
from recsys.training.compiled.graph import parse_model
from recsys.training.fit import Fit, FitData

USERS, ITEMS, SEED = 30, 50, 5
layers, regularizers = keras.layers, keras.regularizers


def some_ratings(rows: int = 700) -> FitData:
    """Popular items, which every batch has more than once, and rare ones that miss hundreds of steps."""
    random = np.random.default_rng(1)
    user, item = random.integers(USERS, size=rows), np.minimum(random.geometric(0.1, rows), ITEMS) - 1
    rating = 3 + random.normal(size=USERS)[user] + random.normal(size=ITEMS)[item]
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    return FitData(*columns, np.arange(rows - 90), np.arange(rows - 90, rows))


def tuned(**changes: Any) -> keras.Model:
    settings = BiasedMFSettings.model_validate({"implicit": "none", "embedding_size": 5, **changes})
    return build_biased_mf(USERS, ITEMS, settings, SEED, mean=3.2)


def odd(change: str = "") -> keras.Model:
    """Matrix factorisation with the item's tables first, L1 and L2, and one `change` that makes it another model."""
    user, item = (keras.Input((1,), dtype="int32", name=name) for name in ("user", "item"))

    def table(rows: int, width: int, seed: int, penalty: Any = None) -> keras.layers.Embedding:
        start = keras.initializers.RandomUniform(seed=seed)
        return layers.Embedding(rows, width, embeddings_initializer=start, activity_regularizer=penalty)

    q, c = table(ITEMS, 3, 1, regularizers.L1L2(0.01, 0.03))(item), table(ITEMS, 1, 2, "l2")(item)
    b, p = table(USERS, 1, 3, regularizers.L1(0.02))(user), table(USERS, 3, 4)(user)
    dot = layers.Dot(axes=2, normalize=change == "cosine")([q, layers.Dropout(0.1)(p) if change == "dropout" else p])
    parts = [c, dot, b]
    if change == "two products":
        parts.append(layers.Dot(axes=2)([table(USERS, 2, 5)(user), table(ITEMS, 2, 6)(item)]))
    if change == "two biases":
        parts.append(table(USERS, 1, 7)(user))
    if change == "used twice":
        parts.append(b)
    if change == "one side":
        parts[1] = layers.Dot(axes=2)([p, table(USERS, 3, 8)(user)])
        parts.append(layers.Dense(1)(q))
    if change == "wide":
        parts = [layers.Dense(1)(q), layers.Dot(axes=2)([q, p]), layers.Add()([b, c])]
    sum_ = layers.Flatten()(layers.Add()(parts))
    if change == "tanh":
        sum_ = layers.Activation("tanh")(sum_)
    return keras.Model([user, item], layers.Rescaling(2.0 if change == "scaled" else 1.0, 3.0)(sum_), name="odd")


BUILDS: dict[str, Callable[[], keras.Model]] = {
    "mf": lambda: build_mf(USERS, ITEMS, MFSettings(embedding_size=7), SEED),
    "tuned": tuned,
    "biases": lambda: tuned(embedding_size=0),
    "one bias": lambda: tuned(user_bias=False),
    "no bias": lambda: tuned(user_bias=False, item_bias=False),
    "odd": odd,
}


def test_the_form_says_which_lookups_are_the_parts() -> None:
    anatomy = parse_model(odd())
    form = anatomy.factor_form
    assert form is not None
    assert (form.offset, form.size) == (3.0, 3)
    for side, which in ((form.user, 0), (form.item, 1)):
        assert side.factors is not None
        assert side.bias is not None
        of_factors, of_bias = anatomy.lookups[side.factors], anatomy.lookups[side.bias]
        assert (of_factors.input, of_factors.width, of_bias.input, of_bias.width) == (which, 3, which, 1)
        assert side.penalties == (of_factors.l1, of_factors.l2, of_bias.l1, of_bias.l2)
    assert form.user.penalties == pytest.approx((0.0, 0.0, 0.02, 0.0))
    assert form.item.penalties == pytest.approx((0.01, 0.03, 0.0, 0.01))


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
def test_matrix_factorisation_is_recognised(build: Callable[[], keras.Model]) -> None:
    assert parse_model(build()).factor_form is not None


@pytest.mark.parametrize(
    "change", ["cosine", "dropout", "two products", "two biases", "used twice", "one side", "wide", "tanh", "scaled"]
)
def test_another_model_is_not_taken_for_it(change: str) -> None:
    assert parse_model(odd(change)).factor_form is None


def test_a_network_is_not_taken_for_it() -> None:
    settings = DNNSettings(embedding_size=4, units=(8,))
    assert parse_model(build_dnn(USERS, ITEMS, settings, SEED)).factor_form is None


@pytest.mark.parametrize("batch", [8, 600])
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
def test_losses_and_weights_are_those_of_the_xla_program(
    build: Callable[[], keras.Model], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, settings = some_ratings(), EmbeddingSettings(epochs=3, batch_size=batch, learning_rate=0.02)
    ours, theirs = build(), build()
    fit = train_compiled(ours, data, settings, SEED)
    monkeypatch.setattr(engine, "parse_model", lambda model: replace(parse_model(model), factor_form=None))
    reference = train_compiled(theirs, data, settings, SEED)
    assert fit.loss == pytest.approx(reference.loss, rel=2e-6)
    assert fit.val_loss == pytest.approx(reference.val_loss, rel=2e-6)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def bits(model: keras.Model, fit: Fit) -> bytes:
    return b"".join(weight.tobytes() for weight in model.get_weights()) + str((fit.loss, fit.val_loss)).encode()


def test_trainings_side_by_side_give_the_bits_of_one_alone() -> None:
    data, settings = some_ratings(), EmbeddingSettings(epochs=4, batch_size=8, learning_rate=0.02)

    def run(name: str) -> bytes:
        model = BUILDS[name]()
        return bits(model, train_compiled(model, data, settings, SEED))

    alone = [run(name) for name in ("mf", "tuned")]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, ("mf", "tuned") * 2)) == alone * 2


def test_an_interrupted_training_continues_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, settings = some_ratings(), EmbeddingSettings(epochs=6, batch_size=16, learning_rate=0.02, patience=4)

    def run(model: keras.Model) -> bytes:
        return bits(model, train_compiled(model, data, settings, SEED, checkpoint=tmp_path, checkpoint_share=math.inf))

    saved: list[int] = []
    save = checkpoints.save

    def save_and_stop(*arguments: Any) -> None:
        save(*arguments)
        saved.append(1)
        if len(saved) == 3:
            raise KeyboardInterrupt

    whole = run(tuned())
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(tuned())
    assert run(tuned()) == whole
