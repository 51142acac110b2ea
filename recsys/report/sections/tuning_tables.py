"""The searches as tables: what each was allowed, what it tried, and what it found."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from recsys.evaluation.results import Comparison, SearchedSetting, Trial, Tuning
from recsys.report.outcomes import gap_by_chance, in_order, mse_step
from recsys.settings import Settings
from recsys.text import NOTHING, count, escape_cell, inside, number, opening, seconds, short, stopped

SettingValue = int | float | bool | str | list[int]

EDGE = 0.05
"""Share of a range, at either end, that counts as its edge."""


def spoken(name: str) -> str:
    """A setting's name as it is read."""
    return name.replace("_", " ")


def written(value: SettingValue | None) -> str:
    """A setting's value as it is read: units of layers as 128-64, switches as yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "-".join(map(str, value))
    return value if isinstance(value, str) else short(value)


def reach(setting: SearchedSetting) -> str:
    """What was searched: 0.01 to 0.3, or one of 32, 64, 128."""
    if setting.low is not None and setting.high is not None:
        return f"{short(setting.low)} to {short(setting.high)}{', log scale' if setting.log else ''}"
    return ", ".join(map(written, setting.choices))


def place(setting: SearchedSetting, value: SettingValue) -> float | None:
    """Where a value lies between the ends of what was searched, in the scale that was searched.

    Returns:
        0 at the first end and 1 at the last, less or more outside; None where there are no ends.
    """
    if setting.low is not None and setting.high is not None:
        if isinstance(value, str | list) or setting.high <= setting.low:
            return None
        if setting.log:
            if value <= 0:
                return -math.inf
            return math.log(value / setting.low) / math.log(setting.high / setting.low)
        return (value - setting.low) / (setting.high - setting.low)
    if not setting.ordered or len(setting.choices) < 2 or value not in setting.choices:
        return None
    return setting.choices.index(value) / (len(setting.choices) - 1)


def edge(setting: SearchedSetting, value: SettingValue) -> Literal["lower", "upper"] | None:
    """The end of a range that a value lies at, if a range that goes further would make sense.

    Nothing lies at a lower end of 0: no setting is below 0.
    """
    where = place(setting, value)
    if where is None:
        return None
    if where <= EDGE:
        first = setting.low if setting.low is not None else setting.choices[0]
        return None if first == 0 else "lower"
    return "upper" if where >= 1 - EDGE else None


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


MOST_TRIALS = 30
"""Trials of a search that the report shows; the files have them all."""


@dataclass(frozen=True)
class TrialTable:
    """The trials of one search as people read them, the best first."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def budget_headings(comparison: Comparison) -> list[str]:
    """A column for each search."""
    return ["Search", *[opening(tuning.title) for tuning in in_order(comparison.tuning)]]


def budget_rows(comparison: Comparison) -> list[list[str]]:
    """What each search was allowed, used and found, a row for each fact."""
    columns = [_facts(comparison, tuning) for tuning in in_order(comparison.tuning)]
    return [[name, *[column[name] for column in columns]] for name in columns[0]] if columns else []


def _facts(comparison: Comparison, tuning: Tuning) -> dict[str, str]:
    step, first, won = mse_step(comparison), trial(tuning, 0), winner(tuning)
    return {
        "Settings searched": f"{len(tuning.searched):,}",
        "Trials allowed": f"{tuning.trials_allowed:,}",
        "Trials begun": f"{len(tuning.trials):,}",
        "of which finished": f"{len(in_state(tuning, 'finished')):,}",
        "of which pruned": f"{len(in_state(tuning, 'pruned')):,}",
        "of which failed": f"{len(in_state(tuning, 'failed')):,}",
        "Training allowed": seconds(tuning.seconds_allowed),
        "Training used": seconds(tuning.seconds_used),
        "Winner": NOTHING if won is None else f"trial {won.number:,}",
        "Its validation MSE": number(won.val_mse if won else None, step),
        "Validation MSE of trial 0": number(first.val_mse if first else None, step),
        "What the search gained": number(gain(tuning), step),
    }


def trial_tables(comparison: Comparison) -> list[TrialTable]:
    """The best trials of each search, one column per searched setting."""
    return [_trial_table(comparison, tuning) for tuning in in_order(comparison.tuning) if tuning.trials]


def _trial_table(comparison: Comparison, tuning: Tuning) -> TrialTable:
    shown, total = best_first(tuning)[:MOST_TRIALS], len(tuning.trials)
    which = f"The best {len(shown)} of {total:,} trials" if len(shown) < total else f"All {total:,} trials"
    names = [setting.name for setting in tuning.searched]
    return TrialTable(
        f"{which} of {inside(tuning.title)}, the best first",
        [
            *("Trial", "Validation MSE", "State", "Epochs", "Best epoch", "Training", "Parameters"),
            *[opening(spoken(name)) for name in names],
        ],
        [_cells(comparison, tried, names) for tried in shown],
    )


def _cells(comparison: Comparison, tried: Trial, names: list[str]) -> list[str]:
    state = f"{tried.state}: {stopped(tried.reason)}" if tried.reason else tried.state
    return [
        f"{tried.number:,}",
        number(tried.val_mse, mse_step(comparison)),
        state,
        f"{tried.epochs:,}",
        NOTHING if tried.best_epoch is None else f"{tried.best_epoch:,}",
        seconds(tried.seconds),
        NOTHING if tried.parameters is None else f"{tried.parameters:,}",
        *[written(tried.settings.get(name)) for name in names],
    ]


_FIXED = pa.schema(
    [
        ("family", pa.string()),
        ("number", pa.int64()),
        ("state", pa.string()),
        ("val_mse", pa.float64()),
        ("best_epoch", pa.int64()),
        ("epochs", pa.int64()),
        ("seconds", pa.float64()),
        ("parameters", pa.int64()),
        ("reason", pa.string()),
    ]
)


def trials_table(comparison: Comparison) -> pa.Table:
    """All trials in the order they were begun.

    Returns:
        Columns family (the name of the row that the search's winner became), number, state, val_mse (squared rating
        units), best_epoch, epochs, seconds, parameters, reason, and `settings.<name>` for each setting that
        any search varied, null where it was not varied in that family.
    """
    tried = [(tuning.name, trial) for tuning in in_order(comparison.tuning) for trial in tuning.trials]
    fixed = [{"family": family, **trial.model_dump(include=set(_FIXED.names))} for family, trial in tried]
    columns = {field.name: pa.array([row[field.name] for row in fixed], field.type) for field in _FIXED}
    for name in dict.fromkeys(setting.name for tuning in in_order(comparison.tuning) for setting in tuning.searched):
        columns[f"settings.{name}"] = _column([trial.settings.get(name) for _, trial in tried])
    return pa.table(columns)


def _column(values: list[SettingValue | None]) -> pa.Array:
    """Values of one type, integers among other numbers included, as they are; others as texts."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return pa.array(values)
    return pa.array([None if value is None else written(value) for value in values], pa.string())


def trials_csv(comparison: Comparison) -> str:
    """The same table as text, numbers in full, units of layers as 128-64."""
    table = trials_table(comparison)
    text = io.StringIO()
    lines = csv.DictWriter(text, fieldnames=table.column_names, lineterminator="\n")
    lines.writeheader()
    for row in table.to_pylist():
        lines.writerow(
            {name: escape_cell(written(value) if isinstance(value, list) else value) for name, value in row.items()}
        )
    return text.getvalue()
