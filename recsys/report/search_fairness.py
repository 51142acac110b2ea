"""Whether both sides of the comparison, factorisation and network, were searched for better settings alike."""

from collections.abc import Sequence

from recsys.data.sources import SAMPLE_LABEL
from recsys.evaluation.comparison import Comparison, Tuning
from recsys.report.searches import (
    BEST_SHARE,
    SURE,
    budget,
    chance_of_best,
    chosen_by_search,
    drawn,
    draws_to_be_sure,
    same_budget,
)
from recsys.report.standing import factorisation, in_order, is_network, networks
from recsys.report.wording import count, inside, listing, percent, seconds


def side_searches(comparison: Comparison) -> list[Tuning]:
    """The searches that chose the settings of the rows compared: the factorisation's first, then the networks'."""
    model, rivals = factorisation(comparison), networks(comparison)
    rows = [*([model] if model else []), *rivals]
    found = [chosen_by_search(comparison, row.name) for row in rows]
    return [tuning for tuning in found if tuning is not None]


def both_sides(searches: Sequence[Tuning]) -> bool:
    """Whether searches are of both sides, factorisation and network."""
    return len({is_network(tuning.name) for tuning in searches}) == 2


def unequal_searches(comparison: Comparison) -> str:
    """Whether one side was not searched, or not as much as the other; empty where none was, or both were alike."""
    searches = side_searches(comparison)
    if searches and not both_sides(searches):
        return _one_side(comparison, searches)
    if not searches or same_budget(searches):
        return ""
    allowed = [f"{inside(tuning.title)} with {budget(tuning)}" for tuning in searches]
    return f"The sides were not searched alike: {listing(allowed)}."


def _one_side(comparison: Comparison, searches: Sequence[Tuning]) -> str:
    side = is_network(searches[0].name)
    others = [inside(row.title) for row in in_order(comparison.models) if is_network(row.name) != side]
    return (
        f"Settings of {listing([inside(tuning.title) for tuning in searches])} were searched, with "
        f"{listing([budget(tuning) for tuning in searches])}, and none of {listing(others)}: a searched side against "
        f"one that was not cannot show which is better in general."
    )


def equal_searches(comparison: Comparison) -> str:
    """That both sides were searched with the same budget, and what they used of it; empty where they were not."""
    searches = side_searches(comparison)
    if not both_sides(searches) or not same_budget(searches):
        return ""
    used = [
        f"{count(len(tuning.trials), 'trial')} in {seconds(tuning.seconds_used)} by {inside(tuning.title)}"
        for tuning in searches
    ]
    return (
        f"The settings of both sides were searched on validation ratings with the same budget, {budget(searches[0])}: "
        f"used were {listing(used)}."
    )


def head_start(comparison: Comparison) -> str:
    """What the searches knew of the embedded sample before they began; empty on other ratings, or without searches."""
    searches = side_searches(comparison)
    if not searches or SAMPLE_LABEL not in comparison.data.source:
        return ""
    return (
        f"The searches of {listing([inside(tuning.title) for tuning in searches])} began with a head start that no "
        f"budget counts: their first points and ranges were found by hand on validation ratings of this very sample, "
        f"in some dozens of trials a family."
    )


def short_searches(comparison: Comparison) -> str:
    """Whether searches may well have missed the best settings; empty where they were long, or there were none."""
    short = [tuning for tuning in side_searches(comparison) if chance_of_best(drawn(tuning)) < SURE]
    if not short:
        return ""
    chances = [
        f"{percent(chance_of_best(drawn(tuning)))} for the {count(drawn(tuning), 'draw')} of {inside(tuning.title)}"
        for tuning in short
    ]
    return (
        f"A longer search may find better settings. Were trials drawn at random, the probability that one lies in the "
        f"best {100 * BEST_SHARE:.0f}% of what was searched would be {listing(chances)}; it takes "
        f"{draws_to_be_sure()} draws to make it {100 * SURE:.0f}%."
    )
