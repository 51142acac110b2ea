"""The searches as tables: what each was allowed and found, and every trial."""

from dataclasses import dataclass

from recsys.evaluation.comparison import Comparison, Trial, Tuning
from recsys.report.searched_settings import spoken, written
from recsys.report.searches import best_first, gain, in_state, trial, winner
from recsys.report.standing import in_order, mse_step
from recsys.report.wording import NOTHING, inside, number, opening, seconds, stopped

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
