"""How well the models rank the catalogue for a user."""

import math
from collections.abc import Sequence

from recsys.evaluation.metrics import METRICS
from recsys.evaluation.results import BaselineResult, Comparison, RankedLists, Ranking
from recsys.report.outcomes import best, every_row, in_order, scored
from recsys.report.section import Finding, Plot, Section
from recsys.report.sections.results import as_table, ranking_columns, ranking_rows
from recsys.text import count, inside, listing, number, opening, short

STANDARD_ERRORS = 2
"""Differences of up to so many standard errors may be chance."""

Ranked = tuple[BaselineResult, Ranking]


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Ranking metrics of the models and baselines, None where ranking was turned off."""
    if comparison.ranking is None:
        return None
    caption = "How well all items are ranked for a user. The best value of each metric is marked."
    return Section(
        "ranking",
        "Ranking",
        findings=findings(comparison),
        tables=as_table(caption, ranking_columns(), ranking_rows(comparison)),
        result=_result(comparison),
    )


def _result(comparison: Comparison) -> str:
    """Which row has the highest NDCG@10; empty where chance decides all lists."""
    ranked = _untied(_ranked(every_row(comparison)))
    return f"{inside(_first(ranked)[0].title)} has the highest NDCG@10" if ranked else ""


def findings(comparison: Comparison) -> list[Finding]:
    """Whose lists were ranked, which model and baseline rank best, and where equal scores decided."""
    facts = comparison.ranking
    if facts is None:
        return []
    texts = {
        "ranked users": ranked_users(comparison, facts),
        "not ranked": not_ranked(comparison, facts),
        "best model by NDCG": best_model(comparison),
        "best baseline by NDCG": best_baseline(comparison),
        "equal scores": equal_scores(comparison),
    }
    return [Finding(topic, text) for topic, text in texts.items() if text]


def ranked_users(comparison: Comparison, facts: RankedLists) -> str:
    """Whose lists were ranked, and which items are relevant."""
    own = "training and validation ratings" if comparison.protocol == "fair" else "training ratings"
    if not facts.eligible_users:
        return (
            f"No list was ranked: no test user has a relevant item, that is a test rating of at least "
            f"{short(facts.threshold)} of an item that is not among the user's own {own}."
        )
    who = f"all {facts.users:,} test users with a relevant item"
    if facts.users < facts.eligible_users:
        who = f"{facts.users:,} of the {facts.eligible_users:,} test users with a relevant item, drawn by the seed"
    elif facts.users == 1:
        who = "the only test user with a relevant item"
    without = f"; {count(facts.users_without, 'test user')} without one left out" if facts.users_without else ""
    return (
        f"All {facts.items:,} items except those in the user's own {own} are ranked by predicted rating; an item is "
        f"relevant if the user gave it a test rating of at least {short(facts.threshold)}. Ranked for {who}{without}."
    )


def not_ranked(comparison: Comparison, facts: RankedLists) -> str:
    """Which row was scored but not ranked, where any list was."""
    slow = [row for row in comparison.baselines if row.name == "item_knn" and row.ranking is None]
    return f"{opening(inside(slow[0].title))} was not ranked: it is too slow." if slow and facts.users else ""


def best_model(comparison: Comparison) -> str:
    """Whether the model of the lowest test error also has the highest NDCG@10."""
    models = _ranked(in_order(comparison.models))
    leader = best([row for row, _ in models])
    if leader is None or len(models) < 2:
        return ""
    own = next(found for model, found in models if model is leader)
    lowest = f"{opening(inside(leader.title))} has the lowest test error of the models"
    if _all_tied(own):
        return f"{lowest}, but equal scores leave the first 10 items of all its lists to chance."
    row, ranking = _first(models)
    if ranking.ndcg_at_10 == 0:
        return "No model has a relevant item among the first 10 of any list."
    among = _untied_of(models)
    if own.ndcg_at_10 == ranking.ndcg_at_10:
        return f"{lowest} and also the highest NDCG@10{among} ({_shown(own)})."
    return f"{lowest}, but {inside(row.title)} has the highest NDCG@10{among}: {_against(ranking, own)}."


def best_baseline(comparison: Comparison) -> str:
    """The highest NDCG@10 of a baseline against that of a model."""
    models, baselines = _ranked(in_order(comparison.models)), _ranked(in_order(comparison.baselines))
    if not _untied(models) or not _untied(baselines):
        return ""
    (model, ranking), (baseline, other) = _first(models), _first(baselines)
    name, the_best = f"the baseline “{inside(baseline.title)}”", f"the best model{_untied_of(models)}"
    if other.ndcg_at_10 == ranking.ndcg_at_10:
        return f"{opening(name)} has the same NDCG@10 as {the_best}, {_shown(other)}."
    both = _against(other, ranking, model.title)
    if other.ndcg_at_10 > ranking.ndcg_at_10:
        return f"{opening(name)} has a higher NDCG@10 than {the_best}: {both}."
    no_baseline = "No baseline" if len(baselines) == len(comparison.baselines) else "No ranked baseline"
    return f"{no_baseline}{_untied_of(baselines)} has as high an NDCG@10 as {the_best}; the best is {name}: {both}."


def equal_scores(comparison: Comparison) -> str:
    """For how many users equal scores decided which items are the first 10."""
    tied = [(row, ranking) for row, ranking in _ranked(scored(comparison)) if ranking.tied_users]
    if not tied:
        return ""
    some = [
        f"{ranking.tied_users:,} of {ranking.users:,} lists of {inside(row.title)}" for row, ranking in _untied(tied)
    ]
    every = [inside(row.title) for row, ranking in tied if _all_tied(ranking)]
    where = listing([*some, *([f"all lists of {listing(every)}"] if every else [])])
    excluded = " A row whose lists are all decided so is never marked or called the best." if every else ""
    return (
        f"Items with equal scores are ranked in a random order drawn by the seed, the same for all lists; it decided "
        f"some of the first 10 places in {where}.{excluded}"
    )


def _ranked(rows: Sequence[BaselineResult]) -> list[Ranked]:
    return [(row, row.ranking) for row in rows if row.ranking is not None]


def _all_tied(ranking: Ranking) -> bool:
    return ranking.tied_users == ranking.users


def _untied(rows: list[Ranked]) -> list[Ranked]:
    """The rows whose own scores decide the first 10 places of some list at least."""
    return [(row, ranking) for row, ranking in rows if not _all_tied(ranking)]


def _untied_of(rows: list[Ranked]) -> str:
    """A clause where rows are left out because chance decides all their lists; empty where none is."""
    return "" if len(_untied(rows)) == len(rows) else " of those not decided by equal scores"


def _first(rows: list[Ranked]) -> Ranked:
    return max(_untied(rows), key=lambda pair: pair[1].ndcg_at_10)


def _shown(ranking: Ranking) -> str:
    return number(ranking.ndcg_at_10, METRICS["ndcg_at_10"].step)


def _against(one: Ranking, other: Ranking, title: str = "") -> str:
    """Two values, and whether their difference is small beside its standard error, as of independent means."""
    text = f"{_shown(one)} against {_shown(other)}" + (f" of {inside(title)}" if title else "")
    if one.ndcg_at_10_error is None or other.ndcg_at_10_error is None:
        return f"{text}, over a single user"
    margin = STANDARD_ERRORS * math.hypot(one.ndcg_at_10_error, other.ndcg_at_10_error)
    small = abs(one.ndcg_at_10 - other.ndcg_at_10) <= margin
    return f"{text}, a difference that may be chance among {count(one.users, 'user')}" if small else text
