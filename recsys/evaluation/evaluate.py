"""The one place where test ratings are read: the comparison of a split, and the scores of a further one."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from recsys.blocks import TEMPORARY, Scratch, in_blocks
from recsys.data.pairs import in_order
from recsys.evaluation.ablation import contributions
from recsys.evaluation.baselines import choosing_predictions, fit_all
from recsys.evaluation.ensembles import combine, weigh
from recsys.evaluation.histories import HistoryFit, history_scores
from recsys.evaluation.inputs import (
    Models,
    Ratings,
    Tested,
    TrainedModel,
    data_facts,
    known_ratings,
    load_models,
    load_ratings,
    repeats_across,
)
from recsys.evaluation.intervals import intervals
from recsys.evaluation.learning_curve import ShareFits, Winner, learning_curve
from recsys.evaluation.predictions import Predictions, model_result, scores
from recsys.evaluation.ranking import Lists, lists_to_rank, rank
from recsys.evaluation.results import (
    BaselineResult,
    Chances,
    Comparison,
    Contribution,
    FailedModel,
    Interval,
    MissingPoint,
    ModelResult,
    OtherScore,
    OtherSplit,
    Tuning,
)
from recsys.evaluation.significance import chances, compare_pairs
from recsys.evaluation.thresholds import smallest_effect
from recsys.evaluation.tiers import tiers
from recsys.memory import release_memory
from recsys.models.fallback import BiasesWhereCold, Warm
from recsys.models.predictor import Predictor
from recsys.models.specs import FAMILIES, MODEL, ROW, Family
from recsys.models.sums import RatingSums, counted
from recsys.progress import Progress, silent
from recsys.seeding import derive_seed
from recsys.settings import EvidenceSettings, Protocol, RankingSettings, Settings, SplitSettings
from recsys.store.store import Facts, Manifest, Store


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
    winners: Mapping[Family, str],
    tuning: Sequence[Tuning] = (),
    other_splits: Sequence[OtherSplit] = (),
    histories: Sequence[HistoryFit] = (),
    shares: Sequence[ShareFits | MissingPoint] = (),
    left_out: Mapping[str, str] = MappingProxyType({}),
    scratch: Scratch = TEMPORARY,
    progress: Progress = silent,
) -> tuple[Comparison, pd.DataFrame]:
    """Predict the test ratings with every model and baseline, and score them.

    In protocol `fair`, predictions are clipped to the range of the fitted ratings, and a cold rating gets the
    prediction of bias_only from every model, whose own embedding is still random there. Protocol `notebook` does
    neither. item_knn is left out where the ratings are too many for it. Lists are ranked by predictions that are not
    clipped, as clipping would make the best of them equal; item_knn is too slow for the lists.

    `shares` are fits of both winners to shares of the ratings, for the learning curve.

    `trained`, `failed` and `left_out` have, by name, the models and the reasons why there is none; `winners` are those
    of the searches. `data` are the facts `source`, `licence`, `period`, `quarantined_rows`, `repeated_pairs`,
    `duplicates`, `ties` and `ignored_columns`. Columns of many test ratings are files in `scratch`.

    Returns:
        The comparison, and its predictions: one row a test rating, in the order of the file, with the columns user and
        item (categories), rating, cold, user_ratings, item_ratings, and one a model (of its first seed), baseline and
        combination.
    """
    release_memory(in_any_case=True)
    user_table, item_table = pq.read_table(ratings.users), pq.read_table(ratings.items)
    sizes = users, items = user_table.num_rows, item_table.num_rows
    known = known_ratings(ratings, protocol, split)
    fitted = RatingSums.of(known.fitted, *sizes, scratch)
    warm = Warm.of(fitted.counts)
    test = Tested.of(ratings, warm, scratch)
    user, item, rating = test.user, test.item, test.rating
    data = {**data, **repeats_across(ratings, known, test, fitted.counts, scratch)}
    bounds = (fitted.lowest, fitted.highest) if protocol == "fair" else None
    lists: Lists | None = None
    if ranking.ranking_users:
        lists = lists_to_rank(
            fitted,
            (user, item, rating),
            *sizes,
            threshold=ranking.ranking_threshold,
            most=ranking.ranking_users,
            seed=derive_seed(seed, "ranking"),
            repeats=ratings.repeats,
        )
    predicted = Predictions(scratch)
    progress(0, len(trained), "fitting the baselines")
    fitted_baselines = fit_all(known, fitted, counted(user, users).astype(np.float64), scratch)
    baselines = fitted_baselines.fitted
    for name, baseline in baselines.items():
        predicted.add(name, baseline, test, bounds)
        predicted.ranking[name] = rank(lists, baseline) if lists and name != "item_knn" else None
    skipped = [_without_row("item_knn", fitted_baselines.too_large)] if fitted_baselines.too_large else []
    fitted_rows = len(known.fitted)
    weights = None
    if bounds and evidence.combine:
        files = {name: model.validation for name, model in trained.items() if model.validation}
        order = in_order(ratings.validation)
        choosing = choosing_predictions(known, fitted_baselines, files, order, bounds, scratch)
        weights = weigh(known.choosing.spooled(scratch), choosing, order, repeats=ratings.repeats)
        del order, choosing
    activity = {
        f"{side}_ratings": scratch.column(np.int32, len(user), (counts[block] for (block,) in in_blocks(codes)))
        for side, codes, counts in (
            ("user", user, fitted.counts.of_users),
            ("item", item, fitted.counts.of_items),
        )
    }
    del known, fitted, fitted_baselines
    models: list[ModelResult] = []
    for number, (name, model) in enumerate(trained.items()):
        progress(number, len(trained), f"predicting with {ROW[name].title}")
        parts: list[Contribution] = []
        spread: list[Interval] = []
        for fit in model.fits:
            trained_model: Predictor = resolve_name(MODEL[name].load)(fit.path)
            predictor = trained_model
            if protocol == "fair":
                predictor = BiasesWhereCold(trained_model, baselines["bias_only"], warm)
            predicted.add(name, predictor, test, bounds)
            if name not in predicted.ranking:
                predicted.ranking[name] = rank(lists, predictor) if lists else None
                parts = contributions(trained_model, test, predicted.test[name][0], bounds, scratch)
                spread = intervals(trained_model, test, bounds)
        refitted_rows = fitted_rows if model.chosen else None
        family = MODEL[name].family
        chosen = name == winners[family] if family in winners and MODEL[name].space else None
        more = {"refitted_rows": refitted_rows, "contributions": parts, "intervals": spread}
        models.append(model_result(name, model, test, predicted, more | {"family": family, "chosen": chosen}))
        del trained_model, predictor
        release_memory()
    rows = [
        BaselineResult(
            name=name,
            title=ROW[name].title,
            parameters=baseline.parameters,
            epochs=0,
            best_epoch=None,
            fit_seconds=round(baseline.seconds, 3),
            predict_microseconds=predicted.microseconds[name],
            ranking=predicted.ranking[name],
            **scores(test, predicted.test[name]),
        )
        for name, baseline in baselines.items()
    ]
    combined = combine([*models, *rows], predicted, weights, test, bounds) if weights else []
    predictions = pd.DataFrame(
        {
            "user": pd.Categorical.from_codes(user, user_table["id"].to_pandas(), validate=False),
            "item": pd.Categorical.from_codes(item, item_table["id"].to_pandas(), validate=False),
            "rating": rating,
            "cold": test.cold,
            **activity,
            **{name: predicted.test[name][0] for name in (*trained, *baselines)},
            **{row.name: prediction for row, prediction in combined},
        },
        copy=False,  # the columns may be files
    )
    facts = data_facts(ratings, users, items, int(test.cold.sum()), data)
    pairs = [(later, earlier) for earlier, later in combinations(trained, 2)]
    evident: Any = {"smallest_effect": smallest_effect(evidence.min_effect, facts.rating_sd)}
    evident["resamples"] = evidence.resamples
    found = curve = None
    if set(winners.values()) <= set(trained) and len(winners) == len(FAMILIES):
        of_mf, of_dnn = (predicted.test[winners[family]] for family in FAMILIES)
        mf, equal, dnn = chances(user, rating, of_mf, of_dnn, **evident, seed=derive_seed(seed, "report", "chances"))
        found = Chances(mf=mf, equal=equal, dnn=dnn)
        whole = {family: Winner(winners[family], predicted.test[winners[family]]) for family in FAMILIES}
        drawing = {"resamples": evidence.resamples, "seed": derive_seed(seed, "report", "learning curve")}
        curve = learning_curve(shares, whole, ratings, split, test, sizes, **drawing, scratch=scratch)
    differences = compare_pairs(
        user,
        rating,
        predicted.test,
        pairs + [(name, "bias_only") for name in trained],
        **evident,
        seed=derive_seed(seed, "report", "bootstrap"),
    )
    every = predicted.test | {row.name: [prediction] for row, prediction in combined}
    tiered = tiers(user, rating, every, differences, **evident, seed=derive_seed(seed, "report", "tiers"))
    comparison = Comparison(
        protocol=protocol,
        seed=seed,
        **split.model_dump(),
        clipped_to=bounds,
        data=facts,
        ranking=lists.facts if lists else None,
        models=models,
        baselines=rows,
        combinations=[row for row, _ in combined],
        failed=[_without_row(name, why) for name, why in failed.items()],
        skipped=[*skipped, *(_without_row(name, why) for name, why in left_out.items())],
        min_effect=evidence.min_effect,
        resamples=evidence.resamples,
        differences=differences,
        chances=found,
        tiers=tiered,
        tuning=list(tuning),
        other_splits=list(other_splits),
        histories=history_scores(histories, test, baselines["bias_only"], warm, bounds, scratch),
        learning_curve=curve,
    )
    return comparison, predictions


def _without_row(name: str, reason: str) -> FailedModel:
    return FailedModel(name=name, title=ROW[name].title, reason=reason)


def score_split(
    store: Store,
    data: Mapping[str, Manifest],
    models: Models,
    winners: Mapping[Family, str],
    split: SplitSettings,
    settings: Settings,
    folder: Path,
    progress: Progress = silent,
) -> Facts:
    """Read the test ratings of a further split, write scores.json (an `OtherSplit`) and return its content.

    `data` are the manifests of `codes`, `training` and `test`. Of the run's settings, evidence, protocol and seed are
    read, and how repeated pairs were resolved. `folder` exists.
    """
    trained, failed = load_models(store, models)
    facts: dict[str, Any] = {"source": "", "licence": None, "duplicates": settings.data.duplicates}
    facts |= {"quarantined_rows": 0, "ignored_columns": [], "repeated_pairs": data["codes"]["facts"]["repeated_pairs"]}
    comparison, _ = evaluate(
        load_ratings(store, data),
        trained,
        failed,
        protocol=settings.protocol,
        seed=settings.seed,
        split=split,
        evidence=settings.evidence,
        ranking=RankingSettings(ranking_users=0),
        data={**facts, "ties": data["training"]["facts"].get("ties")},
        winners=winners,
        scratch=Scratch(folder.parent),
        progress=progress,
    )
    rows = (*comparison.models, *comparison.combinations, *comparison.baselines)
    found = OtherSplit(
        split_by=split.split_by,
        split_seed=split.split_seed,
        test_rows=comparison.data.test_rows,
        cold_test_rows=comparison.data.cold_test_rows,
        rating_sd=comparison.data.rating_sd,
        repeated_test_rows=comparison.data.repeated_test_rows,
        repeated_validation_rows=comparison.data.repeated_validation_rows,
        ties=comparison.data.ties,
        scores=[
            OtherScore(name=row.name, title=row.title, mse=row.mse, chosen=getattr(row, "chosen", None)) for row in rows
        ],
        differences=comparison.differences,
    )
    (folder / "scores.json").write_text(found.model_dump_json(indent=1) + "\n")
    return found.model_dump(mode="json")
