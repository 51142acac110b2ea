"""The plots of the searches: trial by trial, error against cost, importance of the settings, shape of the networks."""

import math
from collections import Counter
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
from recsys.report.searches import (
    MIN_FOR_IMPORTANCE,
    as_given,
    in_state,
    model_of,
    pareto_front,
    parts,
    position,
    scored_trials,
    search_title,
    setting_text,
    setting_title,
    start,
    trial_title,
    val_error,
    winner,
)
from recsys.report.section import Plot
from recsys.report.sections.network_shape import Dimension, dimensions, network_search
from recsys.report.svg import LIGHT, abreast, file_name, finished, label, legend, look, plain_ticks, sheet
from recsys.seeding import derive_seed
from recsys.text import count, inside, listing, number, opening, percent, seconds, short

OUTLIER = 3.0  # a trial farther from the best one than so many median distances is drawn at the upper edge
SHORTEST = 0.01  # seconds; the log axis has no place for less


def searches(comparison: Comparison) -> list[Plot]:
    """The plots of all searches; none where no trial has an error, or nothing was searched."""
    if as_given(comparison):
        return []
    return [_progress(comparison), _costs(comparison), *_importances(comparison)] if _errors(comparison) else []


def network_shapes(comparison: Comparison) -> list[Plot]:
    """One plot with a panel for each dimension in which the networks differed; none where they did not."""
    tuning = network_search(comparison)
    varied = [dimension for dimension in dimensions(comparison) if len(dimension.groups) > 1]
    if tuning is None or not varied:
        return []
    errors = [val_error(trial) for trial in scored_trials(tuning)]
    step, top = mse_step(comparison), upper_limit(errors)
    figure, panels = abreast(2.7, len(varied))
    for axes, dimension in zip(panels, varied, strict=True):
        _limit(axes, errors, top)
        _shape_panel(axes, tuning, dimension, top)
    panels[0].set_ylabel("validation MSE (rating units²)")
    plain_ticks(panels[0], y=True)
    caption = f"The {count(len(errors), 'trial')} of {inside(tuning.title)} that have an error, whose other settings "
    caption += f"vary too; the line joins the lowest error of each group. {_outliers(errors, top, step)}"
    groups = [group for dimension in varied for group in dimension.groups]
    lowest = [f"{group.label} {number(val_error(group.best), step)}" for group in groups]
    return [finished(figure, "search-shape", "shape", caption.strip(), f"Lowest validation MSE: {'; '.join(lowest)}.")]


def _shape_panel(axes: Axes, tuning: Tuning, dimension: Dimension, top: float) -> None:
    for at, group in enumerate(dimension.groups):
        for trial in group.trials:
            _mark(axes, tuning, trial, at, top, size=5)
    lowest = [min(val_error(group.best), axes.get_ylim()[1]) for group in dimension.groups]
    axes.plot(range(len(lowest)), lowest, "-", color=LIGHT["soft"], linewidth=1.2)
    axes.set_xticks(range(len(lowest)), [short(group.start) for group in dimension.groups], fontsize=7.5)
    axes.margins(x=0.15)
    axes.set_xlabel(dimension.axis)


def upper_limit(errors: Sequence[float], included: Sequence[float] = ()) -> float:
    """The error above which trials are drawn at the upper edge of a plot, so that the others can be told apart.

    Those `included` are drawn in their place whatever the others are.
    """
    best = min(errors)
    return min(max(errors), max(best + OUTLIER * (median(errors) - best), *included, best))


def _limit(axes: Axes, errors: Sequence[float], top: float) -> None:
    """Let the y axis reach from below the lowest of the errors to above `top`."""
    height = (top - min(errors)) or abs(top) or 1.0
    axes.set_ylim(min(errors) - 0.08 * height, top + 0.16 * height)


def _outliers(errors: Sequence[float], top: float, step: float) -> str:
    """How many errors are drawn at the upper edge instead of in their place; empty where none is."""
    above = sum(value > top for value in errors)
    text = f"{count(above, 'trial')} above {number(top, step)} {'is' if above == 1 else 'are'} drawn at the upper edge."
    return text if above else ""


