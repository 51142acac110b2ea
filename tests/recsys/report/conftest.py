"""A made-up comparison that hangs together, and small ones in which every number is chosen."""

from collections.abc import Callable
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.metrics import user_rmse
from recsys.evaluation.results import (
    BaselineResult,
    Combination,
    Comparison,
    DataFacts,
    FailedModel,
    LearningCurve,
    ModelResult,
    OtherScore,
    OtherSplit,
    RankedLists,
    Ranking,
    RatingCount,
    Score,
    SeedResult,
    Spread,
    Tuning,
)
from recsys.evaluation.significance import compare_pairs
from recsys.evaluation.thresholds import smallest_effect
from recsys.settings import SplitBy
from tests.made_searches import dnn_search, family_search

TITLES = {
    "mf": "MF",
    "mf_tuned": "tuned MF",
    "dnn": "DNN",
    "dnn_tuned": "tuned DNN",
    "global_mean": "global mean",
    "user_mean": "user mean",
    "item_mean": "item mean",
    "bias_only": "bias only",
    "item_knn": "item kNN",
}
NOISE = {
    "mf": 0.95,
    "dnn": 0.72,
    "dnn_tuned": 0.62,
    "global_mean": 0.85,
    "user_mean": 0.72,
    "item_mean": 0.77,
    "bias_only": 0.6,
    "item_knn": 0.58,
}
SECONDS = {"mf": 65.2, "mf_tuned": 24.1, "dnn": 91.4, "dnn_tuned": 70.3, "bias_only": 0.6, "item_knn": 3.2}
PAIRS = [
    *[("dnn", "mf"), ("dnn_tuned", "mf"), ("dnn_tuned", "dnn")],
    *[("mf", "bias_only"), ("dnn", "bias_only"), ("dnn_tuned", "bias_only")],
]
NDCG = {
    "mf": 0.0312,
    "dnn": 0.0254,
    "dnn_tuned": 0.0478,
    "global_mean": 0.0101,
    "user_mean": 0.0101,
    "item_mean": 0.0022,
    "bias_only": 0.0431,
}
USERS, ITEMS, FACTORS = 702, 8227, 50
PARAMETERS = {
    "mf": 446_450,
    "mf_tuned": 901_829,
    "dnn": 476_019,
    "dnn_tuned": 476_019,
    "bias_only": USERS + ITEMS + 1,
    "item_knn": 72_000,
}

Made = tuple[Comparison, pd.DataFrame]


def learning_curve(loss: list[float], val_loss: list[float]) -> LearningCurve:
    return LearningCurve(loss=loss, val_loss=val_loss, seconds=2.0 * len(loss))


LEARNING_CURVES = {
    "mf": learning_curve(
        [13.1, 7.9, 2.74, 1.41, 1.05, 0.86, 0.73, 0.64, 0.57, 0.51],
        [11.9, 4.8, 2.1, 1.55, 1.33, 1.22, 1.19, 1.182, 1.19, 1.204],
    ),
    "dnn": learning_curve(
        [1.163, 0.774, 0.708, 0.629, 0.541, 0.461, 0.398, 0.346, 0.304, 0.271],
        [0.831, 0.795, 0.804, 0.816, 0.845, 0.868, 0.89, 0.904, 0.942, 0.949],
    ),
    "dnn_tuned": learning_curve([1.18, 0.81, 0.754, 0.709, 0.665], [0.827, 0.796, 0.7985, 0.8016, 0.7996]),
}
SETTINGS: dict[str, dict[str, int | float | str | list[int]]] = {
    "mf": {"embedding_size": 50, "epochs": 10, "batch_size": 64, "learning_rate": 0.001, "patience": 0},
    "dnn": {"embedding_size": 50, "epochs": 10, "units": [128, 128], "dropout": 0.0, "patience": 0},
    "dnn_tuned": {"embedding_size": 50, "epochs": 20, "units": [128, 128], "dropout": 0.3, "patience": 3},
}
SUMMARY = """Model: "mf"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ user_input          │ (None)            │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 446,450 (1.70 MB)"""


