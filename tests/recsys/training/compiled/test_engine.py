import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.errors import BadSettings, TrainingDiverged
from recsys.memory import return_unused_memory
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.progress import silent
from recsys.seeding import epoch_order
from recsys.settings import DNNSettings, EmbeddingSettings, MFSettings, TunedDNNSettings
from recsys.training.callbacks import ProgressReporter
from recsys.training.compiled.dropout import mask, site_keys
from recsys.training.compiled.engine import train_compiled
from recsys.training.compiled.graph import parse_model
from recsys.training.compiled.program import program_for
from recsys.training.fit import Fit, FitData

USERS, ITEMS, BATCH, SEED = 9, 40, 16, 11
SETTINGS = EmbeddingSettings(epochs=3, batch_size=BATCH, learning_rate=0.01)
layers = keras.layers


def some_ratings(users: int = USERS, train: int = 250) -> FitData:
    """Ratings with repeated ids in every batch, ids that occur once, and a last batch that is not full."""
    random = np.random.default_rng(0)
    user, item = random.integers(users, size=train + 50), np.minimum(random.geometric(0.15, train + 50), ITEMS) - 1
    item[:3] = ITEMS - 1, ITEMS - 2, ITEMS - 3
    rating = 3 + random.normal(size=USERS)[user] + 0.5 * random.normal(size=ITEMS)[item]
    rows = random.permutation(train + 50)
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    return FitData(*columns, rows[:train], rows[train:])


def mf(users: int = USERS) -> keras.Model:
    return build_mf(users, ITEMS, MFSettings(embedding_size=4), SEED)


def one_user_mf() -> keras.Model:
    return mf(users=1)


def dnn(dropout: float = 0.0, name: str = "dnn", seed: int = SEED) -> keras.Model:
    return build_dnn(USERS, ITEMS, DNNSettings(embedding_size=4, units=(8, 6), dropout=dropout), seed, name)


def deep(mean: float = 3.0, **changes: Any) -> keras.Model:
    """Everything that the deep family has, but dropout."""
    everything = {
        "activation": "gelu", "batch_normalisation": True, "biases": True, "dot_factors": 3,
        **{f"l2_{part}": 0.02 for part in ("embeddings", "kernels", "biases", "dot")}, **changes,
    }  # fmt: skip
    settings = TunedDNNSettings.model_validate({"embedding_size": 4, "units": (8, 6), "dropout": 0.0, **everything})
    return build_deep(USERS, ITEMS, settings, SEED, mean)


def embedding(name: str, rows: int, width: int, l2: float) -> keras.layers.Embedding:
    start = keras.initializers.RandomUniform(seed=len(name))
    return layers.Embedding(
        rows, width, embeddings_initializer=start, activity_regularizer=keras.regularizers.L2(l2), name=name
    )


def biased_mf(l2: float = 0.02) -> keras.Model:
    user, item = (keras.Input((1,), dtype="int32", name=name) for name in ("user", "item"))
    p, q = embedding("p", USERS, 4, l2)(user), embedding("q", ITEMS, 4, l2)(item)
    b, c = embedding("b", USERS, 1, l2 / 2)(user), embedding("c", ITEMS, 1, l2 / 2)(item)
    parts = [layers.Flatten()(part) for part in (layers.Dot(axes=2)([p, q]), b, c)]
    return keras.Model([user, item], layers.Rescaling(1.0, 3.0)(layers.Add()(parts)), name="biased_mf")


def deep_with_shortcut() -> keras.Model:
    """Inputs without the axis of 1, a shared Dense, a Dropout that follows no Dense, a penalty on a kernel."""
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    p, q = layers.Embedding(USERS, 4)(user), layers.Embedding(ITEMS, 4)(item)
    shared = layers.Dense(4, activation="relu", kernel_regularizer="l2")
    hidden = layers.Dropout(0.0)(layers.Concatenate()([shared(p), shared(q), layers.Multiply()([p, q])]))
    return keras.Model([user, item], layers.Dense(1)(hidden) + layers.Dot(axes=1)([p, q]), name="deep")


