"""The one place where test ratings are read: predictions, and the comparison that is made of them."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from recsys.evaluation.ablation import contributions
from recsys.evaluation.ensembles import Combined, combine
from recsys.evaluation.inputs import Known, Ratings, Tested, TrainedModel, data_facts, known_ratings
from recsys.evaluation.predictions import Answers, BiasesWhereCold, Warm, clipped, model_result, scores
from recsys.evaluation.ranking import Lists, lists_to_rank, rank
from recsys.evaluation.results import BaselineResult, Comparison, Contribution, FailedModel, OtherSplit, Tuning
from recsys.evaluation.significance import compare_pairs
from recsys.evaluation.thresholds import smallest_effect
from recsys.memory import release_memory
from recsys.models.baselines import Baseline, fit_baselines
from recsys.models.item_knn import ItemKNN, fit_item_knn, too_large
from recsys.models.predictor import Predictor
from recsys.models.specs import MODEL, ROW
from recsys.progress import Progress, silent
from recsys.seeding import derive_seed
from recsys.settings import EvidenceSettings, Protocol, RankingSettings, SplitSettings


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
    tuning: Sequence[Tuning] = (),
    other_splits: Sequence[OtherSplit] = (),
    progress: Progress = silent,
) -> tuple[Comparison, pd.DataFrame]:
    """Predict the test ratings with every model and baseline, and score them.

    In protocol `fair`, predictions are clipped to the range of the ratings that were fitted, and a rating
    whose user or item has none of these gets the prediction of bias_only from every model, whose own table
    holds nothing but random numbers there. Protocol `notebook` does neither. Where the
    ratings are too many for item_knn, it is left out. Lists are ranked by predictions that are not clipped,
    as clipping would make the best of them equal; item_knn is too slow for the lists.

    Args:
        ratings: the ratings and their split.
        trained: name -> trained model.
        failed: name -> why there is no model.
        protocol: `fair` or `notebook`.
        seed: the run's seed.
        split: how the rows were split.
        evidence: when a difference counts, and whether rows are combined.
        ranking: whose lists are ranked.
        data: `source`, `licence`, `quarantined_rows`, `repeated_pairs`, `duplicates`, `ignored_columns`.
        tuning: the searches of the tuned models.
        other_splits: what came out under other splits.
        progress: told after each model.

    Returns:
        The comparison, and its predictions: one row a test rating with the columns user, item,
        rating, cold, user_ratings, item_ratings, and one a model (of its first seed), baseline and combination.
    """
    release_memory()
    users, items = pq.read_table(ratings.users), pq.read_table(ratings.items)
    known = known_ratings(ratings, protocol, split)
    bounds = (float(known.fitted[2].min()), float(known.fitted[2].max())) if protocol == "fair" else None
    warm = Warm.after(*known.fitted[:2], users.num_rows, items.num_rows)
    user, item, rating = ratings.columns(ratings.test)
    test = Tested(user, item, rating, warm.cold(user, item))
    lists: Lists | None = None
    if ranking.ranking_users:
        lists = lists_to_rank(
            known.fitted,
            (user, item, rating),
            users.num_rows,
            items.num_rows,
            threshold=ranking.ranking_threshold,
            most=ranking.ranking_users,
            seed=derive_seed(seed, "ranking"),
        )
    answers = Answers()
    progress(0, len(trained), "fitting the baselines")
    baselines, skipped = _baselines(known, test, users.num_rows, items.num_rows, answers, bounds, lists)
    choosing_user, choosing_item, choosing = known.choosing
    unknown = Warm.after(*known.kept[:2], users.num_rows, items.num_rows).cold(choosing_user, choosing_item)
    fitted_rows = len(known.fitted[0])
    user_ratings = np.bincount(known.fitted[0], minlength=users.num_rows).astype(np.int32)
    item_ratings = np.bincount(known.fitted[1], minlength=items.num_rows).astype(np.int32)
    del known  # hundreds of megabytes at 20 million ratings
    parts: dict[str, list[Contribution]] = {}
    for number, (name, model) in enumerate(trained.items()):
        progress(number, len(trained), f"predicting with {ROW[name].title}")
        for fit in model.fits:
            trained_model: Predictor = resolve_name(MODEL[name].load)(fit.path)
            predictor = trained_model
            if protocol == "fair":
                predictor = BiasesWhereCold(trained_model, baselines["bias_only"], warm)
            answers.add(name, predictor, test, bounds)
            if name not in answers.ranking:
                answers.ranking[name] = rank(lists, predictor) if lists else None
                parts[name] = contributions(trained_model, test, answers.test[name][0], bounds)
        if protocol == "fair" and model.validation:
            answer = np.where(unknown, answers.validation["bias_only"], np.load(model.validation))
            answers.validation[name] = clipped(answer, bounds)
    facts = data_facts(ratings, users.num_rows, items.num_rows, int(test.cold.sum()), data)
    models = [
        model_result(
            name,
            model,
            test,
            answers.test[name],
            refitted_rows=fitted_rows if model.chosen else None,
            clipped_rows=answers.clipped[name],
            predict_microseconds=answers.microseconds[name],
            ranking=answers.ranking[name],
            contributions=parts[name],
        )
        for name, model in trained.items()
    ]
    rows = [_baseline_result(name, baseline, test, answers) for name, baseline in baselines.items()]
    combined: dict[str, Combined] = {}
    if protocol == "fair" and evidence.combine:
        combined = combine([*models, *rows], answers, choosing, test, bounds)
    predictions = pd.DataFrame(
        {
            "user": users["id"].take(user).to_pandas(),
            "item": items["id"].take(item).to_pandas(),
            "rating": rating,
            "cold": test.cold,
            "user_ratings": user_ratings[user],
            "item_ratings": item_ratings[item],
            **{name: answers.test[name][0] for name in (*trained, *baselines)},
            **{name: made.prediction for name, made in combined.items()},
        }
    )
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
        models=models,
        baselines=rows,
        combinations=[made.row for made in combined.values()],
        failed=[FailedModel(name=name, title=ROW[name].title, reason=why) for name, why in failed.items()],
        skipped=skipped,
        min_effect=evidence.min_effect,
        resamples=evidence.resamples,
        differences=compare_pairs(
            user,
            rating,
            answers.test,
            _pairs(list(trained)),
            smallest_effect=smallest_effect(evidence.min_effect, facts.rating_sd),
            resamples=evidence.resamples,
            seed=derive_seed(seed, "report", "bootstrap"),
        ),
        tuning=list(tuning),
        other_splits=list(other_splits),
    )
    return comparison, predictions


def _pairs(models: Sequence[str]) -> list[tuple[str, str]]:
    """Each pair of models, and each model against bias_only."""
    return [(later, earlier) for earlier, later in combinations(models, 2)] + [(name, "bias_only") for name in models]


def _baselines(
    known: Known,
    test: Tested,
    users: int,
    items: int,
    answers: Answers,
    bounds: tuple[float, float] | None,
    lists: Lists | None,
) -> tuple[dict[str, Any], list[FailedModel]]:
    """Fit the baselines and note their answers; those that the ratings are too many for are named instead."""
    simple = fit_baselines(known.fitted, known.choosing, users, items, known.kept)
    of_kept = fit_baselines(known.kept, known.choosing, users, items)["bias_only"]
    found: dict[str, Baseline | ItemKNN] = dict(simple)
    choosing_user, choosing_item, _ = known.choosing
    answers.validation["bias_only"] = clipped(of_kept.predict(choosing_user, choosing_item), bounds)
    reason = too_large(known.fitted[0], np.concatenate([choosing_user, test.user]), users, items)
    if not reason:
        neighbours, predicted = fit_item_knn(known.kept, known.choosing, of_kept)
        answers.validation["item_knn"] = clipped(predicted, bounds)
        found["item_knn"] = neighbours.refitted(known.fitted, simple["bias_only"])
    for name, baseline in found.items():
        answers.add(name, baseline, test, bounds)
        answers.ranking[name] = rank(lists, baseline) if lists and name in simple else None
    skipped = [FailedModel(name="item_knn", title=ROW["item_knn"].title, reason=reason)] if reason else []
    return found, skipped


def _baseline_result(name: str, baseline: Baseline | ItemKNN, test: Tested, answers: Answers) -> BaselineResult:
    return BaselineResult(
        name=name,
        title=ROW[name].title,
        parameters=baseline.parameters,
        epochs=0,
        best_epoch=None,
        fit_seconds=round(baseline.seconds, 3),
        predict_microseconds=answers.microseconds[name],
        ranking=answers.ranking[name],
        **scores(test, answers.test[name]),
    )
