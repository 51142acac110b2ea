"""Reading the hyperparameter searches: ranges, trials and budgets, and whether both sides had the same chances."""

import math
from collections.abc import Sequence
from typing import Literal

from recsys.data.datasets import SAMPLE
from recsys.evaluation.results import Comparison, SearchedSetting, Trial, Tuning
from recsys.models.specs import ROW
from recsys.report.outcomes import gap_by_chance, in_order, is_network, sides
from recsys.settings import Settings
from recsys.text import NOTHING, count, inside, listing, percent, seconds, short

SettingValue = int | float | bool | str | list[int]
State = Literal["finished", "pruned", "failed"]

FAMILY_TITLES = {"mf": "matrix factorisation", "dnn": "deep networks"}

EDGE = 0.05  # share of a range, at either end, that counts as its edge

MIN_FOR_IMPORTANCE = 20
"""Finished trials that it takes to estimate hyperparameter importance: with 12 of up to 7 settings, the most important
one came first in 11 simulated searches of 12, with 20 in all of them."""

TOP_SHARE = 0.05
CONFIDENCE = 0.95
"""Bergstra and Bengio 2012, 'Random Search for Hyper-Parameter Optimization': of n random draws, at least one lies
in the best 5% of the search space with a probability of 1 - 0.95^n; 59 draws make that 95%."""


def setting_title(name: str) -> str:
    """A setting's name in a sentence."""
    return name.replace("_", " ")


def setting_text(value: SettingValue | None) -> str:
    """A setting's value as text: units of layers as 128-64, switches as yes and no."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "-".join(map(str, value))
    return value if isinstance(value, str) else short(value)


def range_text(setting: SearchedSetting) -> str:
    """The searched range: "0.01 to 0.3", or the choices "32, 64, 128"."""
    if setting.low is not None and setting.high is not None:
        return f"{short(setting.low)} to {short(setting.high)}{', log scale' if setting.log else ''}"
    return ", ".join(map(setting_text, setting.choices))


def position(setting: SearchedSetting, value: SettingValue) -> float | None:
    """Where a value lies in the searched range, on the scale that was searched.

    Returns:
        0 at the lower end and 1 at the upper one, less or more outside; None where the range has no ends.
    """
    if setting.low is not None and setting.high is not None:
        if isinstance(value, str | list) or setting.high <= setting.low:
            return None
        if not setting.log:
            return (value - setting.low) / (setting.high - setting.low)
        return math.log(value / setting.low) / math.log(setting.high / setting.low) if value > 0 else -math.inf
    if not setting.ordered or len(setting.choices) < 2 or value not in setting.choices:
        return None
    return setting.choices.index(value) / (len(setting.choices) - 1)


def edge(setting: SearchedSetting, value: SettingValue) -> Literal["lower", "upper"] | None:
    """The edge of the range that a value lies at, unless that is a lower end of 0, below which no setting goes."""
    at = position(setting, value)
    if at is None:
        return None
    if at <= EDGE:
        lowest = setting.low if setting.low is not None else setting.choices[0]
        return None if lowest == 0 else "lower"
    return "upper" if at >= 1 - EDGE else None


def parts(tuning: Tuning) -> list[Tuning]:
    """A search taken apart: for each model that was tried its own trials and settings, in the order of the trials."""
    names = dict.fromkeys(model_of(tuning, trial) for trial in tuning.trials)
    found = []
    for name in names:
        trials = [trial for trial in tuning.trials if model_of(tuning, trial) == name]
        won = tuning.winner if tuning.winner in {trial.number for trial in trials} else None
        changes = {"name": name, "title": model_title(tuning, name), "trials": trials, "winner": won}
        found.append(tuning.model_copy(update={**changes, "searched": searched_of(tuning, name)}))
    return found


def model_of(tuning: Tuning, trial: Trial) -> str:
    """The name of the model that a trial is of."""
    return trial.model or tuning.name


def model_title(tuning: Tuning, name: str) -> str:
    """The title of a model that was tried."""
    return tuning.title if name == tuning.name else ROW[name].title if name in ROW else name


def searched_of(tuning: Tuning, model: str) -> list[SearchedSetting]:
    """The settings that were searched of a model."""
    return [setting for setting in tuning.searched if setting.model in ("", model)]


def search_title(tuning: Tuning) -> str:
    """What was searched: a model, or a family of several."""
    return FAMILY_TITLES[tuning.family] if tuning.family and len(parts(tuning)) > 1 else tuning.title


def trial_title(tuning: Tuning, trial: Trial) -> str:
    """A trial in a sentence: "trial 3 of tuned MF"."""
    return f"trial {trial.number:,} of {inside(model_title(tuning, model_of(tuning, trial)))}"


def start(tuning: Tuning) -> Trial | None:
    """The trial with the settings as given of the model that won, or of the first one."""
    won = winner(tuning)
    model = model_of(tuning, won) if won else None
    return next((trial for trial in tuning.trials if model in (None, model_of(tuning, trial))), None)


def trial_of(tuning: Tuning, number: int | None) -> Trial | None:
    """The trial of this number, if there is one."""
    return next((trial for trial in tuning.trials if trial.number == number), None)


def winner(tuning: Tuning) -> Trial | None:
    """The trial whose settings were chosen."""
    return trial_of(tuning, tuning.winner)


def passed_over(tuning: Tuning) -> Trial | None:
    """The trial of the lowest validation MSE, where a simple model won that it beats by chance only."""
    return None if tuning.lowest == tuning.winner else trial_of(tuning, tuning.lowest)


def in_state(tuning: Tuning, state: State) -> list[Trial]:
    """The trials that ended in this state, in the order they were started."""
    return [trial for trial in tuning.trials if trial.state == state]


def val_error(trial: Trial | None) -> float:
    """A trial's validation MSE, in squared rating units; infinite where it has none, or one of other ratings."""
    if trial is None or trial.val_mse is None or trial.sampled or math.isnan(trial.val_mse):
        return math.inf
    return trial.val_mse