def normalised_early() -> keras.Model:
    """Statistics of a batch over rows with an axis of 1, and an L1 penalty on what scales them."""
    user, item = (keras.Input((1,), dtype="int32", name=name) for name in ("user", "item"))
    p, q = layers.Embedding(USERS, 4)(user), layers.Embedding(ITEMS, 4)(item)
    p = layers.BatchNormalization(momentum=0.9, gamma_regularizer=keras.regularizers.L1(0.01))(p)
    return keras.Model([user, item], layers.Dense(1)(layers.Flatten()(layers.Concatenate()([p, q]))), name="early")


def stock_fit(model: keras.Model, data: FitData, optimizer: Any = None, eager: bool = False) -> list[list[float]]:
    """Keras's own mean squared errors: one list a while training, one after each epoch."""

    def columns(rows: npt.NDArray[np.integer]) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]:
        shape = (len(rows), *model.inputs[0].shape[1:])
        return [data.user[rows].reshape(shape), data.item[rows].reshape(shape)], data.rating[rows, None]

    model.compile(
        optimizer or keras.optimizers.Adam(0.01), "mse", metrics=["mse"], run_eagerly=eager, jit_compile=False
    )
    seen: dict[str, list[float]] = {"mse": [], "val_mse": []}
    for epoch in range(1, SETTINGS.epochs + 1):
        rows = data.train[epoch_order(len(data.train), SEED, epoch)]
        fitted = model.fit(
            *columns(rows), BATCH, shuffle=False, verbose=0, validation_data=columns(data.validation)
        ).history
        for name, losses in seen.items():
            losses += fitted[name]
    return list(seen.values())


def bits(model: keras.Model, fit: Fit) -> bytes:
    return b"".join(weight.tobytes() for weight in model.get_weights()) + str((fit.loss, fit.val_loss)).encode()


def assert_same_training(model: keras.Model, fit: Fit, stock: keras.Model, losses: list[list[float]]) -> None:
    assert fit.loss == pytest.approx(losses[0], rel=1e-4)
    assert fit.val_loss == pytest.approx(losses[1], rel=1e-4)
    assert fit.loss[-1] < 0.8 * fit.loss[0]
    for ours, theirs in zip(model.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


@pytest.mark.parametrize(
    "build",
    [
        *(mf, dnn, biased_mf),
        *(deep_with_shortcut, one_user_mf, deep, normalised_early),
    ],
)
def test_losses_and_weights_are_those_of_keras_fit(build: Callable[[], keras.Model]) -> None:
    data = some_ratings(users=1 if build is one_user_mf else USERS)
    model, stock = build(), build()
    stock.set_weights(model.get_weights())
    fit = train_compiled(model, data, SETTINGS, SEED)
    assert_same_training(model, fit, stock, stock_fit(stock, data))


class SameMask(keras.layers.Layer):  # type: ignore[misc]
    """Dropout in stock Keras, with the masks of the compiled engine."""

    def __init__(self, rate: float, **names: Any) -> None:
        super().__init__(**names)
        self.rate, self.step = rate, 0

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        self.step += 1
        key = tf.constant(site_keys(SEED, [self.rate])[0], tf.uint32)
        return x * mask(key, tf.constant(self.step), tuple(x.shape), tf.constant(self.rate))


def test_dropout_trains_as_in_keras_under_the_same_masks() -> None:
    data, model = some_ratings(), dnn(dropout=0.4)
    stock = keras.models.clone_model(
        model,
        clone_function=lambda layer: (
            SameMask(0.4) if isinstance(layer, layers.Dropout) else type(layer).from_config(layer.get_config())
        ),
    )
    stock.set_weights(model.get_weights())
    fit = train_compiled(model, data, SETTINGS, SEED)
    assert_same_training(model, fit, stock, stock_fit(stock, data, eager=True))


def test_masks_drop_the_rate_and_keep_the_mean() -> None:
    keys = site_keys(SEED, [0.3, 0.0, 0.3])[[0, 2]]
    masks = np.stack([
        mask(tf.constant(key), tf.constant(step), (64, 100), tf.constant(0.3)).numpy()
        for key, step in ((keys[0], 1), (keys[0], 2), (keys[1], 1))
    ])  # fmt: skip
    dropped = masks == 0
    assert masks[~dropped] == pytest.approx(1 / 0.7)
    assert dropped.mean(axis=(1, 2)) == pytest.approx([0.3] * 3, abs=0.02)
    assert dropped.mean(axis=1).std() < 0.075  # of 64 draws at 0.3: 0.057
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (dropped[a] & dropped[b]).mean() == pytest.approx(0.09, abs=0.015)
    assert (dropped[:, :-1] & dropped[:, 1:]).mean() == pytest.approx(0.09, abs=0.01)


def test_a_schedule_trains_as_in_keras_and_as_its_numbers_do() -> None:
    data, schedule = some_ratings(), keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.8)
    model, stock, listed = mf(), mf(), mf()
    fit = train_compiled(model, data, SETTINGS, SEED, schedule=schedule)
    assert_same_training(model, fit, stock, stock_fit(stock, data, keras.optimizers.Adam(schedule)))
    rates = [float(schedule(step)) for step in range(48)]
    assert train_compiled(listed, data, SETTINGS, SEED, schedule=rates).loss == pytest.approx(fit.loss, rel=1e-6)
    with pytest.raises(BadSettings, match="47 learning rates for 48 steps"):
        train_compiled(mf(), data, SETTINGS, SEED, schedule=rates[:47])


