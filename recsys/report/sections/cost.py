"""Costs beside accuracy: parameters, file size, training time once and in total, memory, and prediction time."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recsys.evaluation.results import BaselineResult, Combination, Comparison, ModelResult
from recsys.report.outcomes import (
    best_network,
    every_row,
    factorisation,
    held_out_name,
    in_order,
    is_network,
    is_uncertain,
    mse_step,
    networks,
    outcome,
    scored,
)
from recsys.report.searches import effort
from recsys.report.section import Finding, Plot, Section, plots_of, text_table
from recsys.report.sections.energy import energy_findings, energy_is_known, energy_of
from recsys.report.svg import LIGHT, finished, label, legend, look, look_of, plain_ticks, sheet
from recsys.text import NOTHING, count, inside, listing, number, opening, seconds, short, size, times, verb

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COST_HEADINGS = ("Model", "Parameters", "File", "Fit, once", "All in", "Peak memory", "Prediction")
COST_CAPTION = (
    "Fit, once: training with one seed. All in: with {whole}. Peak memory: of the "
    "process that trained. Prediction: time per rating, in large batches."
)
ABOUT_EQUAL = 0.05
MEASURABLE_SECONDS = 0.1
NEAR = 1.01
"""Errors within this factor of the target have reached it."""

SHOWN = 1.3
"""Courses are drawn up to so many times the lowest error."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The costs of every row; None where nothing was scored."""
    rows = cost_rows(comparison)
    headings: tuple[str, ...] = COST_HEADINGS
    if energy_is_known(comparison):
        rows = [(*cells, energy_of(row)) for cells, row in zip(rows, every_row(comparison), strict=True)]
        headings = (*headings, "Energy")
    whole = f"all seeds and {effort(comparison)}" if comparison.tuning else "all seeds"
    tables = [text_table(COST_CAPTION.format(whole=whole), headings, rows)]
    findings = time_findings(comparison) + energy_findings(comparison)
    shown = plots_of(plots, "costs")
    if not rows:
        return None
    return Section("costs", "What it costs", findings, tables, shown, result=_result(comparison))


def _result(comparison: Comparison) -> str:
    """Seconds of one training of the best network and of the factorisation; empty without both."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None:
        return ""
    told = [f"{seconds(row.fit_seconds)} for {inside(row.title)}" for row in (network, model)]
    return f"one training takes {listing(told)}"


def search_seconds(comparison: Comparison, row: BaselineResult) -> float:
    """Seconds of training that were spent on searching the settings of a row, or of a combination's members.

    The row that a search chose cost the whole search; another model of its family cost its own trials.
    """
    names = set(row.members) if isinstance(row, Combination) else {row.name}
    return sum(
        search.seconds_used
        if search.name in names
        else sum(trial.seconds for trial in search.trials if trial.model in names)
        for search in comparison.tuning
    )


def all_in_seconds(comparison: Comparison, row: BaselineResult) -> float:
    """Seconds of a row's search and of the fits of all its seeds."""
    fits = row.seeds if isinstance(row, ModelResult) and row.seeds else [row]
    return sum(fit.fit_seconds for fit in fits) + search_seconds(comparison, row)


def cost_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row per row of the table, a text for each of COST_HEADINGS; a dash where it is not known."""
    return [_cost_row(comparison, row) for row in every_row(comparison)]


def _cost_row(comparison: Comparison, row: BaselineResult) -> tuple[str, ...]:
    file_bytes, peak_mb = (row.file_bytes, row.peak_mb) if isinstance(row, ModelResult) else (None, None)
    return (
        opening(inside(row.title)),
        f"{row.parameters:,}",
        _known(file_bytes, size),
        seconds(row.fit_seconds),
        seconds(all_in_seconds(comparison, row)),
        _known(peak_mb, lambda megabytes: size(megabytes * 1e6)),
        _known(row.predict_microseconds, lambda microseconds: f"{short(microseconds)} µs"),
    )


def _known(value: float | None, written: Callable[[float], str]) -> str:
    return NOTHING if value is None else written(value)


def all_in_findings(comparison: Comparison) -> list[Finding]:
    """What the best network took against the factorisation with all seeds and the search; empty without any."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None:
        return []
    extras = ["all seeds"] if any(len(row.seeds) > 1 for row in (network, model)) else []
    if any(search_seconds(comparison, row) for row in (network, model)):
        extras.append(effort(comparison))
    if not extras:
        return []
    own, other = all_in_seconds(comparison, network), all_in_seconds(comparison, model)
    ratio = ""
    if other > 0:
        ratio = ": about the same" if abs(own / other - 1) < ABOUT_EQUAL else f": {times(own / other)} as long"
    text = f"With {' and '.join(extras)}, {inside(network.title)} took {seconds(own)} of training, "
    return [Finding("cost", f"{text}{inside(model.title)} {seconds(other)}{ratio}.")]