def _progress(comparison: Comparison) -> Plot:
    figure, axes = sheet(3.1)
    top = _limit_all(comparison, axes)
    tunings, told = in_order(comparison.tuning), []
    for tuning in tunings:
        positions = {trial.number: at for at, trial in enumerate(tuning.trials)}
        if finished_trials := in_state(tuning, "finished"):
            best = list(accumulate(map(val_error, finished_trials), min))
            steps = [*(positions[trial.number] for trial in finished_trials), len(tuning.trials) - 1]
            axes.step(steps, [*best, best[-1]], where="post", color=look(tuning.name).colour)
        for trial in tuning.trials:
            _mark(axes, tuning, trial, positions[trial.number], top)
        text = f"{inside(search_title(tuning))} over {count(len(tuning.trials), 'trial')}"
        if won := winner(tuning):
            _ring(axes, positions[won.number], val_error(won))
            text += f", won by trial {won.number} with {number(won.val_mse, mse_step(comparison))}"
        told.append(text)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("trial")
    _finish_axes(figure, axes, comparison)
    caption = "Validation MSE of each trial; the line is the lowest so far, the ring the winner."
    caption += _marks_legend(comparison, top)
    return finished(figure, "search-history", "search", caption, f"Searches, trial by trial: {'; '.join(told)}.")


def _costs(comparison: Comparison) -> Plot:
    figure, axes = sheet(3.1)
    top = _limit_all(comparison, axes)
    axes.set_xscale("log")
    if front := pareto_front(comparison):
        times, errors = [max(trial.seconds, SHORTEST) for _, trial in front], [val_error(trial) for _, trial in front]
        axes.step(times, errors, where="post", color=LIGHT["soft"], linewidth=1.2)
    for tuning in in_order(comparison.tuning):
        for trial in tuning.trials:
            _mark(axes, tuning, trial, max(trial.seconds, SHORTEST), top)
        if won := winner(tuning):
            _ring(axes, max(won.seconds, SHORTEST), val_error(won))
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
    axes.minorticks_off()
    axes.set_xlabel("training (s, log scale)")
    _finish_axes(figure, axes, comparison)
    step, counts = mse_step(comparison), Counter(tuning.name for tuning, _ in front)
    on_front = [tuning for tuning in in_order(comparison.tuning) if tuning.name in counts]
    shares = [f"{counts[tuning.name]:,} of {inside(search_title(tuning))}" for tuning in on_front]
    told = [
        f"{seconds(trial.seconds)} {number(trial.val_mse, step)} {trial_title(tuning, trial)}"
        for tuning, trial in front
    ]
    caption = "Training time and error of each trial. The grey line is the Pareto front, the finished trials that no "
    caption += f"other beats in both: {listing(shares) or 'none'}.{_marks_legend(comparison, top)}"
    return finished(figure, "search-costs", "search", caption, f"The Pareto front, fastest first: {'; '.join(told)}.")


def _errors(comparison: Comparison) -> list[float]:
    return [val_error(trial) for tuning in comparison.tuning for trial in scored_trials(tuning)]


def _limit_all(comparison: Comparison, axes: Axes) -> float:
    """Set the y axis for the trials of all searches, and return the highest error that is drawn in its place."""
    errors = _errors(comparison)
    first = [val_error(start(tuning)) for tuning in comparison.tuning]
    top = upper_limit(errors, [value for value in first if math.isfinite(value)])
    _limit(axes, errors, top)
    return top


def _mark(axes: Axes, tuning: Tuning, trial: Trial, x: float, top: float, size: float = 5.5) -> None:
    """A finished trial filled, a pruned one hollow, a failed one as a cross; what is above `top` at the upper edge."""
    shape, within = look(model_of(tuning, trial)), val_error(trial) <= top
    y = val_error(trial) if within else axes.get_ylim()[1]
    marker = "x" if trial.state == "failed" else shape.marker
    face = shape.colour if trial.state == "finished" else LIGHT["paper"]
    axes.plot([x], [y], marker=marker, color=shape.colour, mfc=face, markersize=size, clip_on=within)


def _ring(axes: Axes, x: float, height: float) -> None:
    axes.plot([x], [height], "o", mfc="none", mec=LIGHT["ink"], ms=11, mew=1.1)


def _marks_legend(comparison: Comparison, top: float) -> str:
    """What the marks mean, of those that the plot has."""
    states = {trial.state for tuning in comparison.tuning for trial in tuning.trials}
    outliers = _outliers(_errors(comparison), top, mse_step(comparison))
    text = " Hollow: pruned after its first epochs." if "pruned" in states else ""
    text += " At the upper edge: pruned on a sample of users." if _sampled(comparison) else ""
    text += " Cross: failed." if "failed" in states else ""
    return f"{text} {outliers}" if outliers else text


def _sampled(comparison: Comparison) -> bool:
    return any(trial.sampled for tuning in comparison.tuning for trial in tuning.trials)


