from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.evaluation import inputs
from recsys.evaluation.inputs import Ratings
from recsys.evaluation.learning_curve import ShareFits, Winner, learning_curve, load_shares
from recsys.evaluation.power_law import Floats, outlook_of
from recsys.evaluation.results import MissingPoint, Outlook, SizeCurve
from recsys.models.baselines import fit_baselines
from recsys.models.fallback import Warm
from recsys.models.mf import build_mf
from recsys.models.serialization import save_model
from recsys.models.specs import Family
from recsys.models.sums import PairCounts
from recsys.settings import MFSettings, SplitSettings
from recsys.store.store import Store

USERS, ITEMS, ROWS = 12, 10, 300


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    random = np.random.default_rng(0)
    user, item = random.integers(USERS, size=ROWS), random.integers(ITEMS, size=ROWS)
    item[200:202] = ITEMS - 1
    rating = random.integers(1, 6, size=ROWS).astype(np.float32)
    rows = np.arange(ROWS)
    train, validation, test = rows[:200], rows[200:220], rows[220:]
    train = train[item[:200] < ITEMS - 1]  # the last item is known by two validation ratings alone
    users, items = Path("users"), Path("items")
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating, train, validation, test, users, items)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    found = {}
    for seed, name in enumerate(("mf_tuned", "dnn_tuned")):
        found[name] = tmp_path_factory.mktemp(name) / "model.keras"
        save_model(build_mf(USERS, ITEMS, MFSettings(embedding_size=4), seed=seed), found[name])
    return found


def rows_to_test(ratings: Ratings) -> inputs.Tested:
    user, item, rating = ratings.columns(ratings.test)
    return inputs.Tested(user, item, rating, np.zeros(len(user), bool))


def winners(ratings: Ratings, mf: float, dnn: float) -> dict[Family, Winner]:
    """Winners whose errors are these everywhere, on all ratings."""
    rating = rows_to_test(ratings).rating
    return {"mf": Winner("mf_tuned", [rating + mf]), "dnn": Winner("dnn_tuned", [rating - dnn])}


def curve_of(ratings: Ratings, *shares: ShareFits | MissingPoint, mf: float = 0.5, dnn: float = 0.6) -> SizeCurve:
    found = learning_curve(
        shares,
        winners(ratings, mf, dnn),
        ratings,
        SplitSettings(),
        rows_to_test(ratings),
        (USERS, ITEMS),
        resamples=100,
        seed=1,
    )
    assert found is not None
    return found


def share_of(ratings: Ratings, share: float, paths: Mapping[str, Path]) -> ShareFits:
    train, validation = (rows[: round(share * len(rows))] for rows in (ratings.train, ratings.validation))
    return ShareFits(share, train, validation, paths, seconds=2.5)


def test_there_is_no_curve_without_shares(ratings: Ratings) -> None:
    whole = winners(ratings, 0.5, 0.6)
    sizes = USERS, ITEMS
    assert not learning_curve([], whole, ratings, SplitSettings(), rows_to_test(ratings), sizes, resamples=100, seed=1)


def test_the_last_point_is_that_of_the_winners_on_all_ratings(ratings: Ratings, paths: Mapping[str, Path]) -> None:
    found = curve_of(ratings, share_of(ratings, 0.5, paths))
    last = found.points[-1]
    assert last.share == 1
    assert last.ratings == len(ratings.train) + len(ratings.validation)
    assert (last.mf.value, last.dnn.value) == pytest.approx((0.25, 0.36))
    assert last.gap.value == pytest.approx(0.11)
    assert (last.gap.low, last.gap.high) == pytest.approx((0.11, 0.11))  # equal for all users
    assert found.points[0].seconds == 2.5


