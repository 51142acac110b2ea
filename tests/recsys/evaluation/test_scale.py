"""Ratings of another scale or origin have the same comparison, on that scale."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.inputs import Fitted, Ratings, TrainedModel
from recsys.evaluation.results import BaselineResult, Comparison
from recsys.evaluation.thresholds import smallest_effect
from recsys.models.specs import BASELINES, MODELS, ModelSpec
from recsys.settings import EvidenceSettings, RankingSettings, SplitSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_and_save, fit_model
from tests.factories import SMALL_MODELS

USERS, ITEMS, ROWS = 60, 70, 3000
SCALES = {"as they are": (1.0, 0.0), "times 20, less 10": (20.0, -10.0)}
LEARNING: dict[str, dict[str, Any]] = {
    name: {"epochs": 12, "learning_rate": 0.01} for name in ("mf_tuned", "dnn_tuned")
}
"""What makes a model of small settings good enough to be in the blend."""

STANDARDISED = [spec for spec in MODELS if spec.standardised]


def ratings_of(scale: float, offset: float, folder: Path) -> Ratings:
    """Ratings of tastes from 0.5 to 5, moved; the last users and items have none to fit."""
    random = np.random.default_rng(0)
    user, item = (random.integers(size - 2, size=ROWS).astype(np.int32) for size in (USERS, ITEMS))
    user[-10:-5], item[-5:] = USERS - 1, ITEMS - 1
    tastes = [random.normal(size=(size, 2)) for size in (USERS, ITEMS)]
    taste = random.normal(size=USERS)[user] + random.normal(size=ITEMS)[item]
    rating = 3 + 0.7 * taste + 0.5 * (tastes[0][user] * tastes[1][item]).sum(axis=1) + 0.5 * random.normal(size=ROWS)
    rating = np.clip(np.round(2 * rating) / 2, 0.5, 5)
    for name, size in (("users", USERS), ("items", ITEMS)):
        pq.write_table(pa.table({"code": range(size), "id": range(size)}), folder / name)
    rows = np.arange(ROWS)
    return Ratings(
        user,
        item,
        (scale * rating + offset).astype(np.float32),
        train=rows[:2200],
        validation=rows[2200:2500],
        test=rows[2500:],
        users=folder / "users",
        items=folder / "items",
    )


def fitted(ratings: Ratings, spec: ModelSpec, seed: int, folder: Path) -> Fitted:
    """A saved fit, beside which are its predictions of the validation rows."""
    folder.mkdir()
    data = FitData(ratings.user, ratings.item, ratings.rating, ratings.train, ratings.validation)
    settings = spec.settings.model_validate(SMALL_MODELS[spec.name] | LEARNING.get(spec.name, {}))
    predictor, fit = fit_model(spec.name, spec.build, spec.fit, USERS, ITEMS, data, settings, seed, standardised=True)
    user, item, _ = ratings.columns(ratings.validation)
    np.save(folder / "validation.npy", predictor.predict(user, item).astype(np.float32))
    facts = fit_and_save(lambda: (predictor, fit), settings, folder, spec.file)
    return Fitted(seed, folder / spec.file, facts)


def trained_on(ratings: Ratings, spec: ModelSpec, folder: Path) -> TrainedModel:
    """The model with small settings; of tuned MF two seeds."""
    seeds = (1, 2) if spec.name == "mf_tuned" else (1,)
    fits = [fitted(ratings, spec, seed, folder / f"{spec.name}{seed}") for seed in seeds]
    return TrainedModel(fits, fits[0].facts, fits[0].path.parent / "validation.npy")


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Comparison]:
    compared = {}
    for name, moved in SCALES.items():
        folder = tmp_path_factory.mktemp("scale")
        ratings = ratings_of(*moved, folder)
        compared[name], _ = evaluate(
            ratings,
            {spec.name: trained_on(ratings, spec, folder) for spec in STANDARDISED},
            {},
            protocol="fair",
            seed=1,
            split=SplitSettings(),
            evidence=EvidenceSettings(resamples=200),
            ranking=RankingSettings(),
            data={
                **{"source": "made", "licence": None, "duplicates": "keep", "ignored_columns": []},
                **{"quarantined_rows": 0, "repeated_pairs": 0},
            },
            winners={},
        )
    return compared


def rows_of(comparison: Comparison) -> dict[str, BaselineResult]:
    return {row.name: row for row in [*comparison.models, *comparison.baselines, *comparison.combinations]}


def test_every_kind_of_row_is_compared(comparisons: dict[str, Comparison]) -> None:
    expected = {row.name for row in [*STANDARDISED, *BASELINES]} | {"mf_tuned_mean", "blend"}
    for comparison in comparisons.values():
        assert set(rows_of(comparison)) == expected
        assert comparison.data.cold_test_rows


@pytest.mark.parametrize("moved", [name for name in SCALES if name != "as they are"])
def test_errors_and_thresholds_scale_and_nothing_else_changes(comparisons: dict[str, Comparison], moved: str) -> None:
    before, after = comparisons["as they are"], comparisons[moved]
    square = SCALES[moved][0] ** 2
    for name, row in rows_of(before).items():
        other = rows_of(after)[name]
        assert other.mse == pytest.approx(square * row.mse, rel=1e-4), name
        assert other.r2 == pytest.approx(row.r2, abs=1e-4), name
        assert other.ranking == row.ranking, name
        assert other.parameters == row.parameters
    for row, other in zip(before.models, after.models, strict=True):
        assert other.clipped_rows == row.clipped_rows
        assert [part.mse_without for part in other.contributions] == pytest.approx(
            [square * part.mse_without for part in row.contributions], rel=1e-4
        )
    for combined, again in zip(before.combinations, after.combinations, strict=True):
        assert again.members == combined.members
        assert again.weights == pytest.approx(combined.weights, abs=1e-4)
        assert again.equal_share == combined.equal_share
    effects = [smallest_effect(one.min_effect, one.data.rating_sd) for one in (before, after)]
    assert effects[1] == pytest.approx(square * effects[0])
    for difference, same in zip(before.differences, after.differences, strict=True):
        assert (same.name, same.other, same.verdict) == (difference.name, difference.other, difference.verdict)
        assert same.mse_difference == pytest.approx(square * difference.mse_difference, rel=1e-3, abs=1e-5 * square)
