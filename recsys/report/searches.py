"""The searches behind the tuned rows: what each was allowed, what it tried, and what it found."""

import math
from collections.abc import Sequence
from typing import Literal

from recsys.evaluation.comparison import Comparison, Trial, Tuning
from recsys.report.standing import gap_by_chance
from recsys.report.wording import count, seconds
from recsys.settings import Settings

Tried = tuple[Tuning, Trial]

ENOUGH = 20
"""Finished trials that tell which settings matter: with 12 of up to 7 settings, the one that mattered most came first
in 11 simulated searches of 12, with 20 in all of them."""

BEST_SHARE = 0.05
SURE = 0.95
"""Bergstra and Bengio 2012, 'Random Search for Hyper-Parameter Optimization': of n random draws, at least one lies
in the best 5% of what is searched with a probability of 1 - 0.95^n; 59 draws make that 95%."""


def trial(tuning: Tuning, number: int | None) -> Trial | None:
    """The trial of a number, if there is one."""
    return next((tried for tried in tuning.trials if tried.number == number), None)


def winner(tuning: Tuning) -> Trial | None:
    """The chosen trial."""
    return trial(tuning, tuning.winner)


def in_state(tuning: Tuning, state: Literal["finished", "pruned", "failed"]) -> list[Trial]:
    """The trials that ended in a state, in the order they were begun."""
    return [tried for tried in tuning.trials if tried.state == state]


def error(tried: Trial | None) -> float:
    """A trial's validation MSE, in squared rating units; infinite where it has none."""
    if tried is None or tried.val_mse is None or math.isnan(tried.val_mse):
        return math.inf
    return tried.val_mse


def scored_trials(tuning: Tuning) -> list[Trial]:
    """The trials that reached some validation MSE: those that finished, and those that were pruned."""
    return [tried for tried in tuning.trials if tried.state != "failed" and math.isfinite(error(tried))]


def best_first(tuning: Tuning) -> list[Trial]:
    """All trials: the finished ones by their validation MSE, then the pruned ones, then the failed ones."""
    states = ("finished", "pruned", "failed")
    return sorted(tuning.trials, key=lambda tried: (states.index(tried.state), error(tried), tried.number))


def gain(tuning: Tuning) -> float | None:
    """By how much the winner's validation MSE is below that of trial 0; None where either did not finish."""
    first, won = trial(tuning, 0), winner(tuning)
    if first is None or won is None or first.state != "finished":
        return None
    return error(first) - error(won)


def validation_chance(comparison: Comparison) -> float:
    """The largest gap between two validation MSEs that may be chance, in squared rating units."""
    return gap_by_chance(comparison, comparison.data.validation_rows)


def starting_point(tuning: Tuning) -> str:
    """What trial 0 is: the settings as this project has them, or as this run was given them."""
    first, known = trial(tuning, 0), Settings()
    defaults = getattr(known, tuning.name).model_dump(mode="json") if tuning.name in Settings.model_fields else {}
    if first is None or any(defaults.get(name) != value for name, value in first.settings.items()):
        return "the settings that this run was given"
    return "the notebook's hand-tuned point" if tuning.name == "dnn_tuned" else "the default settings"


def budget(tuning: Tuning) -> str:
    """What a search was allowed."""
    return f"{count(tuning.trials_allowed, 'trial')} and {seconds(tuning.seconds_allowed)} of training"


def same_budget(tunings: Sequence[Tuning]) -> bool:
    """Whether several searches were all allowed as much."""
    return len({(tuning.trials_allowed, tuning.seconds_allowed) for tuning in tunings}) == 1


def ran_out_of_time(tuning: Tuning) -> bool:
    """Whether it was its seconds that kept a search from its further trials."""
    return len(tuning.trials) < tuning.trials_allowed and tuning.seconds_used >= tuning.seconds_allowed


def chosen_by_search(comparison: Comparison, name: str) -> Tuning | None:
    """The search that chose the settings of a row; None where nothing but trial 0 was tried."""
    return next(
        (found for found in comparison.tuning if found.name == name and found.winner is not None and drawn(found)),
        None,
    )


def drawn(tuning: Tuning) -> int:
    """How many trials a search added to trial 0."""
    return sum(tried.number != 0 for tried in tuning.trials)


def chance_of_best(draws: int) -> float:
    """The probability that one of so many random draws lies in the best 5% of what is searched."""
    return 1 - (1 - BEST_SHARE) ** draws


def draws_to_be_sure() -> int:
    """How many random draws it takes for a probability of 95%."""
    return math.ceil(math.log(1 - SURE) / math.log(1 - BEST_SHARE))


def front(comparison: Comparison) -> list[Tried]:
    """The finished trials of all searches that no other is both faster and better than, the fastest first."""
    finished = [(tuning, tried) for tuning in comparison.tuning for tried in in_state(tuning, "finished")]
    kept: list[Tried] = []
    for tuning, tried in sorted(finished, key=lambda entry: (entry[1].seconds, error(entry[1]))):
        if error(tried) < min((error(other) for _, other in kept), default=math.inf):
            kept.append((tuning, tried))
    return kept
