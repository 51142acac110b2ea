"""The section on hyperparameter tuning: budgets, winners and warnings, and the trials as tables and files."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.models.specs import family_of
from recsys.report.outcomes import in_order, mse_step
from recsys.report.searches import (
    MIN_FOR_IMPORTANCE,
    SettingValue,
    State,
    as_given,
    budget,
    draws,
    edge,
    improvement,
    in_state,
    model_of,
    model_title,
    pareto_front,
    parts,
    passed_over,
    range_text,
    same_budget,
    search_title,
    searched_of,
    setting_text,
    setting_title,
    start,
    starting_point,
    trial_title,
    val_error,
    validation_tie_margin,
    winner,
)
from recsys.report.section import Finding, Plot, Section, Table, plots_of, text_table
from recsys.report.sections import network_shape
from recsys.text import NOTHING, count, escape_cell, inside, listing, number, opening, seconds, stopped

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TITLE, TITLE_AS_GIVEN = "How the settings were searched", "How the models were chosen"
BUDGET_CAPTION = "Budgets and winners. Settings were chosen on validation ratings only, never on test ratings."
AS_GIVEN_CAPTION = "Models were chosen on validation ratings only, never on test ratings."
TRIALS_CAPTION = "Validation MSE is that of the weights kept; training time counts all of a trial's epochs."
SAMPLE_CAPTION = " What was pruned on a sample of users was validated on their ratings alone: compare it with its like."

STATES: tuple[State, ...] = ("finished", "pruned", "failed")

ROWS_AS_GIVEN = ("Models", "Trials run", "of which failed", "Training used", "Winner", "Its validation MSE")
"""Rows of the table of budgets where nothing was searched."""

MOST_TRIALS = 30
"""Trials of a search that the report shows; trials.csv and trials.parquet have them all."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Return the section; None where nothing was searched."""
    if not comparison.tuning:
        return None
    warnings, shape = search_warnings(comparison), network_shape.section(comparison, plots)
    short_of = Section("", "Where the searches fell short", warnings, tone="warn") if warnings else None
    parts = [part for part in (short_of, shape) if part]
    tables, shown = [budget_table(comparison), *trial_tables(comparison)], plots_of(plots, "search")
    result = f"{count(sum(len(tuning.trials) for tuning in comparison.tuning), 'trial')}, "
    result += f"{seconds(sum(tuning.seconds_used for tuning in comparison.tuning))} of training"
    findings = search_findings(comparison)
    title = TITLE_AS_GIVEN if as_given(comparison) else TITLE
    return Section("search", title, findings, tables, shown, parts=parts, beside="tables", result=result)


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """Draw the plots of the searches; inside `svg.style`."""
    from recsys.report.sections.tuning_plots import network_shapes, searches

    return [*searches(comparison), *network_shapes(comparison)]


def search_findings(comparison: Comparison) -> list[Finding]:
    """The budget, each search's winner and whether it is at the edge of a range, and what accuracy cost."""
    tunings = in_order(comparison.tuning)
    if as_given(comparison):
        found = [("search budget", _no_search(comparison))]
        found += [("search winner", _chosen(comparison, tuning)) for tuning in tunings]
        return [Finding(topic, text) for topic, text in found if text]
    found = [
        ("search budget", _shared_budget(comparison)),
        *(("search winner", _winner(comparison, tuning)) for tuning in tunings),
        *(("search range", edges(tuning)) for tuning in tunings),
        ("search cost", _cost(comparison)),
        ("importance", _too_few_for_importance(comparison)),
    ]
    return [Finding(topic, text) for topic, text in found if text]


def search_warnings(comparison: Comparison) -> list[Finding]:
    """Unequal budgets, trials that were allowed and did not run, and trials that failed."""
    found = [("unequal searches", _unequal_budgets(comparison))]
    for tuning in in_order(comparison.tuning):
        found += [("unused trials", unused_trials(comparison, tuning)), ("failed trials", failed_trials(tuning))]
    return [Finding(topic, text) for topic, text in found if text]


def _shared_budget(comparison: Comparison) -> str:
    tunings = in_order(comparison.tuning)
    if len(tunings) < 2 or not same_budget(tunings):
        return ""
    used = [
        f"{inside(search_title(tuning))} used {count(len(tuning.trials), 'trial')} and {seconds(tuning.seconds_used)}"
        for tuning in tunings
    ]
    return f"Each search had the same budget, {budget(tunings[0])}; {listing(used)}."