def test_what_a_share_does_not_know_is_predicted_by_the_biases_of_the_share(
    ratings: Ratings, paths: Mapping[str, Path]
) -> None:
    one = share_of(ratings, 0.5, paths)
    one = ShareFits(one.share, one.train[ratings.user[one.train] < 2], one.validation, one.fits, 0.0)
    found = curve_of(ratings, one).points[0]
    test, rows = rows_to_test(ratings), np.concatenate([one.train, one.validation])
    fitted, kept, choosing = (ratings.columns(part) for part in (rows, one.train, one.validation))
    cold = Warm.of(PairCounts.of([fitted], USERS, ITEMS)).cold(test.user, test.item)
    biases = fit_baselines(fitted, choosing, USERS, ITEMS, kept)["bias_only"]
    assert cold.any()
    errors = np.clip(biases.predict(test.user, test.item), 1, 5) - test.rating
    # both models are untrained, and clipped to 1: all that is not cold is the same in both
    of_warm = (1.0 - test.rating) ** 2
    assert found.mf.value == pytest.approx(np.where(cold, errors**2, of_warm).mean())
    assert found.gap.value == pytest.approx(0)


def test_a_share_that_failed_is_told_with_its_reason(ratings: Ratings, tmp_path: Path) -> None:
    made: dict[str, Any] = {"0.1": {"training": ValueError("no space"), "mf_tuned": ValueError("no rows")}}
    found = load_shares(Store(tmp_path), made)
    assert found == [MissingPoint(share=0.1, reason="no space")]
    curve = curve_of(ratings, *found)
    assert curve.missing == found
    assert curve.outlook is None
    assert len(curve.points) == 1


SIZES = np.array([0.1, 0.2, 0.4, 0.7, 1.0])


def outlook(mf: Floats, dnn: Floats, *, sd: float = 1e-4, seeds: float = 1e-4, times: float = 10.0) -> Outlook:
    """The outlook of points whose test users and seeds vary by so much."""
    random = np.random.default_rng(3)
    mse: Floats = np.stack([mf, dnn])
    drawn = mse[..., None] + sd * random.normal(size=(1, 1, 500)) + 0.1 * sd * random.normal(size=(2, 5, 500))
    of_seeds = [[errors[-1] - seeds, errors[-1] + seeds] for errors in mse]
    return outlook_of(SIZES, mse, drawn, of_seeds, 1000, random, times)


def test_lines_that_meet_beyond_the_data_do_so_inside_the_interval() -> None:
    found = outlook(np.full(5, 0.7) + 0.01 * SIZES**-0.1, 0.5 + 0.25 * SIZES**-0.4)
    size = np.geomspace(1, 100, 10_000)
    gap = 0.5 + 0.25 * size**-0.4 - 0.7 - 0.01 * size**-0.1
    assert found.meeting is not None
    assert found.meeting.low is not None
    assert found.meeting.high is not None
    assert found.meeting.low < 1000 * size[np.abs(gap).argmin()] < found.meeting.high
    assert found.meet > 0.95
    assert found.gap.value < 0


def test_a_gap_that_stays_does_not_meet() -> None:
    found = outlook(0.6 + 0.1 * SIZES**-0.4, 0.65 + 0.1 * SIZES**-0.4)
    assert found.meeting is None
    assert found.meet < 0.1
    assert found.gap.value == pytest.approx(0.05, abs=0.005)


def test_points_of_trainings_that_vary_give_a_wider_interval() -> None:
    narrow, wide = (outlook(0.6 + 0.1 * SIZES**-0.4, 0.65 + 0.1 * SIZES**-0.4, seeds=seeds) for seeds in (1e-4, 1e-2))
    widths = [found.gap.high - found.gap.low for found in (narrow, wide) if found.gap.high and found.gap.low]
    assert widths[1] > 3 * widths[0]


def test_the_interval_of_a_prediction_holds_what_came_about_as_often_as_it_says() -> None:
    random, true = np.random.default_rng(4), np.array([0.64 + 0.1 * 3.3**-0.4, 0.66 + 0.12 * 3.3**-0.5])
    held = []
    for _ in range(60):
        mf, dnn = 0.64 + 0.1 * SIZES**-0.4, 0.66 + 0.12 * SIZES**-0.5
        noise = 0.002 * random.normal(size=(2, 5))
        found = outlook(mf + noise[0], dnn + noise[1], seeds=0.0014, times=3.3)
        assert found.gap.low is not None
        assert found.gap.high is not None
        held.append(found.gap.low <= true[1] - true[0] <= found.gap.high)
    assert np.mean(held) > 0.85
