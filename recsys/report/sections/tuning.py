"""How the settings were searched: who had which budget, what won, what to mistrust, and whether both had the same."""

from collections.abc import Sequence

from recsys.data.datasets import SAMPLE
from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.report.outcomes import factorisation, in_order, is_network, mse_step, networks
from recsys.report.section import Finding
from recsys.report.sections.tuning_tables import (
    BEST_SHARE,
    ENOUGH,
    SURE,
    budget,
    chance_of_best,
    chosen_by_search,
    drawn,
    draws_to_be_sure,
    edge,
    error,
    front,
    gain,
    in_state,
    ran_out_of_time,
    reach,
    same_budget,
    spoken,
    starting_point,
    trial,
    validation_chance,
    winner,
    written,
)
from recsys.text import count, inside, listing, number, opening, percent, seconds, stopped


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
    if not searches or SAMPLE.title not in comparison.data.source:
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


SEARCH_TITLE = "How the settings were searched"


def search_findings(comparison: Comparison) -> list[Finding]:
    """What the searches were and what they found; nothing where nothing was searched."""
    texts = [
        _shared_budget(comparison),
        *[_won(comparison, tuning) for tuning in in_order(comparison.tuning)],
        *[_edges(tuning) for tuning in in_order(comparison.tuning)],
        _price(comparison),
        _unknown_importance(comparison),
    ]
    return [Finding("search", text) for text in texts if text]


def search_warnings(comparison: Comparison) -> list[Finding]:
    """Where a search was not what the other was, or not what it was allowed to be."""
    tunings = in_order(comparison.tuning)
    texts = [_uneven(comparison)]
    for tuning in tunings:
        texts += [_unused(comparison, tuning), _failures(tuning)]
    return [Finding("search warning", text) for text in texts if text]


def _shared_budget(comparison: Comparison) -> str:
    tunings = in_order(comparison.tuning)
    if len(tunings) < 2 or not same_budget(tunings):
        return ""
    used = [
        f"{inside(tuning.title)} used {count(len(tuning.trials), 'trial')} and {seconds(tuning.seconds_used)}"
        for tuning in tunings
    ]
    return f"Each search was allowed {budget(tunings[0])}; {listing(used)}."


def _uneven(comparison: Comparison) -> str:
    tunings = in_order(comparison.tuning)
    if len(tunings) == 1:
        return (
            f"Only {inside(tunings[0].title)} was searched for better settings: whatever it is compared with had no "
            f"such chance."
        )
    if not tunings or same_budget(tunings):
        return ""
    allowed = [f"{inside(tuning.title)} {budget(tuning)}" for tuning in tunings]
    return f"The searches had unequal budgets: {listing(allowed)}. The smaller one is at a disadvantage."


def _unused(comparison: Comparison, tuning: Tuning) -> str:
    used = len(tuning.trials)
    if used >= tuning.trials_allowed:
        return ""
    why = f"although only {seconds(tuning.seconds_used)} of {seconds(tuning.seconds_allowed)} were used"
    if ran_out_of_time(tuning):
        why = f"as its {seconds(tuning.seconds_allowed)} of training were used up"
    text = f"{opening(inside(tuning.title))} began {used:,} of its {count(tuning.trials_allowed, 'trial')}, {why}"
    ahead = [
        f"{inside(other.title)}, with {len(other.trials):,}"
        for other in in_order(comparison.tuning)
        if len(other.trials) > used
    ]
    return f"{text}: fewer settings were tried than for {listing(ahead)}." if ahead else f"{text}."


def _failures(tuning: Tuning) -> str:
    failed = in_state(tuning, "failed")
    if not failed:
        return ""
    if len(failed) == len(tuning.trials):
        text = f"Every trial of {inside(tuning.title)} failed, so no settings were chosen"
    else:
        text = f"{len(failed):,} of the {count(len(tuning.trials), 'trial')} of {inside(tuning.title)} failed"
    reason = next((tried.reason for tried in failed if tried.reason), None)
    return stopped(f"{text}: {reason}") if reason else f"{text}."


