"""Fits that read both sides' histories."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.backend import keras
from recsys.backend import tensorflow as tf
from recsys.errors import BadSettings, NotEnoughMemory, TrainingDiverged
from recsys.memory import Available
from recsys.models.keras_predictor import FittedFactors
from recsys.models.settings import BiasedMFSettings, TowersSettings
from recsys.models.towers import TowersPredictor, build_tower, load
from recsys.progress import Progress, silent
from recsys.training.fit import Fit, FitData
from recsys.training.histories import _Training, fit_svdpp, fit_towers
from recsys.training.history_steps import _masks, take_step
from recsys.training.train import fit_model

USERS, ITEMS = 40, 60


def settings_of(**changes: Any) -> TowersSettings:
    small = {"embedding_size": 4, "width": 5, "epochs": 4, "batches": 3, "learning_rate": 0.02}
    return TowersSettings.model_validate({**small, "l2_factors": 3, "l2_histories": 3, **changes})


def made_ratings(rows: int = 900, users: int = USERS, items: int = ITEMS, *, noise: bool = False) -> FitData:
    """Ratings by taste, or of nothing but noise; the last user and the last item have no training rows."""
    random = np.random.default_rng(0)
    user, item = np.divmod(random.permutation(users * items)[:rows], items)
    taste = random.normal(size=(users, 2)) @ random.normal(size=(2, items))
    rating = random.normal(size=len(user)) if noise else taste[user, item]
    numbers = random.permutation(len(user))
    cold = (user == users - 1) | (item == items - 1)
    train = numbers[(numbers >= len(user) // 10) & ~cold[numbers]] if users > 1 and items > 1 else numbers
    validation = np.setdiff1d(numbers, train)
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    return FitData(*columns, train, validation)


def fitted(
    data: FitData, checkpoint: Path | None = None, progress: Progress = silent, seed: int = 1, **changes: Any
) -> tuple[TowersPredictor, Fit]:
    users, items = int(data.user.max()) + 1, int(data.item.max()) + 1
    return fit_towers(users, items, data, settings_of(**changes), seed, progress, checkpoint)


def bits(found: tuple[Any, Fit], data: FitData) -> bytes:
    predicted: bytes = found[0].predict(data.user, data.item).tobytes()
    return predicted + str((found[1].loss, found[1].val_loss)).encode()


def stock_gradients(
    training: _Training, dealt: tuple[np.ndarray, np.ndarray], batch: int, masks: list[list[np.ndarray]]
) -> tuple[float, list[list[np.ndarray]]]:
    """The sum of the squared errors of a batch, and TensorFlow's gradients of the loss, with dense histories.

    The towers are stock Keras layers, their masks inputs.
    """
    halves, settings, count = training.halves, training.settings, len(training.data.train)
    weights = [SideVariables(half.weights) for half in halves]
    users = halves[0].side
    row = np.repeat(np.arange(users.rows), np.diff(users.start))
    rated, deviation = np.zeros((2, users.rows, halves[1].side.rows), np.float32)
    deviations = users.rating - users.bias[row] - users.other_bias[users.other]
    kept = dealt[0] != batch
    np.add.at(rated, (row[kept], users.other[kept]), 1)
    np.add.at(deviation, (row[kept], users.other[kept]), deviations[kept])
    inside = ~kept
    with tf.GradientTape() as tape:
        vectors = []
        for which, (half, mine, theirs) in enumerate(zip(halves, weights, weights[::-1], strict=True)):
            histories = [matrix.T if which else matrix for matrix in (rated, deviation)]
            sums = tf.zeros(half.weights.own.shape)
            for part in range(theirs.tables.shape[1]):
                sums += (histories[part] @ theirs.tables[:, part]) * half.scale[:, None]
            vectors.append(mine.own + mine.tower(sums, masks[which]))
        pairs = row[inside], users.other[inside]
        chosen = [tf.gather(part, codes) for part, codes in zip(vectors, pairs, strict=True)]
        biases = [tf.gather(side.bias, codes) for side, codes in zip(weights, pairs, strict=True)]
        errors = tf.reduce_sum(chosen[0] * chosen[1], axis=1) + biases[0] + biases[1] - users.rating[inside]
        loss = tf.reduce_mean(tf.square(errors)) / 2
        tables = np.array([settings.l2_histories, settings.l2_rating_histories], np.float32)
        for side in weights:
            of_parts = tf.reduce_sum(tf.square(side.tables), axis=(0, 2)) * tables[: side.tables.shape[1]]
            paid = [settings.l2_factors * tf.nn.l2_loss(side.own), settings.l2_biases * tf.nn.l2_loss(side.bias)]
            paid += [settings.l2_kernels * tf.nn.l2_loss(kernel) for kernel in side.kernels()]
            loss += (tf.add_n(paid) + tf.reduce_sum(of_parts) / 2) / count
        gradients = tape.gradient(loss, [side.all() for side in weights], unconnected_gradients="zero")
    return float(tf.reduce_sum(tf.square(errors))), gradients


class SideVariables:
    """One side's weights as variables, and its tower in stock Keras."""

    def __init__(self, weights: Any) -> None:
        self.own, self.bias, self.tables = (tf.Variable(part) for part in weights[:3])
        self.model = build_tower(weights.kernels, weights.shifts, weights.backs, 0.0, 0, "tower")
        self.layers = len(weights.kernels)

    def tower(self, sums: tf.Tensor, masks: list[np.ndarray]) -> tf.Tensor:
        for number in range(self.layers):
            hidden = self.model.get_layer(f"hidden{number + 1}")(sums) * masks[number]
            sums = sums + self.model.get_layer(f"back{number + 1}")(hidden)
        return sums

    def kernels(self) -> list[Any]:
        return [weight.value for weight in self.model.trainable_variables if weight.name == "kernel"]

    def all(self) -> list[Any]:
        return [self.own, self.bias, self.tables, *(weight.value for weight in self.model.trainable_variables)]


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize(("histories", "rating_histories"), [("both", True), ("both", False), ("user", True)])
def test_a_step_has_the_loss_and_the_gradients_of_stock_keras(
    layers: int, histories: str, rating_histories: bool
) -> None:
    data = made_ratings()
    changes = {"layers": layers, "histories": histories, "rating_histories": rating_histories}
    training = _Training("towers", USERS, ITEMS, data, settings_of(**changes, l2_kernels=50), 1)
    random = np.random.default_rng(4)
    for half in training.halves:
        half.weights.shifts[...] = random.normal(size=half.weights.shifts.shape)
        half.weights.backs[...] = random.normal(size=half.weights.backs.shape)
    dealt = training._deal(1)
    rows_in = [
        np.unique(np.repeat(np.arange(half.side.rows), np.diff(half.side.start))[dealt[which] == 1])
        for which, half in enumerate(training.halves)
    ]
    same = np.random.default_rng(9)
    masks = []
    for half, rows in zip(training.halves, rows_in, strict=True):
        drawn = _masks(half.weights, len(rows), 0.3, same)
        masks.append([np.zeros((half.side.rows, mask.shape[1]), np.float32) for mask in drawn])
        for whole, mask in zip(masks[-1], drawn, strict=True):
            whole[rows] = mask
    squares, expected = stock_gradients(training, dealt, 1, masks)
    found = take_step(training.halves, dealt, 1, 0.3, np.random.default_rng(9), training.penalties, alpha=0.01)
    assert found == pytest.approx(squares, rel=1e-5)
    for half, gradients in zip(training.halves, expected, strict=True):
        ours = [half.first.own, half.first.bias, half.first.tables]
        for layer in range(len(half.first.kernels)):
            ours += [half.first.kernels[layer], half.first.shifts[layer], half.first.backs[layer]]
        for first, gradient in zip(ours, gradients, strict=True):
            np.testing.assert_allclose(first / 0.1, gradient, rtol=1e-5, atol=1e-5)