def made(
    *, protocol: str = "fair", rows: int = 20_000, cold_share: float = 0.04, scale: float = 1.0, grid: float = 0.5
) -> Made:
    """A comparison computed from made-up predictions; `scale` times a scale of 0.5 to 5."""
    random = np.random.default_rng(7)
    rating = np.clip(random.normal(3.54, 1.06, rows), 0.5, 5)
    rating = np.round(rating / grid) * grid if grid else rating
    cold = random.random(rows) < cold_share
    predictions = pd.DataFrame({"user": random.integers(1, USERS, rows), "item": random.integers(1, ITEMS, rows)})
    predictions["rating"] = rating * scale
    predictions["cold"] = cold
    predictions["user_ratings"] = np.ceil(random.lognormal(4.6, 1.2, rows)).astype(int)
    predictions["item_ratings"] = np.where(cold, 0, np.ceil(random.lognormal(3.0, 1.5, rows)).astype(int))
    calm = 1 + 1 / np.sqrt(1 + predictions["item_ratings"])
    for name, noise in NOISE.items():
        drawn = 3.54 + (0.1 if name == "global_mean" else 0.62) * (rating - 3.54)
        drawn = drawn + (0.0 if name == "global_mean" else noise) * calm * random.normal(0, 1, rows)
        if protocol == "fair" and name in ("mf", "dnn", "dnn_tuned"):
            drawn = np.where(cold, 3.54 + 0.1 * (rating - 3.54), drawn)
        if name in ("bias_only", "item_knn"):
            drawn = np.where(cold, 3.54 + 0.1 * (rating - 3.54), drawn)
        predictions[name] = (np.clip(drawn, 0.5, 5) if protocol == "fair" else drawn) * scale
    return comparison_of(predictions, protocol), predictions


def comparison_of(predictions: pd.DataFrame, protocol: str) -> Comparison:
    """Score made-up predictions."""
    variance = float(predictions["rating"].var(ddof=0))
    models = [
        ModelResult(
            **row_of(predictions, name, variance),
            history=learning_curve(
                [loss * variance for loss in LEARNING_CURVES[name].loss],
                [loss * variance for loss in LEARNING_CURVES[name].val_loss],
            ),
            scored_epoch=2 if name == "dnn_tuned" else 10,
            stopped_early=name == "dnn_tuned",
            clipped_rows=0,
            settings=SETTINGS[name],
            summary=SUMMARY.replace("mf", name),
            engine="keras",
            device="CPU",
            started=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
            ended=datetime(2026, 5, 4, 3, 2, 9, tzinfo=UTC),
        )
        for name in ("mf", "dnn", "dnn_tuned")
    ]
    baselines = [
        BaselineResult(**row_of(predictions, name, variance))
        for name in ("global_mean", "user_mean", "item_mean", "bias_only", "item_knn")
    ]
    return Comparison(
        protocol="notebook" if protocol == "notebook" else "fair",
        seed=42,
        split_by="random",
        split_seed=42,
        folds=5,
        fold=0,
        test_size=0.2,
        validation_size=0.1,
        clipped_to=None if protocol == "notebook" else (predictions["rating"].min(), predictions["rating"].max()),
        data=facts_of(predictions, protocol),
        ranking=RankedLists(users=200, eligible_users=640, users_without=31, items=ITEMS, threshold=3.54),
        models=models,
        baselines=baselines,
        failed=[],
        skipped=[],
        min_effect=None,
        resamples=100,
        differences=compare_pairs(
            predictions["user"].to_numpy(),
            predictions["rating"].to_numpy(),
            {name: [predictions[name].to_numpy()] for name in NOISE},
            PAIRS,
            smallest_effect=smallest_effect(None, variance**0.5),
            resamples=100,
            seed=1,
        ),
    )


