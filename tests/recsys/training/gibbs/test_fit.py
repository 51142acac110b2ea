from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from recsys.errors import BadSettings
from recsys.models import bayes_mf
from recsys.models.bayes_mf import BayesianFactors
from recsys.models.settings import BayesMFSettings
from recsys.progress import silent
from recsys.training.fit import Fit, FitData
from recsys.training.gibbs.fit import fit
from recsys.training.gibbs.posterior import compressed

USERS, ITEMS = 60, 50
SETTINGS = BayesMFSettings(embedding_size=3, epochs=40)


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def data() -> FitData:
    """Ratings of two factors and noise of sd .5, standardised."""
    random = np.random.default_rng(3)
    pairs = random.permutation(USERS * ITEMS)[:1600]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    left, right = random.normal(size=(USERS, 2)), random.normal(size=(ITEMS, 2))
    rating = np.einsum("ri,ri->r", left[user], right[item]) + 0.5 * random.normal(size=1600)
    rating = ((rating - rating.mean()) / rating.std()).astype(np.float32)
    return FitData(user, item, rating, np.arange(1300), np.arange(1300, 1600))


def fitted(
    data: FitData, settings: BayesMFSettings = SETTINGS, folder: Path | None = None
) -> tuple[BayesianFactors, Fit]:
    return fit(USERS, ITEMS, data, settings, 7, silent, folder)


def outputs(found: tuple[BayesianFactors, Fit], data: FitData) -> list[np.ndarray]:
    predictor, course = found
    cells = data.user, data.item
    return [predictor.predict(*cells), predictor.standard_deviation(*cells), np.array(course.val_loss)]


def test_it_predicts_what_it_has_not_seen(data: FitData) -> None:
    predictor, course = fitted(data, SETTINGS.model_copy(update={"epochs": 100}))
    variance = float(data.rating[data.validation].var())
    assert course.val_loss[-1] < 0.4 * variance
    user, item, rating = (column[data.validation] for column in (data.user, data.item, data.rating))
    error = predictor.predict(user, item) - rating
    np.testing.assert_allclose(np.mean(error**2), course.val_loss[-1], rtol=1e-4)
    within = np.abs(error) < 1.645 * predictor.standard_deviation(user, item)
    assert 0.85 < within.mean() < 0.95


def test_a_draw_counts_from_the_end_of_the_burn_in_and_the_chain_ends_where_the_error_is_flat(data: FitData) -> None:
    _, whole = fitted(data)
    assert not whole.stopped_early
    assert len(whole.loss) == len(whole.val_loss) == whole.scored_epoch == 40
    _, ended = fitted(data, SETTINGS.model_copy(update={"epochs": 400, "patience": 30}))
    assert ended.stopped_early
    assert 80 + 30 < len(ended.loss) < 400