def _no_search(comparison: Comparison) -> str:
    models = sum(len(tuning.trials) for tuning in comparison.tuning)
    return (
        f"No settings were searched (--budget 0): each of the {count(models, 'model')} was tried once, with its "
        f"settings as given. Whether others would be better is not known."
    )


def _chosen(comparison: Comparison, tuning: Tuning) -> str:
    """Which model of a family has the lowest error, of those that were tried once."""
    won = winner(tuning)
    if won is None:
        return ""
    error, name = number(won.val_mse, mse_step(comparison)), inside(model_title(tuning, model_of(tuning, won)))
    if len(tuning.trials) == 1:
        return f"{opening(name)}, with {starting_point(tuning)}, has a validation MSE of {error}."
    text = f"Of {search_title(tuning)}, {name}, with {starting_point(tuning)}, has the lowest validation MSE, {error}."
    return f"{text} {_runners_up(comparison, tuning)}".strip()


def _winner(comparison: Comparison, tuning: Tuning) -> str:
    won, first = winner(tuning), start(tuning)
    if won is None or first is None:
        return ""
    reached = f"a validation MSE of {number(won.val_mse, mse_step(comparison))}"
    name, others = opening(trial_title(tuning, won)), len(tuning.trials) - 1
    if not others:
        return f"Only {trial_title(tuning, won)}, {starting_point(tuning)}, was run, with {reached}."
    if lowest := passed_over(tuning):
        below = number(val_error(lowest), mse_step(comparison))
        text = (
            f"{name}, the settings of a simple model, won with {reached}: the {below} of "
            f"{trial_title(tuning, lowest)} is lower, but by no more than one standard error of the difference."
        )
    elif won is first:
        beaten = "the other trial was not" if others == 1 else f"none of the {others:,} others was"
        text = f"{name}, {starting_point(tuning)}, won with {reached}: {beaten} better."
    else:
        text = f"{name} won with {reached}, {_against_start(comparison, tuning, first)} {_changes(tuning, first, won)}"
    return f"{text.strip()} {_runners_up(comparison, tuning)}".strip()


def _runners_up(comparison: Comparison, tuning: Tuning) -> str:
    """The lowest errors of the models that did not win; empty where no other was tried."""
    best = []
    for part in parts(tuning):
        finished = in_state(part, "finished")
        if part.winner is None and finished:
            lowest = number(min(map(val_error, finished)), mse_step(comparison))
            best.append(f"{inside(part.title)} {lowest}")
    return f"The lowest of the other models: {listing(best)}." if best else ""


def _against_start(comparison: Comparison, tuning: Tuning, first: Trial) -> str:
    gained, step = improvement(tuning), mse_step(comparison)
    if gained is None:
        state = {"pruned": "was pruned", "failed": "failed"}.get(first.state, "")
        return f"but trial {first.number:,} {state}, so the improvement is unknown."
    by_chance = "; chance may explain that" if gained <= validation_tie_margin(comparison) else ""
    given = f"{number(first.val_mse, step)} of trial {first.number:,}, {starting_point(tuning)}"
    return f"{number(gained, step)} below the {given}{by_chance}."


def _changes(tuning: Tuning, first: Trial, won: Trial) -> str:
    changed, same = [], []
    for name in (setting.name for setting in searched_of(tuning, model_of(tuning, won))):
        new, old = won.settings.get(name), first.settings.get(name)
        if new != old:
            changed.append(f"{setting_title(name)} {setting_text(new)} instead of {setting_text(old)}")
        elif name in won.settings:
            same.append(setting_title(name))
    if not changed:
        return ""
    return f"It has {listing(changed)}{f'; {listing(same)} did not change' if same else ''}."


def edges(tuning: Tuning) -> str:
    """Which settings of the winner lie at an end of their range; empty where none does."""
    won = winner(tuning)
    if won is None or not draws(tuning):  # what was given was chosen by no search
        return ""
    found = [
        f"{setting_title(setting.name)} {setting_text(won.settings[setting.name])}, at the {side} end of the searched "
        f"range ({range_text(setting)})"
        for setting in searched_of(tuning, model_of(tuning, won))
        if setting.name in won.settings and (side := edge(setting, won.settings[setting.name]))
    ]
    if not found:
        return ""
    return f"The winner, {trial_title(tuning, won)}, has {listing(found)}: a wider range may be better."