def row_of(predictions: pd.DataFrame, name: str, variance: float) -> dict[str, Any]:
    """The fields that models and baselines share."""
    cold = predictions["cold"].to_numpy()
    whole = score(predictions, name, variance)
    assert whole is not None
    best = {"mf": 8, "mf_tuned": 8, "dnn": 2, "dnn_tuned": 2}.get(name)
    return {
        "name": name,
        "title": TITLES[name],
        **whole.model_dump(exclude={"rows"}),
        "user_rmse": user_rmse(
            predictions["rating"].to_numpy(), predictions[name].to_numpy(), predictions["user"].to_numpy()
        ),
        "parameters": PARAMETERS.get(name, 1),
        "epochs": {"mf": 10, "mf_tuned": 10, "dnn": 10, "dnn_tuned": 5}.get(name, 0),
        "best_epoch": best,
        "fit_seconds": SECONDS.get(name, 0.01),
        "warm": score(predictions[~cold], name, variance),
        "cold": score(predictions[cold], name, variance),
        "ranking": ranking(NDCG[name], tied_users=200 if name == "global_mean" else 0) if name in NDCG else None,
    }


def ranking(ndcg: float, **changes: Any) -> Ranking:
    """A ranking of 200 lists."""
    fields: dict[str, Any] = {
        "users": 200,
        "ndcg_at_10": ndcg,
        "ndcg_at_10_error": 0.004,
        "recall_at_10": 0.8 * ndcg,
        "mrr": 1.5 * ndcg,
        "coverage_at_10": 0.01,
        "tied_users": 0,
    }
    return Ranking(**{**fields, **changes})


def score(rows: pd.DataFrame, name: str, variance: float) -> Score | None:
    if rows.empty:
        return None
    error = rows[name] - rows["rating"]
    mse = float((error**2).mean())
    r2 = 1 - mse / variance if variance else None
    return Score(rows=len(rows), mse=mse, rmse=mse**0.5, mae=float(error.abs().mean()), r2=r2)


