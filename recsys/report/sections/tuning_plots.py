"""Which searched settings mattered: a functional analysis of variance over the finished trials.

A random forest learns the order of the trials from their settings; a setting's share is what it alone explains of
the forest's variance (Hutter, Hoos and Leyton-Brown 2014, 'An Efficient Approach for Assessing Hyperparameter
Importance', as Optuna has it). It is the order and not the error that is learnt, so that one trial that
diverged does not explain everything.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from statistics import median

import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from scipy.stats import rankdata

from recsys.evaluation.results import Comparison, SearchedSetting, Trial, Tuning
from recsys.report.outcomes import in_order, mse_step
from recsys.report.section import Plot
from recsys.report.sections.tuning_tables import (
    ENOUGH,
    Tried,
    error,
    front,
    in_state,
    place,
    scored_trials,
    spoken,
    trial,
    winner,
    written,
)
from recsys.report.style import LIGHT, file_name, look
from recsys.report.svg import finished, label, legend, plain_ticks, sheet
from recsys.seeding import derive_seed
from recsys.text import count, inside, listing, number, opening, percent, seconds


def importances(tuning: Tuning, seed: int) -> dict[str, float]:
    """Share of each searched setting in what the settings explain.

    Args:
        tuning: a search.
        seed: of the random forest.

    Returns:
        Shares that sum to 1, the largest first; empty with fewer than `searches.ENOUGH` finished trials, or where
        all of these are equally good or have equal settings.
    """
    finished = in_state(tuning, "finished")
    settings = [setting for setting in tuning.searched if all(setting.name in tried.settings for tried in finished)]
    if len(finished) < ENOUGH or len({error(tried) for tried in finished}) < 2:
        return {}
    columns = {setting.name: _column(setting, finished) for setting in settings}
    varied = {name: column for name, column in columns.items() if len(set(column[1])) > 1}
    if not varied:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce the study on the terminal
    study = optuna.create_study()
    ranks = rankdata([error(tried) for tried in finished])
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=float(rank),
                params={name: column[1][row] for name, column in varied.items()},
                distributions={name: column[0] for name, column in varied.items()},
            )
            for row, rank in enumerate(ranks)
        ]
    )
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    shares = {name: float(found.get(name, 0.0)) for name in columns}
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))


def _column(setting: SearchedSetting, finished: list[Trial]) -> tuple[BaseDistribution, list[float] | list[str]]:
    """A setting's values as places in its range, or as names where they have no order."""
    values = [tried.settings[setting.name] for tried in finished]
    places = [place(setting, value) for value in values]
    known = [where for where in places if where is not None]
    if len(known) == len(values):
        inside = [min(1.0, max(0.0, where)) for where in known]
        return FloatDistribution(0.0, 1.0), inside
    names = [written(value) for value in values]
    return CategoricalDistribution(sorted(set(names))), names


MOST_ABOVE_BEST = 3.0
"""How many times farther than the median a trial may be from the best one and still be drawn in its place."""

SHORTEST = 0.01


def searches(comparison: Comparison) -> list[Plot]:
    """The pictures of the searches, those left out that have nothing to show."""
    if not any(scored_trials(tuning) for tuning in comparison.tuning):
        return []
    return [_history(comparison), _costs(comparison), *_importances(comparison)]


def ceiling(errors: Sequence[float], always: Sequence[float] = ()) -> float:
    """The error above which trials are drawn at the upper edge of a picture, so that the others can be told apart.

    Args:
        errors: of all trials, at least one.
        always: errors that are drawn in their place whatever the others are.
    """
    best = min(errors)
    return min(max(errors), max(best + MOST_ABOVE_BEST * (median(errors) - best), *always, best))


def limit(axes: Axes, errors: Sequence[float], top: float) -> None:
    """Let the y axis reach from below the lowest of the errors to above `top`."""
    room = (top - min(errors)) or abs(top) or 1.0
    axes.set_ylim(min(errors) - 0.08 * room, top + 0.16 * room)