def cost_findings(comparison: Comparison) -> list[Finding]:
    """Each network's fit time and parameters against those of the matrix factorisation."""
    model = factorisation(comparison)
    return [] if model is None else [Finding("cost", _cost(net, model)) for net in networks(comparison)]


def _cost(network: ModelResult, model: ModelResult) -> str:
    if min(network.fit_seconds, model.fit_seconds) < MEASURABLE_SECONDS:
        time = f"was fitted in {seconds(network.fit_seconds)}, against {seconds(model.fit_seconds)}"
    else:
        ratio = network.fit_seconds / model.fit_seconds
        comparative = "about as long" if abs(ratio - 1) < ABOUT_EQUAL else f"{times(ratio)} as long"
        time = f"took {comparative} to fit as {inside(model.title)} ({seconds(network.fit_seconds)} against "
        time += f"{seconds(model.fit_seconds)})"
    epochs = f", over {count(network.epochs, 'epoch')} against {model.epochs:,}"
    size = f"{network.parameters:,} parameters against {model.parameters:,}"
    if model.parameters > 0:
        ratio = network.parameters / model.parameters
        size += f" ({'about as many' if abs(ratio - 1) < ABOUT_EQUAL / 5 else times(ratio)})"
    return f"{opening(inside(network.title))} {time}{epochs}, and has {size}."


def time_findings(comparison: Comparison) -> list[Finding]:
    """How long factorisation and best network trained until both had the same error; empty where one has no curve."""
    pair = [row for row in (factorisation(comparison), best_network(comparison)) if row and _times(row)]
    if len(pair) < 2:
        return []
    target = NEAR * max(min(row.history.val_loss) for row in pair)
    reached = {}
    for row in pair:
        first = next(at for at, error in enumerate(row.history.val_loss) if error <= target)
        reached[inside(row.title)] = _times(row)[first]
    told = [f"{title} {seconds(taken)}" for title, taken in sorted(reached.items(), key=lambda one: one[1])]
    error = number(target, mse_step(comparison))
    return [
        Finding(
            "cost", f"To a {held_out_name(comparison)} MSE of {error}, which both reach: {listing(told)} of training."
        )
    ]


def _times(model: ModelResult) -> list[float]:
    """Seconds of training after each epoch that was validated, all epochs taken as equally long; empty if unknown."""
    curve = model.history
    if curve.seconds is None or not all(map(math.isfinite, curve.val_loss)):
        return []
    return [curve.seconds * (epoch + 1) / len(curve.loss) for epoch in range(len(curve.val_loss))]


def worth_findings(comparison: Comparison) -> list[Finding]:
    """For each network, whether something cheaper predicts as well."""
    return [Finding("worth", _worth(comparison, network)) for network in networks(comparison)]


def worth_summary(comparison: Comparison) -> list[Finding]:
    """The same, in one sentence where one rival does better than every network."""
    nets = networks(comparison)
    rivals = [cheaper_rival(comparison, network) for network in nets]
    first = rivals[0] if len(rivals) > 1 else None
    if first is None or any(rival is not first for rival in rivals):
        return worth_findings(comparison)
    if any(outcome(comparison, first, network) != "better" for network in nets):
        return worth_findings(comparison)
    names = [inside(network.title) for network in nets]
    none = f"Neither {names[0]} nor {names[1]}" if len(names) == 2 else f"None of {listing(names)}"
    text = f"{none} is worth its cost on these ratings: {inside(first.title)} does better than "
    text += f"{'both' if len(names) == 2 else 'all of them'} with {count(first.parameters, 'parameter')} fitted in "
    text += f"{seconds(first.fit_seconds)}, against {listing([seconds(network.fit_seconds) for network in nets])}."
    return [Finding("worth", text)]