def test_a_step_updates_as_the_adam_of_keras() -> None:
    data = made_ratings()
    training = _Training("towers", USERS, ITEMS, data, settings_of(), 1)
    optimizer = keras.optimizers.Adam(0.01)
    names = [name for name in training._state() if "weights" in name]
    variables = [keras.Variable(training._state()[name].copy()) for name in names]
    optimizer.build(variables)
    before = {name: part.copy() for name, part in training._state().items()}
    for step in (1, 2, 3):
        alpha = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        take_step(training.halves, training._deal(step), 0, 0.0, np.random.default_rng(1), training.penalties, alpha)
        after = {name: part.copy() for name, part in training._state().items()}
        firsts = [name.replace("weights", "first") for name in names]
        optimizer.apply([(after[name] - before[name] * 0.9) / np.float32(0.1) for name in firsts])
        before = after
        for name, variable in zip(names, variables, strict=True):
            np.testing.assert_allclose(np.asarray(variable), after[name], atol=2e-4)


def test_a_rating_does_not_reach_its_own_prediction_while_it_is_trained_on() -> None:
    """Where p does not depend on r, (p - r - 1)² + (p - r + 1)² - 2 (p - r)² is 2; where p grows with r it is less."""
    training = _Training("towers", USERS, ITEMS, made_ratings(), settings_of(), 1)
    dealt = training._deal(1)
    for half in training.halves:
        half.weights.tables[...] *= 30
    squares = []
    for change in (0, 1, -2):  # 0, 1 and -1 in all
        for half, batches in zip(training.halves, dealt, strict=True):
            half.side.rating[batches == 2] += np.float32(change)
        random = np.random.default_rng(0)
        squares.append(take_step(training.halves, dealt, 2, 0.0, random, training.penalties, alpha=0.0))
    assert squares[1] + squares[2] - 2 * squares[0] == pytest.approx(2 * (dealt[0] == 2).sum(), rel=1e-4)