def _cost(comparison: Comparison) -> str:
    """The training time of the best trial, and of the fastest one that ties with it."""
    front, step, margin = pareto_front(comparison), mse_step(comparison), validation_tie_margin(comparison)
    if sum(len(in_state(tuning, "finished")) for tuning in comparison.tuning) < 2:
        return ""
    searched, best = front[-1]
    text = f"The trial of the lowest validation MSE, {number(best.val_mse, step)}, took {seconds(best.seconds)} "
    text += f"of training ({trial_title(searched, best)})"
    tuning, fastest = next(entry for entry in front if val_error(entry[1]) <= val_error(best) + margin)
    which = "no faster trial"
    if fastest is not best:
        which = f"{trial_title(tuning, fastest)} took {seconds(fastest.seconds)} and"
    return f"{text}; {which} came within {number(margin, step)} of it, the margin of a tie."


def _too_few_for_importance(comparison: Comparison) -> str:
    models = [part for tuning in in_order(comparison.tuning) for part in parts(tuning)]
    finished = {part.title: len(in_state(part, "finished")) for part in models}
    few = [f"{inside(title)} has {trials:,}" for title, trials in finished.items() if trials < MIN_FOR_IMPORTANCE]
    if not few:
        return ""
    return f"Estimating which settings matter takes {MIN_FOR_IMPORTANCE} finished trials: {listing(few)}."


def _unequal_budgets(comparison: Comparison) -> str:
    tunings = in_order(comparison.tuning)
    if as_given(comparison):
        return ""
    if len(tunings) == 1:
        only = inside(search_title(tunings[0]))
        return f"Only {only} was tuned by a search; the models that it is compared with were not."
    if not tunings or same_budget(tunings):
        return ""
    budgets = [f"{inside(search_title(tuning))} {budget(tuning)}" for tuning in tunings]
    return f"The searches had unequal budgets: {listing(budgets)}. The smaller budget is a disadvantage."


def unused_trials(comparison: Comparison, tuning: Tuning) -> str:
    """How many trials a search was allowed and did not run, and why; empty where it ran all."""
    used = len(tuning.trials)
    if used >= tuning.trials_allowed:
        return ""
    why = f"although only {seconds(tuning.seconds_used)} of {seconds(tuning.seconds_allowed)} of training were used"
    if tuning.seconds_used >= tuning.seconds_allowed:
        why = f"as its {seconds(tuning.seconds_allowed)} of training were used up"
    text = f"{opening(inside(search_title(tuning)))} ran {used:,} of its {count(tuning.trials_allowed, 'trial')}, {why}"
    others = [other for other in in_order(comparison.tuning) if len(other.trials) > used]
    ahead = [f"{inside(search_title(other))} ({len(other.trials):,})" for other in others]
    return f"{text}: fewer than {listing(ahead)}." if ahead else f"{text}."


def failed_trials(tuning: Tuning) -> str:
    """How many trials of a search failed, and why; empty where none did."""
    failed, name = in_state(tuning, "failed"), inside(search_title(tuning))
    if not failed:
        return ""
    text = f"{len(failed):,} of the {count(len(tuning.trials), 'trial')} of {name} failed"
    if len(failed) == len(tuning.trials):
        text = f"Every trial of {name} failed, so no settings were chosen"
    reason = next((trial.reason for trial in failed if trial.reason), None)
    return stopped(f"{text}: {reason}") if reason else f"{text}."


def budget_table(comparison: Comparison) -> Table:
    """What each search was allowed, used and found: a row a fact, a column a search."""
    tunings = in_order(comparison.tuning)
    columns = [_budget_column(comparison, tuning) for tuning in tunings]
    given = as_given(comparison)
    names = [name for name in (columns[0] if columns else ()) if not given or name in ROWS_AS_GIVEN]
    rows = [[name, *(column[name] for column in columns)] for name in names]
    first, caption = ("Family", AS_GIVEN_CAPTION) if given else ("Search", BUDGET_CAPTION)
    return text_table(caption, [first, *(opening(inside(search_title(tuning))) for tuning in tunings)], rows)


def _budget_column(comparison: Comparison, tuning: Tuning) -> dict[str, str]:
    step, first, won = mse_step(comparison), start(tuning), winner(tuning)
    return {
        "Models": listing([inside(part.title) for part in parts(tuning)]),
        "Settings searched": f"{len(tuning.searched):,}",
        "Trials allowed": f"{tuning.trials_allowed:,}",
        "Trials run": f"{len(tuning.trials):,}",
        **{f"of which {state}": f"{len(in_state(tuning, state)):,}" for state in STATES},
        "of which drawn": f"{draws(tuning):,}",
        "Training allowed": seconds(tuning.seconds_allowed),
        "Training used": seconds(tuning.seconds_used),
        "Winner": NOTHING if won is None else trial_title(tuning, won),
        "Its validation MSE": number(won.val_mse if won else None, step),
        "Validation MSE with its given settings": number(first.val_mse if first else None, step),
        "Improvement over these": number(improvement(tuning), step),
    }