def test_threads_and_other_fits_beside_it_change_no_bit(data: FitData) -> None:
    alone = outputs(fitted(data), data)
    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(lambda _: fitted(data), range(3)):
            for one, other in zip(alone, outputs(found, data), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("interrupted_after", [3, 20])
def test_an_interrupted_chain_goes_on_to_the_same_bits(data: FitData, interrupted_after: int, tmp_path: Path) -> None:
    sweeps = 0
    whole = outputs(fitted(data), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.training.checkpoint.CHECKPOINT_SHARE", 1e9)
        patch.setattr("recsys.training.callbacks.SECONDS_BETWEEN", 0.0)

        def progress(done: float, total: float | None, text: str) -> None:
            nonlocal sweeps
            sweeps += 1
            if sweeps > interrupted_after:
                raise Interrupted

        with pytest.raises(Interrupted):
            fit(USERS, ITEMS, data, SETTINGS, 7, progress, tmp_path / "chain")
        assert list((tmp_path / "chain").iterdir())
        told: list[str] = []
        again = fit(USERS, ITEMS, data, SETTINGS, 7, lambda done, total, text: told.append(text), tmp_path / "chain")
    assert f"continued after epoch {interrupted_after}" in told[-1]
    for one, other in zip(whole, outputs(again, data), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "chain").exists()


def test_it_is_kept_without_pickle_and_opens_with_stock_keras(data: FitData, tmp_path: Path) -> None:
    predictor = fitted(data)[0].rescaled(2.0, 3.0)
    predictor.save(tmp_path / "model.keras")
    again = bayes_mf.load(tmp_path / "model.keras")
    cells = data.user[:9], data.item[:9]
    np.testing.assert_array_equal(again.predict(*cells), predictor.predict(*cells))
    np.testing.assert_array_equal(again.standard_deviation(*cells), predictor.standard_deviation(*cells))
    assert "of that of the mean itself" in again.about
    assert again.parameters == predictor.parameters == (USERS + ITEMS) * 4
    stock = keras.saving.load_model(tmp_path / "model.keras")
    compressed = stock([cells[0][:, None], cells[1][:, None]])[:, 0]
    np.testing.assert_allclose(compressed, again.predict(*cells), atol=0.1)


def test_ratings_on_another_scale_have_standard_deviations_on_that_scale(data: FitData) -> None:
    predictor, _ = fitted(data)
    cells = data.user[:9], data.item[:9]
    np.testing.assert_allclose(
        predictor.rescaled(20, -3).standard_deviation(*cells), 20 * predictor.standard_deviation(*cells), rtol=1e-6
    )
    np.testing.assert_allclose(
        predictor.rescaled(20, -3).predict(*cells), 20 * predictor.predict(*cells) - 3, rtol=1e-5, atol=1e-5
    )


def test_it_reads_training_ratings_only(data: FitData) -> None:
    rating = data.rating.copy()
    rating[data.validation] = np.nan
    user, item = data.user.copy(), data.item.copy()
    user[data.validation], item[data.validation] = 0, 0
    poisoned = fitted(FitData(user, item, rating, data.train, data.validation[:0]))
    clean = fitted(FitData(data.user, data.item, data.rating, data.train, data.validation[:0]))
    np.testing.assert_array_equal(poisoned[0].predict(data.user, data.item), clean[0].predict(data.user, data.item))


@pytest.mark.parametrize("histories", ["none", "user", "item", "both"])
@pytest.mark.parametrize(("size", "own_noise"), [(0, True), (2, False)])
def test_every_setting_gives_finite_predictions(data: FitData, histories: str, size: int, own_noise: bool) -> None:
    changed = {"histories": histories, "embedding_size": size, "user_noise": own_noise, "item_noise": own_noise}
    predictor, course = fitted(data, BayesMFSettings.model_validate({"epochs": 12, **changed}))
    assert np.isfinite(predictor.predict(data.user, data.item)).all()
    assert course.val_loss[-1] < (1.1 if size == 0 else 1) * data.rating[data.validation].var()


def test_histories_of_each_side_change_the_draws(data: FitData) -> None:
    found = [
        fitted(data, BayesMFSettings.model_validate({"epochs": 12, "histories": which}))[1].val_loss[-1]
        for which in ("none", "user", "item", "both")
    ]
    assert len(set(found)) == 4


@pytest.mark.parametrize(("users", "items"), [(1, 30), (30, 1), (1, 1), (30, 2)])
def test_one_user_or_one_item_or_an_item_that_everybody_rated(users: int, items: int) -> None:
    user, item = (grid.ravel().astype(np.int32) for grid in np.mgrid[:users, :items])
    rating = np.random.default_rng(1).normal(size=len(user)).astype(np.float32)
    data = FitData(user, item, rating, np.arange(len(user)), np.arange(0))
    predictor, _ = fit(users, items, data, SETTINGS, 1, silent, None)
    assert np.isfinite(predictor.predict(user, item)).all()
    assert (predictor.standard_deviation(user, item) > 0).all()


def test_ratings_that_are_all_equal_are_predicted(data: FitData) -> None:
    equal = FitData(data.user, data.item, 0 * data.rating, data.train, data.validation)
    predictor, _ = fitted(equal)
    np.testing.assert_allclose(predictor.predict(data.user, data.item), 0, atol=0.1)


def test_patience_needs_validation_ratings(data: FitData) -> None:
    with pytest.raises(BadSettings, match="early stopping needs validation ratings"):
        fitted(data.with_validation, SETTINGS.model_copy(update={"patience": 5}))


def test_factors_are_compressed_as_well_as_can_be() -> None:
    random = np.random.default_rng(0)
    left, right = random.normal(size=(80, 30)).astype(np.float32), random.normal(size=(70, 30)).astype(np.float32)
    whole = left @ right.T
    small = compressed(left, right, 5)
    assert [table.shape for table in small] == [(80, 5), (70, 5)]
    values = np.linalg.svd(whole, compute_uv=False)
    np.testing.assert_allclose(np.sum((whole - small[0] @ small[1].T) ** 2), np.sum(values[5:] ** 2), rtol=1e-3)
    whole_left, whole_right = compressed(left, right, 40)
    np.testing.assert_allclose(whole_left @ whole_right.T, whole, atol=1e-3)