def test_noise_is_not_learnt() -> None:
    data = made_ratings(2000, noise=True)
    _, fit = fitted(data, epochs=8)
    assert fit.loss[0] > 0.85
    assert fit.val_loss[-1] > 0.8


def test_tastes_are_learnt_and_histories_help() -> None:
    """Users rate what they like more often than the rest, so that a history tells of a taste."""
    random = np.random.default_rng(0)
    taste = np.sign(random.normal(size=(USERS, 1))) * np.sign(random.normal(size=(1, ITEMS)))
    user, item = np.nonzero(random.random((USERS, ITEMS)) < np.where(taste > 0, 0.4, 0.05))
    rating = taste[user, item] + 0.3 * random.normal(size=len(user))
    rows = random.permutation(len(user))
    columns = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32)
    data = FitData(*columns, rows[100:], rows[:100])
    losses = {name: fitted(data, histories=name, epochs=20)[1].val_loss[-1] for name in ("none", "both")}
    assert losses["both"] < 0.95 * losses["none"]
    assert losses["both"] < 0.9 * np.var(rating[rows[:100]])


def test_rows_that_are_not_for_training_are_not_read() -> None:
    data = made_ratings()
    alone = FitData(data.user, data.item, data.rating, data.train, data.validation[:0])
    rating = data.rating.copy()
    rating[data.validation] = np.nan
    poisoned = FitData(data.user, data.item, rating, data.train, data.validation[:0])
    assert bits(fitted(alone), data) == bits(fitted(poisoned), data)
    with_validation, fit = fitted(data)
    assert np.array_equal(with_validation.predict(data.user, data.item), fitted(alone)[0].predict(data.user, data.item))
    assert len(fit.val_loss) == len(fit.loss) == fit.scored_epoch == 4


def test_same_seed_same_bits_alone_and_side_by_side() -> None:
    data = made_ratings()
    alone = [bits(fitted(data, seed=seed), data) for seed in (1, 2)]
    np.random.seed(0)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda seed: bits(fitted(data, seed=seed), data), (1, 2, 1))) == [*alone, alone[0]]
    assert alone[0] != alone[1]


def test_an_interrupted_training_continues_to_the_same_bits(tmp_path: Path) -> None:
    data, folder = made_ratings(), tmp_path / "checkpoints"

    def interrupted(epoch: int) -> Callable[..., Any]:
        real = _Training._train_epoch

        def train(self: _Training, now: int, teller: Any) -> float:
            trained.append(now)
            if now == epoch:
                raise KeyboardInterrupt
            return real(self, now, teller)

        return train

    for seed, expected in ((1, [2, 3, 4]), (2, [1, 2, 3, 4])):  # another training's checkpoint is not taken
        trained: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Training, "_train_epoch", interrupted(2))
            with pytest.raises(KeyboardInterrupt):
                fitted(data, folder)
        assert trained == [1, 2]
        trained = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Training, "_train_epoch", interrupted(0))
            continued = bits(fitted(data, folder, seed=seed), data)
        assert trained == expected
        assert continued == bits(fitted(data, seed=seed), data)
        assert not folder.exists()


def test_it_opens_with_stock_keras_and_equal_models_are_equal_files(tmp_path: Path) -> None:
    data = made_ratings()
    found, _ = fit_model(
        "towers", None, "recsys.training.histories:fit_towers", USERS, ITEMS, data, settings_of(), 1, standardised=True
    )
    places = [tmp_path / name / "model.keras" for name in "ab"]
    for path in places:
        path.parent.mkdir()
        found.save(path)
    for path in places[0].parent.iterdir():
        assert path.read_bytes() == (places[1].parent / path.name).read_bytes()
    stock = keras.saving.load_model(places[0], compile=False, safe_mode=True)
    predicted = np.asarray(stock([data.user[:, None], data.item[:, None]]))[:, 0]
    assert np.allclose(predicted, found.predict(data.user, data.item), rtol=0, atol=1e-6)
    again = load(places[0])
    assert np.array_equal(again.predict(data.user, data.item), found.predict(data.user, data.item))
    rows = data.train[data.user[data.train] == 3]
    vectors = [one.fold_in(data.item[rows], data.rating[rows]) for one in (found, again)]  # type: ignore[attr-defined]
    assert np.array_equal(vectors[0][0], vectors[1][0])
    assert vectors[0][1] == vectors[1][1]


