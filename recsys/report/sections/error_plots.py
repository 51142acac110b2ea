"""Plots of the predictions beside the ratings, of their errors by activity, and of their calibration."""

from dataclasses import dataclass
from itertools import compress, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recsys.blocks import in_blocks
from recsys.evaluation.calibration import Calibration, calibration
from recsys.evaluation.results import BaselineResult, Comparison
from recsys.report.outcomes import best_network, bias_only, factorisation, in_order, rmse_step
from recsys.report.section import Plot
from recsys.report.svg import LIGHT, file_name, finished, label, legend, look_of, plain_ticks, sheet, stacked
from recsys.text import inside, number, opening, short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_BOXES = 12
MOST_ACTIVITY_BINS = 8
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Spread:
    """How one model's predictions spread over each actual rating; `width` is the room of a box in rating units.

    `centre` and `rows` have one entry per box, and `quantiles` a row per box and a column per entry of SHARES.
    """

    centre: Floats
    width: float
    rows: Counts
    quantiles: Floats


@dataclass(frozen=True)
class ErrorByActivity:
    """RMSE by number of training ratings: bin labels, rows per bin, and one RMSE per bin and model."""

    labels: list[str]
    rows: Counts
    rmse: dict[str, Floats]


def spread(actual: "pd.Series", predicted: "pd.Series") -> Spread:
    """Sum predictions up per actual rating, of which there is at least one, or per bin of it where many differ."""
    values, predictions = actual.to_numpy(), predicted.to_numpy()
    different = np.zeros(0)
    for (block,) in in_blocks(values):
        different = np.union1d(different, block.astype(np.float64))
        if len(different) > MOST_BOXES:
            break
    if len(different) <= MOST_BOXES:
        centre = edges = different
        width = float(np.diff(different).min()) if len(different) > 1 else 1.0
    else:
        edges = np.linspace(float(values.min()), float(values.max()), MOST_BOXES + 1)
        centre = (edges[:-1] + edges[1:]) / 2
        width = float(edges[1] - edges[0])
    placed = (np.searchsorted(edges, block, side="right") - 1 for (block,) in in_blocks(values))
    box = np.concatenate([np.clip(block, 0, len(centre) - 1).astype(np.int8) for block in placed])
    filled = np.unique(box)
    quantiles, rows = [], []
    for one in filled:
        own = np.concatenate([block[of == one] for block, of in in_blocks(predictions, box)]).astype(np.float64)
        quantiles.append(np.quantile(own, SHARES))
        rows.append(len(own))
    return Spread(centre[filled], width, np.array(rows), np.array(quantiles))


def error_by_activity(
    predictions: "pd.DataFrame", counts: str, names: list[str], most: int = MOST_ACTIVITY_BINS
) -> ErrorByActivity:
    """RMSE in bins of training ratings whose bounds grow tenfold in one or two steps; none is a bin of its own.

    `counts` is the column with the number of training ratings, `names` are those of the models; at most `most` bins
    stand beside that for no training rating.
    """
    activity, rating = predictions[counts].to_numpy(), predictions["rating"].to_numpy()
    starts = bin_starts(int(activity.max()), most)
    rows, squares = np.zeros(len(starts), np.int64), {name: np.zeros(len(starts)) for name in names}
    columns = [predictions[name].to_numpy() for name in names]
    for known, of, *predicted in in_blocks(rating, activity, *columns):
        found = np.searchsorted(starts, of, side="right") - 1
        rows += np.bincount(found, minlength=len(starts))
        for name, block in zip(names, predicted, strict=True):
            squared = np.subtract(block, known, dtype=np.float64) ** 2
            squares[name] += np.bincount(found, weights=squared, minlength=len(starts))
    shown = rows > 0
    rmse = {name: np.sqrt(squares[name][shown] / rows[shown]) for name in names}
    return ErrorByActivity(list(compress(_labels(starts), shown)), rows[shown], rmse)


def bin_starts(largest: int, most: int) -> Counts:
    """First count of each bin: 0, then 1, 3, 10, 30, … or, where that makes more than `most` bins, 1, 10, 100, …"""
    decades = [10**power for power in range(len(str(max(1, largest))))]
    halves = [start for decade in decades for start in (decade, 3 * decade) if start <= max(1, largest)]
    starts = halves if len(halves) <= most else decades
    return np.array([0, *starts], dtype=np.int64)


def _labels(starts: Counts) -> list[str]:
    *closed, last = starts[1:].tolist()
    ends = [after if first >= 1000 else after - 1 for first, after in pairwise((*closed, last))]
    ranges = [f"{_compact(first)}–{_compact(end)}" for first, end in zip(closed, ends, strict=True)]
    return ["0", *ranges, f"{_compact(last)}+"]


