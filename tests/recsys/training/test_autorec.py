"""AutoRec fits training ratings only, to the same bits, and is kept as a stock Keras model."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.errors import BadSettings, NotEnoughMemory, TrainingDiverged
from recsys.models.baselines import fit_biases
from recsys.models.keras_predictor import FittedFactors, load_keras
from recsys.models.predictor import Predictor
from recsys.models.settings import AutoRecSettings
from recsys.training import autorec
from recsys.training.fit import Fit, FitData

USERS, ITEMS = 40, 30
POPULAR, UNRATED = 0, ITEMS - 1
"""An item that everybody has rated, and one without a rating."""


@pytest.fixture(scope="module")
def data() -> FitData:
    """Standardised ratings of users and items of two tastes; 60 rows are neither fitted nor validated."""
    random = np.random.default_rng(5)
    user, item = np.divmod(random.permutation(USERS * (ITEMS - 2))[:800], ITEMS - 2)
    user, item = np.concatenate([np.arange(USERS), user]), np.concatenate([np.full(USERS, POPULAR), item + 1])
    rating = np.where(user % 2 == item % 2, 1.0, -1.0) + random.normal(scale=0.3, size=len(user))
    rows = np.concatenate([np.arange(USERS), USERS + random.permutation(800)])
    return FitData(
        user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32), rows[:700], rows[700:780]
    ).standardised()[0]


def fitted(data: FitData, **settings: Any) -> tuple[FittedFactors, Fit]:
    whole = {"units": 6, "epochs": 5, "patience": 0, "l2": 1.0, "l2_implicit": 1.0, "batch_rows": 8, **settings}
    return autorec.fit(USERS, ITEMS, data, AutoRecSettings.model_validate(whole), seed=1)


def table(predictor: Predictor) -> np.ndarray:
    user, item = np.divmod(np.arange(USERS * ITEMS, dtype=np.int32), ITEMS)
    return np.asarray(predictor.predict(user, item)).reshape(USERS, ITEMS)


VARIANTS = [{"side": side, "kernel": kernel} for side in ("item", "user") for kernel in (False, True)]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_it_learns_tastes_that_biases_cannot_tell(data: FitData, variant: dict[str, Any]) -> None:
    predictor, fit = fitted(data, epochs=30, **variant)
    assert min(fit.val_loss) < 0.4 < 0.8 < fit.val_loss[0]
    rows = data.validation
    error = predictor.predict(data.user[rows], data.item[rows]) - data.rating[rows]
    assert np.square(error).mean() == pytest.approx(fit.val_loss[-1], rel=1e-4)
    assert fit.loss[-1] < 0.3
    assert np.isfinite(table(predictor)).all()


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_fit_has_the_same_bits_beside_another(data: FitData, variant: dict[str, Any]) -> None:
    alone, fit = fitted(data, **variant)
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda _: fitted(data, **variant), range(3)))
    for predictor, other in together:
        assert (other.loss, other.val_loss) == (fit.loss, fit.val_loss)
        np.testing.assert_array_equal(table(predictor), table(alone))


def test_another_seed_is_another_fit(data: FitData) -> None:
    settings = AutoRecSettings(units=6, epochs=1, patience=0)
    first, second = (autorec.fit(USERS, ITEMS, data, settings, seed=seed)[1] for seed in (1, 2))
    assert first.loss != second.loss


def test_only_training_rows_are_learnt_from(data: FitData) -> None:
    poisoned = data.rating.copy()
    others = np.setdiff1d(np.arange(len(poisoned)), data.train)
    poisoned[others] = np.nan
    clean = replace(data, validation=others[:0])
    (expected, _), (found, _) = fitted(clean), fitted(replace(clean, rating=poisoned))
    np.testing.assert_array_equal(table(found), table(expected))


def test_validation_ratings_choose_the_epoch_and_nothing_else(data: FitData) -> None:
    free, stopped = {"epochs": 40, "l2": 0.0, "l2_implicit": 0.0, "learning_rate": 0.1}, {"patience": 2}
    predictor, fit = fitted(data, **free, **stopped)
    assert fit.stopped_early
    assert fit.scored_epoch == fit.best_epoch == len(fit.loss) - 2
    without = replace(data, validation=data.validation[:0])
    refitted, _ = fitted(without, **{**free, "epochs": fit.scored_epoch})
    np.testing.assert_array_equal(table(refitted), table(predictor))


class Interrupted(Exception):
    """What ends a training before its end."""


@pytest.mark.parametrize("kernel", [False, True])
def test_an_interrupted_training_ends_with_the_same_bits(data: FitData, kernel: bool, tmp_path: Path) -> None:
    settings = AutoRecSettings(units=6, epochs=6, kernel=kernel, patience=4)
    told: list[str] = []

    def interrupt(done: float, total: float | None, text: str) -> None:
        if done >= 3:
            raise Interrupted

    whole, expected = autorec.fit(USERS, ITEMS, data, settings, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("recsys.training.callbacks.SECONDS_BETWEEN", 0.0)
        with pytest.raises(Interrupted):
            autorec.fit(USERS, ITEMS, data, settings, 1, interrupt, tmp_path / "kept")
    assert list((tmp_path / "kept").glob("epoch-*"))
    again, fit = autorec.fit(
        USERS, ITEMS, data, settings, 1, lambda done, total, text: told.append(text), tmp_path / "kept"
    )
    assert "continued after epoch" in told[-1]
    assert not (tmp_path / "kept").exists()
    assert (fit.loss, fit.val_loss, fit.scored_epoch) == (expected.loss, expected.val_loss, expected.scored_epoch)
    np.testing.assert_array_equal(table(again), table(whole))


def test_it_is_kept_as_a_stock_keras_model(data: FitData, tmp_path: Path) -> None:
    predictor = fitted(data)[0].rescaled(2.0, 3.0)
    path = tmp_path / "model.keras"
    predictor.save(path)
    np.testing.assert_array_equal(table(load_keras(path)), table(predictor))
    code = (
        "import sys, keras, numpy as np; model = keras.models.load_model(sys.argv[1]);"
        "print(float(model([np.array([[3]]), np.array([[4]])])[0, 0])); assert 'recsys' not in sys.modules"
    )
    printed = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert float(printed.stdout) == pytest.approx(float(table(predictor)[3, 4]), rel=1e-6)


def test_the_numbers_learnt_are_counted(data: FitData) -> None:
    biases, columns = USERS + ITEMS + 1, USERS * (3 * 6 + 1) + 6
    assert fitted(data, epochs=1)[0].parameters == columns + biases
    assert fitted(data, epochs=1, implicit_input=False)[0].parameters == columns - USERS * 6 + biases
    assert fitted(data, epochs=1, kernel=True)[0].parameters == columns + biases + 2 * 5 * (USERS + 6)


def test_without_ratings_of_its_own_a_user_has_the_biases_only(data: FitData) -> None:
    train = data.train[data.user[data.train] != 7]
    less = replace(data, train=train)
    predictor, _ = fitted(less)
    deviation = data.rating[train] - less.mean
    [(_, of_item)] = fit_biases(
        data.user[train], data.item[train], deviation, USERS, ITEMS, (AutoRecSettings().l2_biases,)
    )
    np.testing.assert_allclose(table(predictor)[7], less.mean + of_item, atol=1e-5)


@pytest.mark.parametrize("side", ["item", "user"])
def test_one_user_or_one_item_or_one_unit_is_enough(side: str) -> None:
    settings = AutoRecSettings(side=side, units=1, epochs=2, patience=0)
    one, some = np.zeros(3, np.int32), np.arange(3, dtype=np.int32)
    rating = np.array([-1, 0, 1], np.float32)
    for users, items, user, item in ((1, 3, one, some), (3, 1, some, one), (1, 1, one, one)):
        given = FitData(user, item, rating, np.arange(3), np.arange(0))
        predictor, fit = autorec.fit(users, items, given, settings, seed=1)
        assert np.isfinite(predictor.predict(user, item)).all()
        assert fit.val_loss == []
        assert fit.scored_epoch == 2


def test_a_loss_that_is_not_finite_is_told(data: FitData) -> None:
    with pytest.raises(TrainingDiverged, match=r"autorec.*epoch 1"):
        fitted(replace(data, rating=data.rating * np.float32(1e30)))


def test_what_cannot_be_fitted_is_told(data: FitData) -> None:
    with pytest.raises(BadSettings, match="no training ratings"):
        fitted(replace(data, train=data.train[:0]))
    with pytest.raises(BadSettings, match="early stopping"):
        fitted(replace(data, validation=data.validation[:0]), patience=2)
    with pytest.raises(NotEnoughMemory, match="AutoRec"):
        autorec.fit(10**9, 10**9, data, AutoRecSettings(units=60_000), seed=1)
