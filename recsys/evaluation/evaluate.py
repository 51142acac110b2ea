"""The one place where test ratings are read: predictions, scores, and the facts of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.model_selection import train_test_split

from recsys.evaluation.comparison import (
    BaselineResult,
    Comparison,
    DataFacts,
    FailedModel,
    History,
    ModelResult,
    RatingCount,
    Score,
)
from recsys.evaluation.effect import smallest_effect
from recsys.evaluation.metrics import score, user_rmse
from recsys.evaluation.ranking import Lists, Predict, lists_to_rank, rank
from recsys.evaluation.significance import compare_pairs
from recsys.memory import give_back
from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.item_knn import ItemKNN, fit_item_knn, too_large
from recsys.progress import Progress, silent
from recsys.seeds import derive_seed
from recsys.settings import EvidenceSettings, Protocol, RankingSettings, SplitSettings

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
"""How the report calls what the files call `mf`, `dnn`, …"""

CHUNK = 65_536
"""Ratings predicted at once: some 100 MB of activations for layers of 128 units."""

MOST_VALUES = 50
"""A rating scale with more distinct values than this is shown in bins."""


@dataclass(frozen=True)
class TrainedModel:
    """A model on disk, and how its training went.

    Attributes:
        path: its .keras file.
        facts: the fields of `recsys.training.fit.Fit`, with `settings`, `parameters` and `summary`.
    """

    path: Path
    facts: dict[str, Any]


@dataclass(frozen=True)
class Ratings:
    """Ratings as codes, and the three sets of row numbers.

    Attributes:
        user: int32, shape (ratings,).
        item: int32, shape (ratings,).
        rating: float32, shape (ratings,).
        train: row numbers.
        validation: row numbers; the test's in protocol notebook.
        test: row numbers.
        users: parquet file code -> id.
        items: parquet file code -> id, title.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    train: npt.NDArray[np.integer]
    validation: npt.NDArray[np.integer]
    test: npt.NDArray[np.integer]
    users: Path
    items: Path