def _compact(value: int) -> str:
    if value >= 1_000_000:
        return f"{value // 1_000_000}M"
    return f"{value // 1000}k" if value >= 1000 else str(value)


def calibration_sentence(title: str, found: Calibration, step: float) -> str:
    """Whether a row of this title is calibrated, and if not, in which way; `step` is as in `text.number`."""
    name = opening(inside(title))
    if found.slope is None or found.low is None or found.high is None:
        return f"{name}: whether it is calibrated cannot be told, as its predictions or their users are all the same."
    slope = f"slope {found.slope:.2f}, 95% interval {found.low:.2f} to {found.high:.2f}"
    if found.calibrated:
        return (
            f"{name} is calibrated as far as these ratings can tell: no gap between predictions and ratings is more "
            f"than noise ({slope})."
        )
    parts = []
    if found.high < 1 or found.low > 1:
        how = "too extreme" if found.high < 1 else "not spread out enough"
        parts.append(f"predictions are {how}, as ratings differ by {found.slope:.2f} where they differ by 1")
    worst = max((entry for entry in found.bins if entry.off), key=lambda entry: abs(entry.gap), default=None)
    if worst is not None:
        gap = f"{number(abs(worst.gap), step)} {'above' if worst.gap > 0 else 'below'} that"
        parts.append(f"where it predicts {number(worst.predicted, step)} on average, ratings lie {gap}")
    return f"{name} is not calibrated: {'; '.join(parts)} ({slope})."


def shown_in_plots(comparison: Comparison, predictions: "pd.DataFrame") -> list[BaselineResult]:
    """The models, of searched ones the winners, and two baselines, as far as they have predictions."""
    baselines = [row for row in in_order(comparison.baselines) if row.name in ("item_knn", "bias_only")]
    rows: list[BaselineResult] = [*(row for row in in_order(comparison.models) if row.chosen is not False), *baselines]
    return [row for row in rows if row.name in predictions.columns]


