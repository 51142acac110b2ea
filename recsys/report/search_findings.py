"""How the settings were searched, in sentences: who had which budget, what won, and what to mistrust."""

from recsys.evaluation.comparison import Comparison, Trial, Tuning
from recsys.report.searched_settings import edge, reach, spoken, written
from recsys.report.searches import (
    ENOUGH,
    budget,
    drawn,
    error,
    front,
    gain,
    in_state,
    ran_out_of_time,
    same_budget,
    starting_point,
    trial,
    validation_chance,
    winner,
)
from recsys.report.standing import in_order, mse_step
from recsys.report.wording import Finding, count, inside, listing, number, opening, seconds, stopped

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