def facts_of(predictions: pd.DataFrame, protocol: str) -> DataFacts:
    rating, test = predictions["rating"], len(predictions)
    if rating.nunique() <= 20:
        values = rating.value_counts().sort_index()
        counts = [RatingCount(rating=float(value), upper=None, rows=int(n) * 5) for value, n in values.items()]  # type: ignore[arg-type]
    else:
        found, edges = np.histogram(rating, bins=24)
        counts = [
            RatingCount(rating=float(low), upper=float(high), rows=int(n) * 5)
            for low, high, n in zip(edges[:-1], edges[1:], found, strict=True)
        ]
    return DataFacts(
        source="the embedded sample (MovieLens small 2016), first 100,000 ratings",
        licence="GroupLens: research and education, no redistribution for profit",
        rows=5 * test,
        users=USERS,
        items=ITEMS,
        density=5 * test / (USERS * ITEMS),
        train_rows=4 * test if protocol == "notebook" else 4 * test * 9 // 10,
        validation_rows=test if protocol == "notebook" else 4 * test // 10,
        test_rows=test,
        cold_test_rows=int(predictions["cold"].sum()),
        rating_mean=float(rating.mean()),
        rating_sd=float(rating.std(ddof=0)),
        rating_min=float(rating.min()),
        rating_max=float(rating.max()),
        histogram=counts,
        quarantined_rows=12,
        repeated_pairs=3,
        repeated_test_rows=0,
        repeated_validation_rows=0,
        duplicates="keep",
        ignored_columns=["genres"],
        period=("1996-03-29T10:00:00Z", "2018-09-24T14:27:30Z"),
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    """Make a comparison and its predictions; see `made`."""
    return made


@pytest.fixture(scope="session")
def fair() -> Made:
    """Small, protocol fair."""
    return made(rows=3000)


@pytest.fixture(scope="session")
def notebook() -> Made:
    """Small, protocol notebook."""
    return made(rows=3000, protocol="notebook")


@pytest.fixture
def with_mse(fair: Made) -> Callable[..., Comparison]:
    """Give rows the errors that a test wants; a row without one is left out. 20,000 test rows, variance 1."""

    def build(
        protocol: str = "fair", failed: tuple[str, ...] = (), skipped: tuple[str, ...] = (), **mse: float
    ) -> Comparison:
        comparison = fair[0]
        data = comparison.data.model_copy(update={"test_rows": 20_000, "cold_test_rows": 0, "rating_sd": 1.0})
        mf, *rest = comparison.models
        tuned = mf.model_copy(update={"name": "mf_tuned", "title": "tuned MF"})
        rows = [row for row in (mf, tuned, *rest, *comparison.baselines) if row.name in mse]
        changed = [row.model_copy(update={"mse": mse[row.name], "rmse": mse[row.name] ** 0.5}) for row in rows]
        return comparison.model_copy(
            update={
                "protocol": protocol,
                "clipped_to": None if protocol == "notebook" else comparison.clipped_to,
                "data": data,
                "models": [row for row in changed if isinstance(row, ModelResult)],
                "baselines": [row for row in changed if not isinstance(row, ModelResult)],
                "failed": [FailedModel(name=name, title=TITLES[name], reason="its loss became NaN") for name in failed],
                "skipped": [FailedModel(name=name, title=TITLES[name], reason="too many items") for name in skipped],
                "differences": [],
            }
        )

    return build


def seeds_of(*mse: float, fit_seconds: float = 10.0) -> dict[str, Any]:
    """What a model has of several seeds with these errors."""
    results = [
        SeedResult(seed=42 + number, mse=value, rmse=value**0.5, mae=value**0.5, fit_seconds=fit_seconds)
        for number, value in enumerate(mse)
    ]
    mean, sd = fmean(mse), stdev(mse) if len(mse) > 1 else 0.0
    spread = Spread(sd=sd, low=mean - sd, high=mean + sd) if len(mse) > 1 else None
    return {"mse": mean, "seeds": results, "spread": spread}


def search_of(name: str, seconds_used: float) -> Tuning:
    """A search of which nothing but its time matters."""
    return Tuning(
        name=name,
        title=name,
        trials_allowed=6,
        seconds_allowed=60,
        seconds_used=seconds_used,
        searched=[],
        trials=[],
        winner=0,
    )


def combination_of(kind: str, row: BaselineResult, mse: float, members: list[str], weights: list[float]) -> Combination:
    """A combination with everything but its error taken from a row."""
    fields = row.model_dump(include=set(BaselineResult.model_fields) - {"mse", "rmse", "name", "title"})
    title = f"seeds of {row.title}" if kind == "seeds" else "blend"
    name = f"{row.name}_{kind}"
    made = {"name": name, "title": title, "mse": mse, "rmse": mse**0.5}
    return Combination.model_validate({**fields, **made, "kind": kind, "members": members, "weights": weights})


def split_of(split_by: SplitBy, split_seed: int, **mse: float) -> OtherSplit:
    """Another split of 20,000 test ratings of variance 1, without tested differences."""
    return OtherSplit(
        split_by=split_by,
        split_seed=split_seed,
        test_rows=20_000,
        cold_test_rows=0,
        rating_sd=1.0,
        repeated_test_rows=0,
        repeated_validation_rows=0,
        scores=[OtherScore(name=name, title=name.replace("_", " "), mse=value) for name, value in mse.items()],
        differences=[],
    )


def with_everything(comparison: Comparison, predictions: pd.DataFrame) -> Made:
    """The same with a tuned MF, several seeds, combinations, searches, refits, costs and other splits."""
    random = np.random.default_rng(11)
    predictions = predictions.assign(mf_tuned=0.25 * predictions["bias_only"] + 0.75 * predictions["item_knn"])
    variance = float(predictions["rating"].var(ddof=0))
    mf, dnn, dnn_tuned = comparison.models
    fields = row_of(predictions, "mf_tuned", variance)
    mf_tuned = ModelResult.model_validate({**mf.model_dump(), **fields, "title": "tuned MF", "ranking": mf.ranking})
    models = []
    for model in (mf, mf_tuned, dnn, dnn_tuned):
        drawn = model.mse + variance * 0.003 * random.normal(size=5)
        changes = seeds_of(*(drawn - drawn.mean() + model.mse), fit_seconds=model.fit_seconds)
        refitted = comparison.data.train_rows + comparison.data.validation_rows if "tuned" in model.name else None
        size = {"file_bytes": 4 * model.parameters, "peak_mb": 812.4, "predict_microseconds": 3.21}
        chosen = {"refitted_rows": refitted, "chosen": True if "tuned" in model.name else None}
        models.append(model.model_copy(update={**changes, **size, **chosen}))
    tuned = models[1]
    combinations = [
        combination_of("seeds", tuned, 0.985 * tuned.mse, ["mf_tuned"], [1.0]),
        combination_of("blend", tuned, 0.975 * tuned.mse, ["mf_tuned", "item_knn"], [0.6, 0.4]),
    ]
    search_used = {"trials_allowed": 7, "seconds_allowed": 60.0, "seconds_used": 61.0}
    main = {row.name: row.mse for row in (*models, *comparison.baselines)}
    others = [
        split_of("random", 43, **{name: 1.01 * mse for name, mse in main.items()}),
        split_of("time", 42, **{name: 1.3 - 0.1 * mse for name, mse in main.items()}),
    ]
    changed = comparison.model_copy(
        update={
            "models": models,
            "combinations": combinations,
            "tuning": [family_search(seconds_used=58.0), dnn_search(7).model_copy(update=search_used)],
            "other_splits": others,
            "differences": compare_pairs(
                predictions["user"].to_numpy(),
                predictions["rating"].to_numpy(),
                {name: [predictions[name].to_numpy()] for name in TITLES},
                [("dnn_tuned", "mf_tuned"), ("dnn", "mf_tuned"), ("mf", "mf_tuned"), ("mf_tuned", "bias_only")],
                smallest_effect=smallest_effect(None, variance**0.5),
                resamples=100,
                seed=1,
            ),
        }
    )
    return changed, predictions


@pytest.fixture(scope="session")
def whole() -> Made:
    """Small, protocol fair, with everything that a run can have."""
    return with_everything(*made(rows=3000))


@pytest.fixture
def repeat() -> Callable[..., Comparison]:
    """Give models the errors of several seeds each: repeat(comparison, mf=[0.8, 0.81])."""

    def build(comparison: Comparison, seconds: float = 10.0, **mse: list[float]) -> Comparison:
        models = [
            model.model_copy(update=seeds_of(*mse[model.name], fit_seconds=seconds)) if model.name in mse else model
            for model in comparison.models
        ]
        return comparison.model_copy(update={"models": models})

    return build


@pytest.fixture
def combine() -> Callable[..., Comparison]:
    """Add a combination of this error: combine(comparison, "blend", 0.7, {"mf": 0.6, "dnn": 0.4})."""

    def build(comparison: Comparison, kind: str, mse: float, weights: dict[str, float]) -> Comparison:
        made_of = combination_of(kind, comparison.models[0], mse, list(weights), list(weights.values()))
        return comparison.model_copy(update={"combinations": [*comparison.combinations, made_of]})

    return build


@pytest.fixture
def search() -> Callable[..., Comparison]:
    """Add searches of so many seconds: search(comparison, mf_tuned=60)."""

    def build(comparison: Comparison, **seconds_used: float) -> Comparison:
        return comparison.model_copy(update={"tuning": [search_of(*entry) for entry in seconds_used.items()]})

    return build


@pytest.fixture
def split_also() -> Callable[..., Comparison]:
    """Add another split: split_also(comparison, "time", 42, mf=0.9, dnn=0.8)."""

    def build(comparison: Comparison, split_by: SplitBy, split_seed: int, **mse: float) -> Comparison:
        others = [*comparison.other_splits, split_of(split_by, split_seed, **mse)]
        return comparison.model_copy(update={"other_splits": others})

    return build