def predicted_against_actual(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """One plot per model: boxes of predictions for each actual rating, beside the diagonal."""
    rows = shown_in_plots(comparison, predictions)
    if not rows or predictions.empty:
        return []
    spreads = [spread(predictions["rating"], predictions[row.name]) for row in rows]
    ends = [value for drawn in spreads for value in (drawn.quantiles.min(), drawn.quantiles.max())]
    ends += [spreads[0].centre[0], spreads[0].centre[-1]]
    room = 0.05 * (max(ends) - min(ends)) or 0.5
    limits = (min(ends) - room, max(ends) + room)
    return [_boxes(row, drawn, limits) for row, drawn in zip(rows, spreads, strict=True)]


def _boxes(row: BaselineResult, drawn: Spread, limits: tuple[float, float]) -> Plot:
    figure, axes = sheet(3.1)
    colour = look_of(row).colour
    lowest, lower, middle, upper, highest = drawn.quantiles.T
    half = 0.36 * drawn.width
    reach = (drawn.centre[0] - drawn.width / 2, drawn.centre[-1] + drawn.width / 2)
    axes.plot(reach, reach, color=LIGHT["soft"], linewidth=1, linestyle=(0, (2.0, 2.0)))
    axes.vlines(drawn.centre, lowest, highest, color=colour, linewidth=1)
    axes.bar(drawn.centre, upper - lower, 2 * half, lower, color=LIGHT["paper"], edgecolor=colour, linewidth=1.1)
    axes.bar(drawn.centre, upper - lower, 2 * half, lower, color=colour, alpha=0.3)
    axes.hlines(middle, drawn.centre - half, drawn.centre + half, color=colour, linewidth=2)
    axes.set_xlim(*reach)
    axes.set_ylim(*limits)
    if len(drawn.centre) <= 10:
        axes.set_xticks(drawn.centre)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("actual rating (rating units)")
    axes.set_ylabel("predicted (rating units)")
    plain_ticks(axes, x=True, y=True)
    medians = "; ".join(f"{short(at)}: {short(value)}" for at, value in zip(drawn.centre, middle, strict=True))
    alt = f"{row.title}: median prediction for an actual rating of {medians}."
    return finished(figure, f"predicted-{file_name(row.name)}", "predicted", f"{opening(row.title)}.", alt)


def errors_by_activity(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """RMSE by number of training ratings of the user, and of the item."""
    rows = shown_in_plots(comparison, predictions)
    if not rows or predictions.empty:
        return []
    return [_by_activity(comparison, predictions, rows, kind) for kind in ("user", "item")]


def _by_activity(comparison: Comparison, predictions: "pd.DataFrame", rows: list[BaselineResult], kind: str) -> Plot:
    found = error_by_activity(predictions, f"{kind}_ratings", [row.name for row in rows])
    figure, upper, lower = stacked(3.7)
    places = np.arange(len(found.labels), dtype=np.int64)
    handles = []
    for row in rows:
        shape, rmse = look_of(row), found.rmse[row.name]
        handles += upper.plot(places, rmse, color=shape.colour, marker=shape.marker, linestyle=shape.line)
    legend(figure, handles, [label(row.title) for row in rows])
    figure.align_ylabels([upper, lower])
    upper.set_ylabel("RMSE (rating units)")
    upper.tick_params(axis="x", length=0)
    plain_ticks(upper, y=True)
    row_counts(lower, places, found.rows.tolist())
    lower.set_xticks(places, found.labels, fontsize=6.8)
    lower.set_xlabel(f"training ratings of the {kind}")
    ends = [[number(found.rmse[row.name][end], rmse_step(comparison)) for end in (0, -1)] for row in rows]
    told = "; ".join(f"{row.title} from {first} to {last}" for row, (first, last) in zip(rows, ends, strict=True))
    alt = f"RMSE from {kind}s with {found.labels[0]} to {kind}s with {found.labels[-1]} training ratings: {told}."
    caption = f"Error by how many training ratings the {kind} has; below, how many test ratings that is."
    return finished(figure, f"by-{kind}", "activity", caption, alt)


def row_counts(axes: "Axes", places: NDArray[np.number], rows: list[int], width: float = 0.6) -> None:
    """Draw how many rows there are at each place, with the numbers above the bars."""
    axes.bar(places, rows, width=width, color=LIGHT["baseline"])
    axes.set_ylabel("rows")
    axes.set_ylim(0, 1.35 * max(rows))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    for at in zip(places, rows, strict=True):
        axes.annotate(_thousands(at[1]), at, xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7.5)


def _thousands(value: int) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g}M"
    return f"{value / 1000:.3g}k" if value >= 10_000 else f"{value:,}"


def calibrations(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """One plot for the factorisation, the best network and bias_only, as far as they have predictions."""
    if predictions.empty:
        return []
    rows = (factorisation(comparison), best_network(comparison), bias_only(comparison))
    shown = [row for row in rows if row is not None and row.name in predictions.columns]
    user, actual = _user_codes(predictions), predictions["rating"].to_numpy()
    found = [calibration(user, actual, predictions[row.name].to_numpy()) for row in shown]
    return [_picture(comparison, row, of_row) for row, of_row in zip(shown, found, strict=True)]


def _user_codes(predictions: "pd.DataFrame") -> NDArray[np.integer]:
    """A number for each user, those of their categories where they are."""
    import pandas as pd

    user = predictions["user"]
    if isinstance(user.dtype, pd.CategoricalDtype):
        return user.cat.codes.to_numpy()
    return pd.factorize(user)[0]


def _picture(comparison: Comparison, row: BaselineResult, found: Calibration) -> Plot:
    figure, upper, lower = stacked(3.7)
    shape, step = look_of(row), rmse_step(comparison)
    predicted, actual, reach = np.array([(entry.predicted, entry.actual, entry.reach or 0.0) for entry in found.bins]).T
    ends = [min(predicted.min(), actual.min()), max(predicted.max(), actual.max())]
    upper.plot(ends, ends, color=LIGHT["soft"], linewidth=1, linestyle=(0, (2.0, 2.0)))
    upper.vlines(predicted, actual - reach, actual + reach, color=shape.colour, linewidth=1)
    upper.plot(predicted, actual, color=shape.colour, marker=shape.marker, linestyle="none", markersize=6)
    upper.set_ylabel("mean rating")
    upper.tick_params(axis="x", length=0)
    figure.align_ylabels([upper, lower])
    narrowest = float(np.diff(predicted).min()) if len(predicted) > 1 else 1.0
    row_counts(lower, predicted, [entry.rows for entry in found.bins], width=0.7 * narrowest)
    lower.set_xlabel("mean prediction (rating units)")
    plain_ticks(upper, y=True)
    plain_ticks(lower, x=True)
    told = [f"{number(entry.predicted, step)}: {number(entry.actual, step)} ({entry.rows:,})" for entry in found.bins]
    alt = f"{row.title}: mean rating (and number of ratings) by mean prediction: {'; '.join(told)}."
    name = f"calibration-{file_name(row.name)}"
    return finished(figure, name, "calibration", calibration_sentence(row.title, found, step), alt)