def cheaper_rival(comparison: Comparison, network: ModelResult) -> BaselineResult | None:
    """The most accurate row that costs less time and fewer parameters than a network and predicts as well."""
    rivals = [
        row
        for row in scored(comparison)
        if row.fit_seconds < network.fit_seconds
        and row.parameters < network.parameters
        and not is_network(row.name)
        and outcome(comparison, row, network) != "worse"
    ]
    return min(rivals, key=lambda row: (row.mse, row.parameters), default=None)


def _worth(comparison: Comparison, network: ModelResult) -> str:
    rival, name = cheaper_rival(comparison, network), opening(inside(network.title))
    if rival is not None:
        worth, does = "worth", "better" if outcome(comparison, rival, network) == "better" else "as well"
        if is_uncertain(comparison, rival, network):
            worth, does = "shown to be worth", "as well, within uncertainty,"
        return (
            f"{name} is not {worth} its cost on these ratings: {inside(rival.title)} does {does} with "
            f"{count(rival.parameters, 'parameter')} fitted in {seconds(rival.fit_seconds)}, against "
            f"{network.parameters:,} in {seconds(network.fit_seconds)}."
        )
    model = factorisation(comparison)
    if model is None or outcome(comparison, network, model) != "better":
        return f"{name}: nothing that is cheaper in both time and parameters predicts as well."
    extra = network.fit_seconds - model.fit_seconds
    price = f"{seconds(extra)} more training" if extra > MEASURABLE_SECONDS else "no more training"
    return (
        f"{name} has an MSE {number(model.mse - network.mse, mse_step(comparison))} below that of "
        f"{inside(model.title)} for {price}, and nothing cheaper predicts as well."
    )


SHORTEST = 0.1
POINTS = 8.0  # size of the names beside the points; a letter is about 0.6 of it wide
HEIGHT = 1.2 * POINTS
GAP = 5.0  # points that a mark needs to each side

Box = tuple[float, ...]  # left, bottom, right and top, in points
Mark = tuple[float, float, float, str]  # fit time once and all in, test MSE, and name of a row


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """Accuracy against cost, if anything was scored, and the course of the trainings, if any is known."""
    timed = [model for model in in_order(comparison.models) if _times(model)]
    plots = [accuracy_against_cost(comparison)] if scored(comparison) else []
    return [*plots, error_over_time(comparison, timed)] if timed else plots