def scored_trials(tuning: Tuning) -> list[Trial]:
    """The trials with a validation MSE: those that finished, and those that were pruned."""
    return [trial for trial in tuning.trials if trial.state != "failed" and math.isfinite(val_error(trial))]


def improvement(tuning: Tuning) -> float | None:
    """How far the winner's validation MSE is below that of its given settings; None where either did not finish."""
    first, won = start(tuning), winner(tuning)
    if first is None or won is None or first.state != "finished":
        return None
    return val_error(first) - val_error(won)


def validation_tie_margin(comparison: Comparison) -> float:
    """The largest gap between two validation MSEs that counts as a tie, in squared rating units."""
    return gap_by_chance(comparison, comparison.data.validation_rows)


def starting_point(tuning: Tuning) -> str:
    """What the given settings of the winner's model are: the project's, or those that this run was given."""
    first, known = start(tuning), Settings()
    defaults = getattr(known, tuning.name).model_dump(mode="json") if tuning.name in Settings.model_fields else {}
    if first is None or any(defaults.get(name) != value for name, value in first.settings.items()):
        return "the settings that this run was given"
    return "the notebook's hand-tuned settings" if tuning.name == "dnn_tuned" else "the default settings"


def budget(tuning: Tuning) -> str:
    """The trials and the training time that a search was allowed."""
    return f"{count(tuning.trials_allowed, 'trial')} and {seconds(tuning.seconds_allowed)} of training"


def same_budget(tunings: Sequence[Tuning]) -> bool:
    """Whether several searches had the same budget; where none drew any trial, its size is that of the family."""
    return len({(tuning.trials_allowed, tuning.seconds_allowed) for tuning in tunings}) == 1 or not any(
        draws(tuning) for tuning in tunings
    )


def draws(tuning: Tuning) -> int:
    """The number of trials that were drawn."""
    return sum(trial.number >= tuning.points for trial in tuning.trials)


def as_given(comparison: Comparison) -> bool:
    """Whether nothing was searched (--budget 0): each model was tried once, with its settings as given."""
    tunings = comparison.tuning
    return bool(tunings) and not any(draws(tuning) or tuning.seconds_allowed for tuning in tunings)


def effort(comparison: Comparison) -> str:
    """What models cost beside their fits, in a few words."""
    return "the trials that chose the models" if as_given(comparison) else "the hyperparameter search"