def evaluate(
    ratings: Ratings,
    trained: Mapping[str, TrainedModel],
    failed: Mapping[str, str],
    *,
    protocol: Protocol,
    seed: int,
    split: SplitSettings,
    evidence: EvidenceSettings,
    ranking: RankingSettings,
    data: Mapping[str, Any],
    progress: Progress = silent,
) -> tuple[Comparison, pd.DataFrame]:
    """Predict the test ratings with every model and baseline, and score them.

    In protocol `fair`, predictions are clipped to the range of the training ratings, and a rating
    whose user or item has no training rating gets the prediction of bias_only from every model,
    whose own table holds nothing but random numbers there. Protocol `notebook` does neither. Where the
    ratings are too many for item_knn, it is left out. Lists are ranked by predictions that are not clipped,
    as clipping would make the best of them equal; item_knn is too slow for the lists.

    Args:
        ratings: the ratings and their split.
        trained: name -> trained model.
        failed: name -> why there is no model.
        protocol: `fair` or `notebook`.
        seed: the run's seed.
        split: how the rows were split.
        evidence: when a difference counts.
        ranking: whose lists are ranked.
        data: `source`, `licence`, `quarantined_rows`, `repeated_pairs`, `duplicates`, `ignored_columns`.
        progress: told after each model.

    Returns:
        The comparison, and its predictions: one row a test rating with the columns user, item,
        rating, cold, user_ratings, item_ratings, and one a model and baseline.
    """
    give_back()
    user, item = (np.asarray(column[ratings.test]) for column in (ratings.user, ratings.item))
    rating = np.asarray(ratings.rating[ratings.test])
    users, items = pq.read_table(ratings.users), pq.read_table(ratings.items)
    kept, choosing_rows = _choosing_rows(ratings, protocol, split)
    fitted, choosing = _columns(ratings, ratings.train), _columns(ratings, choosing_rows)
    user_ratings = np.bincount(fitted[0], minlength=users.num_rows).astype(np.int32)
    item_ratings = np.bincount(fitted[1], minlength=items.num_rows).astype(np.int32)
    cold = (user_ratings[user] == 0) | (item_ratings[item] == 0)
    bounds = (float(fitted[2].min()), float(fitted[2].max())) if protocol == "fair" else None

    lists: Lists | None = None
    if ranking.ranking_users:
        lists = lists_to_rank(
            fitted,
            choosing,
            (user, item, rating),
            users.num_rows,
            items.num_rows,
            threshold=ranking.ranking_threshold,
            most=ranking.ranking_users,
            seed=derive_seed(seed, "ranking"),
        )
    without = _columns(ratings, kept) if protocol == "notebook" else None
    simple = fit_baselines(fitted, choosing, users.num_rows, items.num_rows, without)
    baselines: dict[str, Baseline | ItemKNN] = {**simple}
    reason = too_large(fitted[0], np.concatenate([choosing[0], user]), users.num_rows, items.num_rows)
    if not reason:
        progress(0, len(trained), f"fitting and predicting with {TITLES['item_knn']}")
        baselines["item_knn"] = _item_knn(fitted, without, choosing, simple["bias_only"])
    del fitted, choosing, without  # hundreds of megabytes at 20 million ratings
    predicted = {name: baseline.predict(user, item).astype(np.float32) for name, baseline in baselines.items()}
    ranked = {name: rank(lists, baseline.predict) if lists else None for name, baseline in simple.items()}
    for number, (name, model) in enumerate(trained.items()):
        progress(number, len(trained), f"predicting with {TITLES[name]}")
        predict = _predictor(model.path)
        if protocol == "fair":
            predict = _answered_where_cold(predict, simple["bias_only"], user_ratings > 0, item_ratings > 0)
        predicted[name] = predict(user, item).astype(np.float32, copy=False)
        ranked[name] = rank(lists, predict) if lists else None
    clipped = dict.fromkeys(predicted, 0)
    if bounds:
        clipped = {name: _outside(prediction, *bounds) for name, prediction in predicted.items()}
        predicted = {name: np.clip(prediction, *bounds) for name, prediction in predicted.items()}

    names = [*trained, *baselines]
    predictions = pd.DataFrame(
        {
            "user": users["id"].take(user).to_pandas(),
            "item": items["id"].take(item).to_pandas(),
            "rating": rating,
            "cold": cold,
            "user_ratings": user_ratings[user],
            "item_ratings": item_ratings[item],
            **{name: predicted[name] for name in names},
        }
    )
    scores = {
        name: _scores(predictions, name)
        | {"user_rmse": user_rmse(user, rating, predicted[name]), "ranking": ranked.get(name)}
        for name in names
    }
    facts = _data_facts(ratings, users.num_rows, items.num_rows, int(cold.sum()), data)
    pairs = [(later, earlier) for earlier, later in combinations(trained, 2)]
    pairs += [(name, "bias_only") for name in trained]
    comparison = Comparison(
        protocol=protocol,
        seed=seed,
        split_by=split.split_by,
        split_seed=split.split_seed,
        folds=split.folds,
        fold=split.fold,
        test_size=split.test_size,
        validation_size=split.validation_size,
        clipped_to=bounds,
        data=facts,
        ranking=lists.facts if lists else None,
        models=[_model_result(name, model, scores[name], clipped[name]) for name, model in trained.items()],
        baselines=[
            BaselineResult(
                name=name,
                title=TITLES[name],
                parameters=baseline.parameters,
                epochs=0,
                best_epoch=None,
                fit_seconds=round(baseline.seconds, 3),
                **scores[name],
            )
            for name, baseline in baselines.items()
        ],
        failed=[FailedModel(name=name, title=TITLES[name], reason=why) for name, why in failed.items()],
        skipped=[FailedModel(name="item_knn", title=TITLES["item_knn"], reason=reason)] if reason else [],
        min_effect=evidence.min_effect,
        resamples=evidence.resamples,
        differences=compare_pairs(
            user,
            rating,
            predicted,
            pairs,
            smallest_effect=smallest_effect(evidence.min_effect, facts.rating_sd),
            resamples=evidence.resamples,
            seed=derive_seed(seed, "report", "bootstrap"),
        ),
    )
    return comparison, predictions


def _columns(ratings: Ratings, rows: npt.NDArray[np.integer]) -> tuple[Any, ...]:
    return ratings.user[rows], ratings.item[rows], ratings.rating[rows]


def _choosing_rows(ratings: Ratings, protocol: Protocol, split: SplitSettings) -> tuple[Any, Any]:
    """The training rows that do not choose for a baseline, and the rows that do."""
    if protocol == "fair":
        return ratings.train, ratings.validation
    # the notebook has no validation rows but the test's, which not even a baseline may choose on
    return tuple(train_test_split(ratings.train, test_size=split.validation_size, random_state=split.split_seed))