def _won(comparison: Comparison, tuning: Tuning) -> str:
    won, first, step = winner(tuning), trial(tuning, 0), mse_step(comparison)
    if won is None:
        return ""
    name, reached = inside(tuning.title), f"a validation MSE of {number(won.val_mse, step)}"
    if not drawn(tuning):
        return f"For {name} nothing but trial 0, {starting_point(tuning)}, was tried: {reached}."
    if won.number == 0:
        others = count(drawn(tuning), "other trial")
        none = "The one other trial was not" if drawn(tuning) == 1 else f"None of the {others} was"
        return f"{none} better than trial 0 of {name}, {starting_point(tuning)}, with {reached}: it was kept."
    text = f"Trial {won.number:,} of {name} won with {reached}, {_against_start(comparison, tuning)}"
    return f"{text} {_changes(tuning, first, won)}".strip()


def _against_start(comparison: Comparison, tuning: Tuning) -> str:
    first, gained, step = trial(tuning, 0), gain(tuning), mse_step(comparison)
    if first is None or gained is None:
        state = "is missing" if first is None else {"pruned": "was pruned", "failed": "failed"}.get(first.state, "")
        return f"but trial 0 {state}, so what the search gained cannot be told."
    text = f"{number(gained, step)} below the {number(first.val_mse, step)} of trial 0, {starting_point(tuning)}"
    return f"{text}: no more than chance may bring." if gained <= validation_chance(comparison) else f"{text}."


def _changes(tuning: Tuning, first: Trial | None, won: Trial) -> str:
    before = first.settings if first else {}
    changed = [
        f"{spoken(setting.name)} {written(won.settings.get(setting.name))} rather than "
        f"{written(before.get(setting.name))}"
        for setting in tuning.searched
        if first is not None and won.settings.get(setting.name) != before.get(setting.name)
    ]
    kept = [spoken(setting.name) for setting in tuning.searched if setting.name in won.settings] if first else []
    kept = [name for name in kept if not any(text.startswith(f"{name} ") for text in changed)]
    if not changed:
        return ""
    same = f"; {listing(kept)} did not change" if kept else ""
    return f"It has {listing(changed)}{same}."


def _edges(tuning: Tuning) -> str:
    won = winner(tuning)
    if won is None:
        return ""
    found = [
        f"{spoken(setting.name)} {written(won.settings[setting.name])} at the {side} edge of what was searched "
        f"({reach(setting)})"
        for setting in tuning.searched
        if setting.name in won.settings and (side := edge(setting, won.settings[setting.name]))
    ]
    if not found:
        return ""
    return f"The winner of {inside(tuning.title)} has {listing(found)}: a wider range could find better."


def _price(comparison: Comparison) -> str:
    """The cheapest trial that is as good as the best, but for what chance may bring."""
    steps = front(comparison)
    if sum(len(in_state(tuning, "finished")) for tuning in comparison.tuning) < 2:
        return ""
    step, chance = mse_step(comparison), validation_chance(comparison)
    best, cheap = steps[-1], next(entry for entry in steps if error(entry[1]) <= error(steps[-1][1]) + chance)
    text = f"The lowest validation MSE of all trials, {number(best[1].val_mse, step)}, took "
    text += f"{seconds(best[1].seconds)} of training ({_named(best)})"
    if cheap is best:
        return f"{text}; none that was faster came within {number(chance, step)} of it, what chance may bring."
    return (
        f"{text}; {_named(cheap)} came within {number(chance, step)} of it, what chance may bring, in "
        f"{seconds(cheap[1].seconds)}."
    )


def _named(entry: tuple[Tuning, Trial]) -> str:
    return f"trial {entry[1].number:,} of {inside(entry[0].title)}"


def _unknown_importance(comparison: Comparison) -> str:
    few = [tuning for tuning in in_order(comparison.tuning) if len(in_state(tuning, "finished")) < ENOUGH]
    if not few:
        return ""
    had = [f"{inside(tuning.title)} has {len(in_state(tuning, 'finished')):,}" for tuning in few]
    return f"It takes {ENOUGH} finished trials to tell which settings matter most: {listing(had)}."