def test_other_numbers_and_other_names_do_not_compile_again() -> None:
    data, model = some_ratings(), dnn()
    train_compiled(model, data, SETTINGS, SEED)
    program = program_for(parse_model(model), BATCH)
    before = program.traces
    for other, settings, seed in (
        (dnn(dropout=0.5, name="dnn_tuned"), SETTINGS, SEED),
        (dnn(seed=3), SETTINGS.model_copy(update={"learning_rate": 1e-4, "epochs": 1, "patience": 2}), 5),
    ):
        train_compiled(other, data, settings, seed)
        assert program_for(parse_model(other), BATCH) is program
    assert program.traces == before
    assert program_for(parse_model(deep()), BATCH) is not program
    assert program_for(parse_model(mf()), BATCH) is not program
    assert program_for(parse_model(dnn()), BATCH + 1) is not program


@pytest.mark.parametrize("normalised", [False, True])
def test_penalties_and_dropout_of_any_strength_are_one_program(normalised: bool) -> None:
    strengths = dict.fromkeys(("l2_embeddings", "l2_kernels", "l2_biases", "l2_dot"), 0.0)
    rates = {"dropout": 0.3, "input_dropout": 0.4}
    plain, braked, dropping = (
        deep(batch_normalisation=normalised, **changes) for changes in (strengths, {"l2_kernels": 5.0}, rates)
    )
    program = program_for(parse_model(plain), BATCH)
    assert program_for(parse_model(braked), BATCH) is program_for(parse_model(dropping), BATCH) is program
    assert program_for(parse_model(deep(batch_normalisation=normalised, activation="tanh")), BATCH) is not program


def test_another_mean_of_the_ratings_is_the_same_program_and_its_own_numbers() -> None:
    data, model, stock = some_ratings(), deep(mean=2.0), deep(mean=2.0)
    train_compiled(deep(), data, SETTINGS, SEED)
    program = program_for(parse_model(model), BATCH)
    before = program.traces
    fit = train_compiled(model, data, SETTINGS, SEED)
    assert program_for(parse_model(model), BATCH) is program
    assert program.traces == before
    assert_same_training(model, fit, stock, stock_fit(stock, data))


def test_dropout_of_the_input_is_a_site_that_takes_no_other_sites_masks() -> None:
    rates = [
        parse_model(deep(**changes)).head.rates
        for changes in ({"dropout": 0.3}, {"dropout": 0.3, "input_dropout": 0.1})
    ]
    assert [sorted(rate for rate in each if rate) for each in rates] == [[0.3], [0.1, 0.3]]
    assert site_keys(SEED, rates[0])[rates[0].index(0.3)] == site_keys(SEED, [0.3])[0]
    assert len(set(site_keys(SEED, rates[1]).tolist()) - {0}) == 2


def test_trainings_side_by_side_give_the_bits_of_one_alone() -> None:
    data = some_ratings()

    def run(dropout: float) -> bytes:
        model = dnn(dropout)
        return bits(model, train_compiled(model, data, SETTINGS, SEED))

    alone = [run(dropout) for dropout in (0.0, 0.3)]
    np.random.seed(0)
    keras.utils.set_random_seed(5)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, (0.0, 0.3, 0.0, 0.3))) == alone * 2
    assert alone[0] != alone[1]