def _item_knn(fitted: Any, without: Any | None, choosing: Any, biases: Baseline) -> ItemKNN:
    """Choose without the choosing ratings, of which each would be its own neighbour, then keep all that are fitted."""
    if without is None:
        return fit_item_knn(fitted, choosing, biases)
    of_rest = fit_baselines(without, choosing, len(biases.user), len(biases.item))["bias_only"]
    return fit_item_knn(without, choosing, of_rest).refitted(fitted, biases)


def _predictor(path: Path) -> Predict:
    from recsys.models.saving import load_model

    model = load_model(path)

    def predict(user: npt.NDArray[np.int32], item: npt.NDArray[np.int32]) -> npt.NDArray[np.floating]:
        chunks = [
            np.asarray(model.predict_on_batch([user[start : start + CHUNK, None], item[start : start + CHUNK, None]]))[
                :, 0
            ]
            for start in range(0, len(user), CHUNK)
        ]
        return np.concatenate(chunks)

    return predict


def _answered_where_cold(
    predict: Predict, biases: Baseline, warm_users: npt.NDArray[np.bool_], warm_items: npt.NDArray[np.bool_]
) -> Predict:
    """Return `predict` with the answer of `biases` wherever the user or the item is not warm."""

    def answer(user: npt.NDArray[np.int32], item: npt.NDArray[np.int32]) -> npt.NDArray[np.floating]:
        prediction, cold = predict(user, item), ~(warm_users[user] & warm_items[item])
        prediction[cold] = biases.predict(user[cold], item[cold])
        return prediction

    return answer


def _scores(predictions: pd.DataFrame, name: str) -> dict[str, Any]:
    rating, prediction = predictions["rating"].to_numpy(), predictions[name].to_numpy()
    cold = predictions["cold"].to_numpy()

    def part(rows: npt.NDArray[np.bool_]) -> Score | None:
        return score(rating[rows], prediction[rows]) if rows.any() else None

    everything = score(rating, prediction)
    return {**everything.model_dump(exclude={"rows"}), "warm": part(~cold), "cold": part(cold)}


def _outside(prediction: npt.NDArray[np.floating], low: float, high: float) -> int:
    return int(((prediction < low) | (prediction > high)).sum())


def _model_result(name: str, model: TrainedModel, scores: dict[str, Any], clipped_rows: int) -> ModelResult:
    facts = model.facts
    return ModelResult(
        name=name,
        title=TITLES[name],
        parameters=facts["parameters"],
        epochs=len(facts["loss"]),
        best_epoch=facts["best_epoch"],
        fit_seconds=round(facts["seconds"], 3),
        history=History(loss=facts["loss"], val_loss=facts["val_loss"]),
        scored_epoch=facts["scored_epoch"],
        stopped_early=facts["stopped_early"],
        started=facts["started"],
        ended=facts["ended"],
        clipped_rows=clipped_rows,
        settings=facts["settings"],
        summary=facts["summary"],
        engine=facts["engine"],
        device=facts["device"],
        **scores,
    )


def _data_facts(ratings: Ratings, users: int, items: int, cold: int, data: Mapping[str, Any]) -> DataFacts:
    rows = len(ratings.rating)
    counted = pc.value_counts(pa.array(np.asarray(ratings.rating))).sort()
    values = counted.field("values").to_numpy().astype(np.float64)
    counts = counted.field("counts").to_numpy()
    mean = float(values @ counts) / rows
    return DataFacts(
        rows=rows,
        users=users,
        items=items,
        density=rows / (users * items),
        train_rows=len(ratings.train),
        validation_rows=len(ratings.validation),
        test_rows=len(ratings.test),
        cold_test_rows=cold,
        rating_mean=mean,
        rating_sd=float(np.sqrt((values - mean) ** 2 @ counts / rows)),
        rating_min=float(values[0]),
        rating_max=float(values[-1]),
        histogram=_histogram(values, counts),
        **data,
    )


def _histogram(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> list[RatingCount]:
    if len(values) <= MOST_VALUES:
        return [
            RatingCount(rating=float(str(np.float32(value))), upper=None, rows=int(count))
            for value, count in zip(values, counts, strict=True)
        ]
    binned, edges = np.histogram(values, bins=30, weights=counts)
    return [
        RatingCount(rating=float(low), upper=float(high), rows=int(count))
        for low, high, count in zip(edges[:-1], edges[1:], binned, strict=True)
    ]