def draws_needed() -> int:
    """The random draws of which at least one lies in the best 5% of the search space with a probability of 95%."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - TOP_SHARE))


def pareto_front(comparison: Comparison) -> list[tuple[Tuning, Trial]]:
    """The finished trials of all searches that no other one beats in both time and error, the fastest first."""
    finished = [(tuning, trial) for tuning in comparison.tuning for trial in in_state(tuning, "finished")]
    front: list[tuple[Tuning, Trial]] = []
    for tuning, trial in sorted(finished, key=lambda entry: (entry[1].seconds, val_error(entry[1]))):
        if val_error(trial) < (val_error(front[-1][1]) if front else math.inf):
            front.append((tuning, trial))
    return front


def side_searches(comparison: Comparison) -> list[Tuning]:
    """The searches that chose the settings of the two sides compared: the factorisation's first, then the networks'.

    A search that drew no trial is none.
    """
    by_name = {tuning.name: tuning for tuning in comparison.tuning if tuning.winner is not None and draws(tuning)}
    return [by_name[side.name] for side in sides(comparison) if side.name in by_name]


def both_sides(searches: Sequence[Tuning]) -> bool:
    """Whether both a factorisation and a network were searched."""
    return len({is_network(tuning.name) for tuning in searches}) == 2


def equal_searches(comparison: Comparison) -> str:
    """That both sides were searched with the same budget, and how much of it they used; empty where they were not."""
    searches = side_searches(comparison)
    if not both_sides(searches) or not same_budget(searches):
        return ""
    used = [
        f"{count(len(tuning.trials), 'trial')} in {seconds(tuning.seconds_used)} by {inside(search_title(tuning))}"
        for tuning in searches
    ]
    return (
        f"The settings of both sides were tuned on validation ratings with the same budget, {budget(searches[0])}; "
        f"used were {listing(used)}."
    )


def unequal_searches(comparison: Comparison) -> str:
    """That one side was not searched, or with a smaller budget; empty where neither was, or both equally."""
    searches = side_searches(comparison)
    if not searches or (both_sides(searches) and same_budget(searches)):
        return ""
    if both_sides(searches):
        budgets = [f"{inside(search_title(tuning))} with {budget(tuning)}" for tuning in searches]
        return f"The two sides were tuned with unequal budgets: {listing(budgets)}."
    side, names = is_network(searches[0].name), [inside(search_title(tuning)) for tuning in searches]
    others = [inside(row.title) for row in in_order(comparison.models) if is_network(row.name) != side]
    if not others:
        return ""
    return (
        f"A search tuned the settings of {listing(names)} (budget: {listing(list(map(budget, searches)))}) but not "
        f"those of {listing(others)}: with only one side tuned, the comparison cannot show which is better in general."
    )


def head_start(comparison: Comparison) -> str:
    """What went into the searches on the embedded sample before they started; empty on other ratings."""
    names = [inside(search_title(tuning)) for tuning in side_searches(comparison)]
    if not names or SAMPLE.title not in comparison.data.source:
        return ""
    return (
        f"The budget does not count the head start that the searches of {listing(names)} had: their starting points "
        f"and ranges were chosen by hand on validation ratings of this same sample, in some dozens of trials per model "
        f"family."
    )


def short_searches(comparison: Comparison) -> str:
    """Which searches were so short that they may have missed the best settings; empty where none was."""
    chances = [
        f"{percent(probability)} for the {count(draws(tuning), 'draw')} of {inside(search_title(tuning))}"
        for tuning in side_searches(comparison)
        if (probability := 1 - (1 - TOP_SHARE) ** draws(tuning)) < CONFIDENCE
    ]
    if not chances:
        return ""
    return (
        f"A longer search may find better settings: with random draws, the probability that at least one lies in the "
        f"best {100 * TOP_SHARE:.0f}% of the search space is {listing(chances)}; it takes {draws_needed()} draws to "
        f"make it {100 * CONFIDENCE:.0f}%."
    )


def not_searched(comparison: Comparison) -> str:
    """Which of the families compared could not be searched, and why; empty where none failed to be."""
    found = []
    for tuning in comparison.tuning:
        if tuning.winner is None or tuning.searched_trials or not draws(tuning):
            continue
        reason = next((trial.reason for trial in reversed(tuning.trials) if trial.reason), None)
        found.append(f"{inside(search_title(tuning))}{f' ({reason})' if reason else ''}")
    if not found:
        return ""
    return f"Every trial of new settings of {listing(found)} failed: what is compared has settings known beforehand."