def test_a_user_folded_in_has_nearly_the_vector_of_the_same_user_in_training() -> None:
    data = made_ratings(1500)
    scaled = FitData(data.user, data.item, 10 + 3 * data.rating, data.train, data.validation)
    settings = settings_of(epochs=20, l2_factors=1e4)
    found, _ = fit_model(
        "towers", None, "recsys.training.histories:fit_towers", USERS, ITEMS, scaled, settings, 1, standardised=True
    )
    assert isinstance(found, TowersPredictor)
    for user in (0, 7):
        rows = data.train[data.user[data.train] == user]
        vector, bias = found.fold_in(scaled.item[rows], scaled.rating[rows])
        np.testing.assert_allclose(vector, found.factors.user[user], atol=0.02)
        assert bias == pytest.approx(float(found.factors.user_bias[user]), abs=0.1)
    nothing, bias = found.fold_in(scaled.item[:0], scaled.rating[:0])
    assert not nothing.any()
    assert bias == 0


def test_users_and_items_without_training_ratings_have_neither_vector_nor_bias() -> None:
    data = made_ratings()
    found, _ = fitted(data)
    mean = data.mean
    assert found.predict(np.array([USERS - 1], np.int32), np.array([ITEMS - 1], np.int32))[0] == pytest.approx(mean)
    vectors = found.factors.user[-1], found.factors.item[-1]
    assert not np.concatenate(vectors).any()


@pytest.mark.parametrize(("users", "items", "size"), [(1, 30, 1), (30, 1, 2), (1, 1, 1), (25, 2, 1)])
def test_the_smallest_tables_can_be_fitted(users: int, items: int, size: int) -> None:
    """The last has an item that everybody has rated."""
    data = made_ratings(users * items, users, items)
    found, fit = fitted(data, embedding_size=size)
    assert np.isfinite(found.predict(data.user, data.item)).all()
    assert np.isfinite(fit.loss).all()


@pytest.mark.parametrize("histories", ["none", "user", "item", "both"])
def test_svdpp_learns_what_it_reads(histories: str) -> None:
    data = made_ratings()
    settings = BiasedMFSettings(embedding_size=3, epochs=2, implicit=histories)
    found, fit = fit_svdpp(USERS, ITEMS, data, settings, 1)
    assert isinstance(found, FittedFactors)
    read = {"none": 0, "user": ITEMS, "item": USERS, "both": USERS + ITEMS}[histories]
    assert found.parameters == (USERS + ITEMS) * 4 + 3 * read
    assert len(fit.val_loss) == 2
    assert settings.fits_itself == (histories != "none")


def test_the_settings_choose_between_building_and_fitting() -> None:
    data = made_ratings()
    functions = "recsys.models.biased_mf:build", "recsys.training.histories:fit_svdpp"
    for implicit, engine in (("none", "compiled"), ("both", "histories")):
        settings = BiasedMFSettings(embedding_size=2, epochs=1, patience=0, implicit=implicit)
        assert fit_model("mf_tuned", *functions, USERS, ITEMS, data, settings, 1)[1].engine == engine


def test_a_training_that_diverges_or_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_ratings()
    huge = FitData(data.user, data.item, data.rating * np.float32(1e30), data.train, data.validation)
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match=r"towers: the loss became .* in epoch 1"):
        fitted(huge)
    with pytest.raises(BadSettings, match="there are no training ratings"):
        fit_towers(
            USERS, ITEMS, FitData(data.user, data.item, data.rating, data.train[:0], data.train), settings_of(), 1
        )
    monkeypatch.setattr("recsys.memory.available_memory", lambda: Available(1e6, "are left"))
    with pytest.raises(NotEnoughMemory, match="Training towers with 40 users"):
        fitted(data, embedding_size=4096, layers=2, width=4096)


def test_progress_is_told() -> None:
    told: list[str] = []
    fitted(made_ratings(), progress=lambda done, total, text: told.append(f"{done:g}/{total:g} {text}"))
    assert told[-1].startswith("4/4 epoch 4/4 · loss ")