def trial_tables(comparison: Comparison) -> list[Table]:
    """A folded table of the best trials of each search."""
    return [_trial_table(comparison, tuning) for tuning in in_order(comparison.tuning) if tuning.trials]


def _trial_table(comparison: Comparison, tuning: Tuning) -> Table:
    total = len(tuning.trials)
    best_first = sorted(tuning.trials, key=lambda trial: (STATES.index(trial.state), val_error(trial), trial.number))
    which = f"The best {MOST_TRIALS} of {total:,} trials" if total > MOST_TRIALS else f"All {total:,} trials"
    which = f"{which} of {inside(search_title(tuning))}, the best first"
    title = which if total > 1 else f"The trial of {inside(search_title(tuning))}"
    names = list(dict.fromkeys(setting.name for setting in tuning.searched))
    headings = ["Trial", "Model", "Validation MSE", "State", "Epochs", "Best epoch", "Training", "Parameters"]
    headings += [opening(setting_title(name)) for name in names]
    rows = [_trial_row(comparison, tuning, trial, names) for trial in best_first[:MOST_TRIALS]]
    caption = TRIALS_CAPTION + (SAMPLE_CAPTION if any(trial.sampled for trial in tuning.trials) else "")
    return text_table(caption, headings, rows, title=title)


def _trial_row(comparison: Comparison, tuning: Tuning, trial: Trial, names: list[str]) -> list[str]:
    state = f"{trial.state} on a sample of users" if trial.sampled else trial.state
    return [
        f"{trial.number:,}",
        inside(model_title(tuning, model_of(tuning, trial))),
        number(trial.val_mse, mse_step(comparison)),
        f"{state}: {stopped(trial.reason)}" if trial.reason else state,
        f"{trial.epochs:,}",
        NOTHING if trial.best_epoch is None else f"{trial.best_epoch:,}",
        seconds(trial.seconds),
        NOTHING if trial.parameters is None else f"{trial.parameters:,}",
        *(setting_text(trial.settings.get(name)) for name in names),
    ]


def trials_table(comparison: Comparison) -> "pa.Table":
    """All trials in the order they were started.

    Returns:
        Columns family ("mf" or "dnn"), model (name of its row), number, state, val_mse (squared rating units), sampled
        (whether val_mse is that of a sample of users), best_epoch, epochs, seconds, parameters, reason, and
        `settings.<name>` for each setting that any search varied, null where it is not one of the model.
    """
    import pyarrow as pa

    tunings = in_order(comparison.tuning)
    trials = [(tuning, trial) for tuning in tunings for trial in tuning.trials]
    families = [tuning.family or family_of(tuning.name) for tuning, _ in trials]
    columns = {
        "family": pa.array(families, pa.string()),
        "model": pa.array([model_of(tuning, trial) for tuning, trial in trials], pa.string()),
    }
    kinds = {"state": pa.string(), "val_mse": pa.float64(), "seconds": pa.float64(), "reason": pa.string()}
    kinds["sampled"] = pa.bool_()
    for name in ("number", "state", "val_mse", "sampled", "best_epoch", "epochs", "seconds", "parameters", "reason"):
        columns[name] = pa.array([getattr(trial, name) for _, trial in trials], kinds.get(name, pa.int64()))
    for name in dict.fromkeys(setting.name for tuning in tunings for setting in tuning.searched):
        columns[f"settings.{name}"] = pa.array(_same_type([trial.settings.get(name) for _, trial in trials]))
    return pa.table(columns)


def _same_type(values: list[SettingValue | None]) -> list[Any]:
    """Values of one type, or integers among other numbers, as they are; a mixture as texts."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return values
    return [None if value is None else setting_text(value) for value in values]


def trials_csv(comparison: Comparison) -> str:
    """The same table as CSV, numbers in full, units of layers as 128-64."""
    table = trials_table(comparison)
    text = io.StringIO()
    lines = csv.DictWriter(text, fieldnames=table.column_names, lineterminator="\n")
    lines.writeheader()
    for row in table.to_pylist():
        values = {name: setting_text(value) if isinstance(value, list) else value for name, value in row.items()}
        lines.writerow({name: escape_cell(value) for name, value in values.items()})
    return text.getvalue()