def error_over_time(comparison: Comparison, models: Sequence[ModelResult]) -> Plot:
    """The held-out error of models after each epoch against the seconds of training until then."""
    figure, axes = sheet(3.6)
    axes.set_xscale("log")
    kind, step = held_out_name(comparison), mse_step(comparison)
    handles = []
    for model in models:
        shape, errors, times = look(model.name), model.history.val_loss, [max(x, SHORTEST) for x in _times(model)]
        handles += axes.plot(times, errors, color=shape.colour)
        best = errors.index(min(errors))
        axes.plot([times[best]], [errors[best]], marker=shape.marker, color=shape.colour, markersize=7)
    lows = [min(model.history.val_loss) for model in models]
    top = min(max(lows), SHOWN * min(lows))
    room = top - min(lows) or 0.1 * top or 1.0
    axes.set_ylim(min(lows) - 0.1 * room, top + 0.2 * room)
    axes.minorticks_off()
    axes.set_xlabel("training (s, log scale)")
    axes.set_ylabel(f"{kind} MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    legend(figure, handles, [label(model.title) for model in models])
    caption = (
        f"Error on {kind} ratings while training, the lowest marked; a training's epochs are taken as equally long."
    )
    if above := [inside(model.title) for model, low in zip(models, lows, strict=True) if low > top]:
        caption += f" {opening(listing(above))} {verb(above, 'stay')} above what is drawn."
    lowest = [
        f"{model.title} {number(low, step)} after {seconds(_times(model)[model.history.val_loss.index(low)])}"
        for model, low in zip(models, lows, strict=True)
    ]
    return finished(figure, "error-time", "costs", caption, f"Lowest {kind} MSE: {'; '.join(lowest)}.")


def accuracy_against_cost(comparison: Comparison) -> Plot:
    """Test MSE against fit time of every row; a line leads to a hollow mark at the time with search and all seeds."""
    rows = every_row(comparison)
    figure, axes = sheet(4.2)
    axes.set_xscale("log")
    drawn: list[Mark] = []
    for row in rows:
        shape, at = look_of(row), max(row.fit_seconds, SHORTEST)
        whole = max(all_in_seconds(comparison, row), SHORTEST) if search_seconds(comparison, row) else at
        if whole != at:
            axes.plot([at, whole], [row.mse, row.mse], color=shape.colour, linewidth=1, linestyle=(0, (1.0, 1.5)))
            axes.plot([whole], [row.mse], marker=shape.marker, color=shape.colour, mfc=LIGHT["paper"], linestyle="none")
        axes.plot([at], [row.mse], marker=shape.marker, color=shape.colour, markersize=7, linestyle="none")
        drawn.append((at, whole, row.mse, label(row.title)))
    axes.margins(x=0.16, y=0.09)
    axes.minorticks_off()
    axes.set_xlabel("fit time (s, log scale)")
    axes.set_ylabel("test MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    _name_marks(figure, axes, drawn)
    caption = f"Lower left is better: accurate and cheap. Fits of less than {SHORTEST} s are drawn at {SHORTEST} s."
    if comparison.tuning:
        caption += f" A hollow mark is the time with {effort(comparison)} and all seeds."
    told = [
        f"{row.title} {number(row.mse, mse_step(comparison))} in {seconds(row.fit_seconds)}"
        + (f" ({seconds(all_in_seconds(comparison, row))} all in)" if search_seconds(comparison, row) else "")
        for row in rows
    ]
    return finished(figure, "accuracy-cost", "costs", caption, f"Test MSE and fit time: {'; '.join(told)}.")


def _name_marks(figure: "Figure", axes: "Axes", marks: Sequence[Mark]) -> None:
    """Write each name beside its mark where it hides no other name and no mark, else where it hides least."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    sides = (scale * axes.bbox.x0, scale * axes.bbox.x1)
    taken: list[Box] = []
    for once, whole, mse, _ in marks:
        (left, y), (right, _) = scale * axes.transData.transform([(once, mse), (whole, mse)])
        taken.append((left - GAP, y - GAP, right + GAP, y + GAP))
    for (once, _, mse, name), own in zip(marks, list(taken), strict=True):
        x, y = own[0] + GAP, own[1] + GAP
        width = 0.6 * POINTS * len(name)
        boxes = [(x + across, y + up, x + across + width, y + up + HEIGHT) for across, up in _offsets(width)]
        chosen = min(boxes, key=lambda box: _hidden(box, taken, sides))
        taken.append(chosen)
        at = (chosen[0] - x, chosen[1] - y)
        axes.annotate(
            name, (once, mse), xytext=at, textcoords="offset points", va="bottom", fontsize=POINTS, color=LIGHT["ink"]
        )


def _offsets(width: float) -> list[tuple[float, float]]:
    """Where a name may begin, in points from its point: right, left, above and below, near ones first."""
    beside = [
        (across, shift * HEIGHT - HEIGHT / 2)
        for shift in (0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2)
        for across in (1.4 * GAP, -1.4 * GAP - width)
    ]
    return [*beside[:2], (-width / 2, GAP), (-width / 2, -GAP - HEIGHT), *beside[2:]]


def _hidden(box: Box, taken: Sequence[Box], sides: tuple[float, float]) -> float:
    """How much a name in this box would overlap with what is drawn, or leave the axes, in square points."""
    outside = max(0.0, sides[0] - box[0]) + max(0.0, box[2] - sides[1])
    return outside * HEIGHT + sum(_overlap(box, other) for other in taken)


def _overlap(one: Box, other: Box) -> float:
    across, up = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, up)