def test_memory_mapped_ratings_give_the_same_bits(tmp_path: Path) -> None:
    data = some_ratings()
    for name, array in vars(data).items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = FitData.load({name: tmp_path / f"{name}.npy" for name in vars(data)})
    results = []
    for source in (data, mapped):
        model = mf()
        results.append(bits(model, train_compiled(model, source, SETTINGS, SEED)))
    assert results[0] == results[1]


def test_early_stopping_restores_the_weights_of_the_best_epoch() -> None:
    data, model = some_ratings(), dnn()
    settings = SETTINGS.model_copy(update={"epochs": 60, "patience": 2, "learning_rate": 0.05})
    fit = train_compiled(model, data, settings, SEED)
    assert fit.stopped_early
    assert fit.best_epoch is not None
    assert len(fit.loss) == fit.best_epoch + 2
    assert fit.scored_epoch == fit.best_epoch == int(np.argmin(fit.val_loss)) + 1
    again = dnn()
    train_compiled(again, data, settings.model_copy(update={"epochs": fit.best_epoch, "patience": 0}), SEED)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_early_stopping_restores_the_moving_statistics() -> None:
    data, model = some_ratings(), deep()
    fit = train_compiled(model, data, SETTINGS.model_copy(update={"epochs": 60, "patience": 2}), SEED)
    assert fit.best_epoch is not None
    assert fit.best_epoch < len(fit.loss)
    again = deep()
    train_compiled(again, data, SETTINGS.model_copy(update={"epochs": fit.best_epoch}), SEED)
    name = "normalised1"
    moving = [np.asarray(weight) for weight in model.get_layer(name).non_trainable_weights]
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), again.get_weights(), strict=True))
    assert len(moving) == 2
    assert not np.array_equal(moving[1], np.asarray(deep().get_layer(name).moving_variance))


@pytest.mark.parametrize("build", [biased_mf, deep])
def test_the_returned_model_is_the_one_that_was_validated(tmp_path: Path, build: Callable[[], keras.Model]) -> None:
    data, model = some_ratings(), build()
    fit = train_compiled(model, data, SETTINGS, SEED)
    model.save(tmp_path / "model.keras")
    rows = data.validation
    predicted = keras.saving.load_model(tmp_path / "model.keras").predict(
        [data.user[rows, None], data.item[rows, None]], verbose=0
    )
    assert np.mean((predicted[:, 0] - data.rating[rows]) ** 2) == pytest.approx(fit.val_loss[-1], rel=1e-5)
    assert (fit.engine, fit.scored_epoch, fit.stopped_early) == ("compiled", 3, False)
    assert fit.device in {device.device_type for device in tf.config.list_logical_devices()}


def test_a_diverging_loss_is_named_with_epoch_and_learning_rate() -> None:
    data = some_ratings()
    huge = FitData(data.user, data.item, data.rating * np.float32(1e25), data.train, data.validation)
    with pytest.raises(TrainingDiverged, match=r"mf: the loss became (inf|nan) in epoch 1 at learning rate 0\.01; try"):
        train_compiled(mf(), huge, SETTINGS, SEED)


def test_progress_is_told_at_most_once_a_second_and_at_the_end() -> None:
    told: list[tuple[float, float | None, str]] = []
    start = time.perf_counter()
    train_compiled(
        mf(), some_ratings(), SETTINGS.model_copy(update={"epochs": 100}), SEED, lambda *words: told.append(words)
    )
    assert len(told) <= 2 + time.perf_counter() - start
    assert told[-1][:2] == (100, 100)
    assert re.fullmatch(r"epoch 100/100 · loss [\d.e-]+ · val [\d.e-]+", told[-1][2])


def test_a_training_that_is_under_way_tells_its_pace_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10, 100, 2))
    monkeypatch.setattr("recsys.training.callbacks.time.perf_counter", lambda: float(next(clock)))
    told: list[str] = []
    teller = ProgressReporter(lambda done, total, text: told.append(text), epochs=4, rows=1000)
    teller.epoch(1, 1.0, 2.0)
    teller.chunk(2, 500, 0.75)
    assert told[-1] == "epoch 2/4 · loss 0.75 · val 2 · 250 ratings/s · 10 s left"