def _finish_axes(figure: Figure, axes: Axes, comparison: Comparison) -> None:
    """The y label, and a legend of the models."""
    axes.set_ylabel("validation MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    models = [part for tuning in in_order(comparison.tuning) for part in parts(tuning)]
    looks = [look(model.name) for model in models]
    handles = [Line2D([], [], color=shape.colour, marker=shape.marker, markersize=5.5) for shape in looks]
    legend(figure, handles, [label(model.title) for model in models])


def _importances(comparison: Comparison) -> list[Plot]:
    seeds = (
        (part, derive_seed(comparison.seed, "importance", part.name))
        for tuning in in_order(comparison.tuning)
        for part in parts(tuning)
    )
    return [_importance(part, shares) for part, seed in seeds if (shares := importances(part, seed))]


def importances(tuning: Tuning, seed: int) -> dict[str, float]:
    """Hyperparameter importance: a functional analysis of variance over the finished trials.

    A random forest learns the ranks of the trials from their settings; a setting's share is what it alone explains
    of the forest's variance (Hutter, Hoos and Leyton-Brown 2014, 'An Efficient Approach for Assessing Hyperparameter
    Importance', as Optuna implements it). Ranks instead of errors, so that one diverged trial does not explain
    everything.

    Returns:
        Shares that sum to 1, the largest first; empty with fewer than MIN_FOR_IMPORTANCE finished trials, or where
        all of these have equal errors or equal settings.
    """
    trials = in_state(tuning, "finished")
    settings = [setting for setting in tuning.searched if all(setting.name in trial.settings for trial in trials)]
    if len(trials) < MIN_FOR_IMPORTANCE or len({val_error(trial) for trial in trials}) < 2:
        return {}
    columns = {setting.name: _importance_column(setting, trials) for setting in settings}
    varied = {name: column for name, column in columns.items() if len(set(column[1])) > 1}
    if not varied:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce the study on the terminal
    study = optuna.create_study()
    distributions = {name: distribution for name, (distribution, _) in varied.items()}
    for index, rank in enumerate(rankdata([val_error(trial) for trial in trials])):
        params = {name: values[index] for name, (_, values) in varied.items()}
        made = optuna.trial.create_trial(value=float(rank), params=params, distributions=distributions)
        study.add_trial(made)
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    shares = {name: float(found.get(name, 0.0)) for name in columns}
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))


def _importance_column(
    setting: SearchedSetting, trials: list[Trial]
) -> tuple[BaseDistribution, list[float] | list[str]]:
    """A setting's values as positions in its range, or as names where they have no order."""
    values = [trial.settings[setting.name] for trial in trials]
    positions = [at for value in values if (at := position(setting, value)) is not None]
    if len(positions) == len(values):
        return FloatDistribution(0.0, 1.0), [min(1.0, max(0.0, at)) for at in positions]
    names = [setting_text(value) for value in values]
    return CategoricalDistribution(sorted(set(names))), names


def _importance(tuning: Tuning, shares: dict[str, float]) -> Plot:
    figure, axes = sheet(0.75 + 0.27 * len(shares))
    names = list(shares)
    axes.barh(range(len(names)), list(shares.values()), height=0.62, color=look(tuning.name).colour)
    for at, share in enumerate(shares.values()):
        axes.annotate(percent(share), (share, at), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(names)), [label(setting_title(name)) for name in names], color=LIGHT["ink"])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * max(shares.values()))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axes.set_xlabel("share of the explained variance")
    told = "; ".join(f"{setting_title(name)} {percent(share)}" for name, share in shares.items())
    alt, name = f"Importance of the settings of {tuning.title}: {told}.", f"search-importance-{file_name(tuning.name)}"
    return finished(figure, name, "search", importance_caption(tuning, shares), alt)


def importance_caption(tuning: Tuning, shares: dict[str, float]) -> str:
    """The settings that explain at least half of the variance, the largest share first, and over how many trials."""
    before = dict(zip(shares, accumulate(shares.values(), initial=0.0), strict=False))
    most = [f"{setting_title(name)} ({percent(share)})" for name, share in shares.items() if before[name] < 0.5]
    which = f"mostly by {listing(most)}" if len(most) < len(shares) else "by all of its settings"
    return (
        f"{opening(inside(tuning.title))}: the ranks of {count(len(in_state(tuning, 'finished')), 'finished trial')} "
        f"are explained {which}. A share is what a random forest attributes to one setting alone (fANOVA)."
    )
