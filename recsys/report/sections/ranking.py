"""What the numbers say about the first ten items of the ranked lists."""

import math

from recsys.evaluation.results import BaselineResult, Comparison, RankedLists, Ranking
from recsys.report.outcomes import best, in_order, scored
from recsys.report.section import Finding
from recsys.report.sections.results import NDCG_STEP
from recsys.text import count, inside, listing, number, opening, short

STANDARD_ERRORS = 2
"""Gaps of up to so many standard errors may be chance."""

Ranked = tuple[BaselineResult, Ranking]


def top_ten_findings(comparison: Comparison) -> list[Finding]:
    """Whose lists were ranked, who orders them best, and where equal scores decided."""
    facts = comparison.ranking
    if facts is None:
        return []
    texts = [
        lists(comparison, facts),
        too_slow(comparison, facts),
        best_by_both(comparison),
        against_baselines(comparison),
        decided_by_chance(comparison),
    ]
    return [Finding("top ten", text) for text in texts if text]


def lists(comparison: Comparison, facts: RankedLists) -> str:
    """Whose lists were ranked, and what is in them."""
    own = "training and validation ratings" if comparison.protocol == "fair" else "training ratings"
    if not facts.eligible_users:
        return (
            f"No list was ranked: no test user has a test rating of at least {short(facts.threshold)} of an item "
            f"outside of the user's own {own}."
        )
    who = f"the lists of all {facts.users:,} test users who have one"
    if facts.users < facts.eligible_users:
        who = f"the lists of {facts.users:,} of the {facts.eligible_users:,} test users who have one, drawn by the seed"
    elif facts.users == 1:
        who = "the list of the only test user who has one"
    without = facts.users_without
    left_out = f"; left out: {count(without, 'test user')} without one" if without else ""
    return (
        f"A list holds all {facts.items:,} items but those of the user's own {own}, and should begin with the relevant "
        f"ones: those that the user gave a test rating of at least {short(facts.threshold)}. Ranked: {who}{left_out}."
    )


def too_slow(comparison: Comparison, facts: RankedLists) -> str:
    """Which row was scored but not ranked, where any list was."""
    slow = [row for row in comparison.baselines if row.name == "item_knn" and row.ranking is None]
    if not slow or not facts.users:
        return ""
    return f"{opening(inside(slow[0].title))} was not ranked, as that would take too long."


def best_by_both(comparison: Comparison) -> str:
    """Whether the model of the lowest test error also has the highest NDCG@10."""
    models = _ranked(in_order(comparison.models))
    leader = best([row for row, _ in models])
    if leader is None or len(models) < 2:
        return ""
    own = next(found for model, found in models if model is leader)
    name = opening(inside(leader.title))
    if _left_to_chance(own):
        return (
            f"{name} has the lowest test error of the models, but equal scores leave the first 10 of all its lists to "
            f"chance."
        )
    row, ranking = _first(_chosen(models))
    if ranking.ndcg_at_10 == 0:
        return "No model has a relevant item among the first 10 of any list."
    among = " of any" + _of_chosen(models) if _of_chosen(models) else ""
    if own.ndcg_at_10 == ranking.ndcg_at_10:
        return (
            f"{name} has the lowest test error of the models, and the highest NDCG@10{among} as well ({_shown(own)})."
        )
    return (
        f"{name} has the lowest test error of the models, but {inside(row.title)} has the highest NDCG@10{among}, "
        f"{_shown(ranking)} against {_shown(own)}{_chance(ranking, own)}."
    )


def against_baselines(comparison: Comparison) -> str:
    """The highest NDCG@10 of a baseline against that of a model."""
    any_model, any_baseline = _ranked(in_order(comparison.models)), _ranked(in_order(comparison.baselines))
    models, baselines = _chosen(any_model), _chosen(any_baseline)
    if not models or not baselines:
        return ""
    (model, ranking), (baseline, other) = _first(models), _first(baselines)
    both = f"{_shown(other)} against {_shown(ranking)} of {inside(model.title)}"
    name = f"the baseline “{inside(baseline.title)}”"
    if other.ndcg_at_10 == ranking.ndcg_at_10:
        return f"{opening(name)} has the same NDCG@10 as the best model{_of_chosen(any_model)}, {_shown(other)}."
    chance = _chance(other, ranking)
    if other.ndcg_at_10 > ranking.ndcg_at_10:
        return f"{opening(name)} has a higher NDCG@10 than any model{_of_chosen(any_model)}, {both}{chance}."
    no_baseline = "No baseline" if len(any_baseline) == len(comparison.baselines) else "No ranked baseline"
    return (
        f"{no_baseline}{_of_chosen(any_baseline)} has an NDCG@10 as high as that of the best model"
        f"{_of_chosen(any_model)}: {name} comes next, {both}{chance}."
    )


def decided_by_chance(comparison: Comparison) -> str:
    """For how many users the first ten items were not told from others by their scores."""
    tied = [(row, ranking) for row, ranking in _ranked(scored(comparison)) if ranking.tied_users]
    if not tied:
        return ""
    told = [
        f"{ranking.tied_users:,} of {ranking.users:,} lists of {inside(row.title)}"
        for row, ranking in tied
        if not _left_to_chance(ranking)
    ]
    wholly = [inside(row.title) for row, ranking in tied if _left_to_chance(ranking)]
    told += [f"all lists of {listing(wholly)}"] if wholly else []
    unfit = " A row of which that holds for all lists is not called the best here." if wholly else ""
    return (
        f"Equal scores stand in an order drawn by the seed, the same for all lists: chance decided some of the first "
        f"10 places in {listing(told)}.{unfit}"
    )


def _ranked(rows: list[BaselineResult]) -> list[Ranked]:
    return [(row, row.ranking) for row in rows if row.ranking is not None]


def _left_to_chance(ranking: Ranking) -> bool:
    """Whether equal scores left the first ten of every list to chance."""
    return ranking.tied_users == ranking.users


def _chosen(rows: list[Ranked]) -> list[Ranked]:
    return [(row, ranking) for row, ranking in rows if not _left_to_chance(ranking)]


def _of_chosen(rows: list[Ranked]) -> str:
    """What the rows that may be the best are, where not all of them may; empty where all may."""
    return "" if len(_chosen(rows)) == len(rows) else " whose scores choose its lists"


def _first(rows: list[Ranked]) -> Ranked:
    return max(rows, key=lambda pair: pair[1].ndcg_at_10)


def _shown(ranking: Ranking) -> str:
    return number(ranking.ndcg_at_10, NDCG_STEP)


def _chance(one: Ranking, other: Ranking) -> str:
    """A clause where the gap is small beside its standard error, as of independent means; empty where it is not."""
    if one.ndcg_at_10_error is None or other.ndcg_at_10_error is None:
        return ", over a single user"
    margin = STANDARD_ERRORS * math.hypot(one.ndcg_at_10_error, other.ndcg_at_10_error)
    small = abs(one.ndcg_at_10 - other.ndcg_at_10) <= margin
    return f", a gap that chance may have made among {count(one.users, 'user')}" if small else ""