def test_the_end_of_a_training_that_stopped_early_is_told_as_the_whole() -> None:
    told: list[tuple[float, float | None, str]] = []
    teller = ProgressReporter(lambda *words: told.append(words), epochs=20, rows=1000)
    teller.epoch(1, 1.0, 2.0)
    teller.epoch(2, 0.5, 2.5)
    teller.finished(2, 0.5)
    assert told[-1] == (20, 20, "epoch 2/20 · loss 0.5 · val 2.5")


def test_a_training_that_goes_on_from_a_checkpoint_says_so(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    teller = ProgressReporter(lambda done, total, text: told.append(text), epochs=20, rows=1000)
    with caplog.at_level("INFO", "recsys"):
        teller.continued("mf", 12)
    teller.finished(20, 0.5)
    assert caplog.messages == ["mf: the training was interrupted and continues after epoch 12/20"]
    assert told == ["epoch 20/20 · loss 0.5 · continued after epoch 12"]


def test_an_exception_from_progress_stops_the_training() -> None:
    def stop(done: float, total: float | None, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_compiled(mf(), some_ratings(), SETTINGS, SEED, stop)
    assert threading.active_count() < 20


def refused(change: str) -> keras.Model:
    user, item = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    table = layers.Embedding(40, 4, embeddings_regularizer="l2" if change == "regularizer" else None)
    p, q = table(user), (table if change == "shared" else layers.Embedding(40, 4))(item)
    if change == "fed by a layer":
        q = layers.Embedding(40, 4)(layers.Reshape((1,))(item))
    if change == "state":
        q = layers.BatchNormalization(trainable=False)(q)
    if change == "masked":
        q = layers.BatchNormalization()(q[:, 0], mask=p[:, 0, 0] > 0)[:, None]
    if change == "orthogonal":
        q = layers.Dense(4, kernel_regularizer="orthogonal_regularizer")(q)
    if change == "code":
        q = layers.Lambda(lambda x: x + 1)(q)
    if change == "noise":
        q = layers.GaussianNoise(0.1)(q)
    if change == "activity":
        q = layers.Dense(4, activity_regularizer="l2")(q)
    if change == "frozen":
        table.trainable = False
    if change == "heights":
        p = layers.Add()([p, layers.Embedding(41, 4)(user)])
    output = layers.Flatten()(layers.Dot(axes=2)([p, q]))
    if change == "outputs":
        output = layers.Concatenate()([output, output])
    model = keras.Model([user, item], output, name="odd")
    return keras.Model([user, item], layers.Dense(1)(model([user, item])), name="odd") if change == "nested" else model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("regularizer", "has an embeddings_regularizer"),
        ("shared", "an Embedding layer is used twice"),
        ("fed by a layer", "is not fed with one id a rating by an input"),
        ("state", r"\(BatchNormalization\) keeps values that are not trained"),
        ("code", r"\(Lambda\) cannot be rebuilt from its configuration"),
        ("noise", r"\(GaussianNoise\) keeps values that are not trained"),
        ("masked", "is called with a mask of its own"),
        ("orthogonal", "has a weight regulariser other than L1, L2 or L1L2"),
        ("activity", "has an activity_regularizer"),
        ("frozen", "is not trained"),
        ("heights", "Embeddings with different numbers of rows"),
        ("outputs", "its output is not one number a rating"),
        ("nested", "is a model inside the model"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_reason(change: str, reason: str) -> None:
    with pytest.raises(BadSettings, match=f"cannot train odd: .*{reason}.*; use engine keras"):
        train_compiled(refused(change), some_ratings(), SETTINGS, SEED, silent)


def test_a_training_that_has_ended_keeps_no_memory_of_its_tables() -> None:
    def held_after_training(users: int) -> int:
        settings = DNNSettings(embedding_size=50, units=(4,), epochs=1, batch_size=BATCH)
        train_compiled(build_dnn(users, ITEMS, settings, SEED), some_ratings(), settings, SEED)
        return_unused_memory()
        return int(psutil.Process().memory_info().rss)

    before, users = held_after_training(USERS), 400_000
    table = users * (3 * 50 + 3) * 4
    assert held_after_training(users) < before + table / 2