def beyond(errors: Sequence[float], top: float, step: float) -> str:
    """How many errors are drawn at the upper edge instead of in their place; empty where none is."""
    above = sum(value > top for value in errors)
    if not above:
        return ""
    return f"{count(above, 'trial')} above {number(top, step)} {'is' if above == 1 else 'are'} drawn at the upper edge."


def _history(comparison: Comparison) -> Plot:
    figure, axes = sheet(3.1)
    top = _limits(comparison, axes)
    tunings = in_order(comparison.tuning)
    for tuning in tunings:
        shape = look(tuning.name, baseline=False)
        places = {tried.number: place for place, tried in enumerate(tuning.trials)}
        done = in_state(tuning, "finished")
        if done:
            best = list(accumulate(map(error, done), min))
            steps = [places[tried.number] for tried in done]
            axes.step([*steps, len(tuning.trials) - 1], [*best, best[-1]], where="post", color=shape.colour)
        for tried in tuning.trials:
            _mark(axes, tuning, tried, places[tried.number], top)
        won = winner(tuning)
        if won:
            _ring(axes, places[won.number], error(won))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("trial")
    axes.set_ylabel("validation MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    _name_families(figure, comparison)
    told = "; ".join(_history_told(comparison, tuning) for tuning in tunings)
    caption = "Each trial's validation MSE; the line is the lowest so far, the ring the winner."
    caption += _marks(comparison, top)
    return finished(figure, "search-history", "search", caption, f"Searches, trial by trial: {told}.")


def _history_told(comparison: Comparison, tuning: Tuning) -> str:
    won, text = winner(tuning), f"{inside(tuning.title)} over {count(len(tuning.trials), 'trial')}"
    return f"{text}, won by trial {won.number} with {number(won.val_mse, mse_step(comparison))}" if won else text


def _costs(comparison: Comparison) -> Plot:
    figure, axes = sheet(3.1)
    top = _limits(comparison, axes)
    axes.set_xscale("log")
    steps = front(comparison)
    _front_line(axes, steps)
    for tuning in in_order(comparison.tuning):
        for tried in tuning.trials:
            _mark(axes, tuning, tried, max(tried.seconds, SHORTEST), top)
        won = winner(tuning)
        if won:
            _ring(axes, max(won.seconds, SHORTEST), error(won))
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
    axes.minorticks_off()
    axes.set_xlabel("training (s, log scale)")
    axes.set_ylabel("validation MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    _name_families(figure, comparison)
    step = mse_step(comparison)
    told = "; ".join(
        f"{seconds(tried.seconds)} {number(tried.val_mse, step)} {inside(tuning.title)}" for tuning, tried in steps
    )
    caption = "What each trial cost. The grey line joins the finished ones that none is both faster and better than: "
    caption += f"{_front_owners(comparison, steps)}.{_marks(comparison, top)}"
    return finished(figure, "search-costs", "search", caption, f"The line, fastest first: {told}.")


def _front_line(axes: Axes, steps: Sequence[Tried]) -> None:
    if steps:
        axes.step(
            [max(tried.seconds, SHORTEST) for _, tried in steps],
            [error(tried) for _, tried in steps],
            where="post",
            color=LIGHT["soft"],
            linewidth=1.2,
        )


def _front_owners(comparison: Comparison, steps: Sequence[Tried]) -> str:
    owners = [tuning.name for tuning, _ in steps]
    parts = [
        f"{owners.count(tuning.name):,} of {inside(tuning.title)}"
        for tuning in in_order(comparison.tuning)
        if tuning.name in owners
    ]
    return listing(parts) or "none"


def _limits(comparison: Comparison, axes: Axes) -> float:
    """Set the y axis, and return the error that is the highest to be drawn in its place."""
    errors = [error(tried) for tuning in comparison.tuning for tried in scored_trials(tuning)]
    first = [error(trial(tuning, 0)) for tuning in comparison.tuning]
    top = ceiling(errors, [value for value in first if math.isfinite(value)])
    limit(axes, errors, top)
    return top


def _mark(axes: Axes, tuning: Tuning, tried: Trial, x: float, top: float) -> None:
    """A finished trial filled, a pruned one hollow, a failed one as a cross; what is above `top` at the upper edge."""
    shape = look(tuning.name, baseline=False)
    inside_axes = error(tried) <= top
    height = error(tried) if inside_axes else axes.get_ylim()[1]
    marker = "x" if tried.state == "failed" else shape.marker
    face = shape.colour if tried.state == "finished" else LIGHT["paper"]
    axes.plot([x], [height], marker=marker, color=shape.colour, mfc=face, markersize=5.5, clip_on=inside_axes)


def _ring(axes: Axes, x: float, height: float) -> None:
    axes.plot([x], [height], "o", mfc="none", mec=LIGHT["ink"], ms=11, mew=1.1)


def _marks(comparison: Comparison, top: float) -> str:
    """The sentences about marks that are not self-evident, those alone that the picture has."""
    states = {tried.state for tuning in comparison.tuning for tried in tuning.trials}
    errors = [error(tried) for tuning in comparison.tuning for tried in scored_trials(tuning)]
    texts = [
        "Hollow: pruned after its first epochs." if "pruned" in states else "",
        "Cross: failed." if "failed" in states else "",
        beyond(errors, top, mse_step(comparison)),
    ]
    return "".join(f" {text}" for text in texts if text)


def _name_families(figure: Figure, comparison: Comparison) -> None:
    handles, names = [], []
    for tuning in in_order(comparison.tuning):
        shape = look(tuning.name, baseline=False)
        handles.append(Line2D([], [], color=shape.colour, marker=shape.marker, markersize=5.5))
        names.append(label(tuning.title))
    legend(figure, handles, names)


def _importances(comparison: Comparison) -> list[Plot]:
    plots = []
    for tuning in in_order(comparison.tuning):
        shares = importances(tuning, derive_seed(comparison.seed, "importance", tuning.name))
        if shares:
            plots.append(_importance(tuning, shares))
    return plots


def _importance(tuning: Tuning, shares: dict[str, float]) -> Plot:
    figure, axes = sheet(0.75 + 0.27 * len(shares))
    names = list(shares)
    axes.barh(range(len(names)), list(shares.values()), height=0.62, color=look(tuning.name, baseline=False).colour)
    for position, share in enumerate(shares.values()):
        axes.annotate(
            percent(share), (share, position), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    axes.set_yticks(range(len(names)), [label(spoken(name)) for name in names], color=LIGHT["ink"])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * max(shares.values()))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, position: f"{100 * value:.0f}%")
    axes.set_xlabel("share of what the settings explain")
    told = "; ".join(f"{spoken(name)} {percent(share)}" for name, share in shares.items())
    return finished(
        figure,
        f"search-importance-{file_name(tuning.name)}",
        "search",
        importance_told(tuning, shares),
        f"Which settings of {tuning.title} mattered: {told}.",
    )


def importance_told(tuning: Tuning, shares: dict[str, float]) -> str:
    """Which settings mattered most, and over how many trials.

    Args:
        tuning: the search.
        shares: of each setting, the largest first.
    """
    most = [name for name in shares if sum(list(shares.values())[: list(shares).index(name)]) < 0.5]
    parts = [f"{spoken(name)} ({percent(shares[name])})" for name in most]
    over = count(len(in_state(tuning, "finished")), "finished trial")
    text = f"{opening(inside(tuning.title))}: the order of {over} is explained "
    text += f"for the most part by {listing(parts)}" if len(most) < len(shares) else "by all of its settings"
    return f"{text}. A share is what a random forest puts down to one setting, the others averaged out."
