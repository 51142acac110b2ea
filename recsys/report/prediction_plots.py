"""What the predictions look like beside the ratings, and where the errors are."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from recsys.evaluation.comparison import BaselineResult, Comparison
from recsys.report.binning import Spread, error_by_activity, spread
from recsys.report.canvas import finished, label, legend, plain_ticks, sheet, stacked
from recsys.report.palette import LIGHT, look_of
from recsys.report.picture import Plot, file_name
from recsys.report.standing import in_order, rmse_step
from recsys.report.wording import number, opening, short


def shown_in_plots(comparison: Comparison, predictions: pd.DataFrame) -> list[BaselineResult]:
    """The models, and the baselines that tell users and items apart, as far as they have predictions."""
    telling = [row for row in in_order(comparison.baselines) if row.name in ("item_knn", "bias_only")]
    rows: list[BaselineResult] = [*in_order(comparison.models), *telling]
    return [row for row in rows if row.name in predictions.columns]


def predicted_against_actual(comparison: Comparison, predictions: pd.DataFrame) -> list[Plot]:
    """One picture per model: boxes of predictions for each actual rating, beside the diagonal."""
    rows = shown_in_plots(comparison, predictions)
    spreads = [spread(predictions["rating"], predictions[row.name]) for row in rows]
    if not spreads:
        return []
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
    alt = f"{row.title}: median prediction for an actual rating of "
    alt += "; ".join(f"{short(at)}: {short(value)}" for at, value in zip(drawn.centre, middle, strict=True))
    caption = f"{opening(row.title)}."
    return finished(figure, f"predicted-{file_name(row.name)}", "predicted", caption, f"{alt}.")


def errors_by_activity(comparison: Comparison, predictions: pd.DataFrame) -> list[Plot]:
    """RMSE by number of training ratings of the user, and of the item."""
    rows = shown_in_plots(comparison, predictions)
    if not rows or predictions.empty:
        return []
    return [
        _by_activity(comparison, predictions, rows, "user_ratings", "user"),
        _by_activity(comparison, predictions, rows, "item_ratings", "item"),
    ]


def _by_activity(
    comparison: Comparison, predictions: pd.DataFrame, rows: list[BaselineResult], column: str, kind: str
) -> Plot:
    found = error_by_activity(predictions, column, [row.name for row in rows])
    figure, upper, lower = stacked(3.7)
    places = np.arange(len(found.labels), dtype=np.int64)
    handles = []
    for row in rows:
        shape = look_of(row)
        (line,) = upper.plot(
            places, found.rmse[row.name], color=shape.colour, marker=shape.marker, linestyle=shape.line
        )
        handles.append(line)
    legend(figure, handles, [label(row.title) for row in rows])
    figure.align_ylabels([upper, lower])
    upper.set_ylabel("RMSE (rating units)")
    upper.tick_params(axis="x", length=0)
    plain_ticks(upper, y=True)
    row_counts(lower, places, found.rows.tolist())
    lower.set_xticks(places, found.labels, fontsize=6.8)
    lower.set_xlabel(f"training ratings of the {kind}")
    step = rmse_step(comparison)
    told = "; ".join(
        f"{row.title} from {number(found.rmse[row.name][0], step)} to {number(found.rmse[row.name][-1], step)}"
        for row in rows
    )
    alt = f"RMSE from {kind}s with {found.labels[0]} to {kind}s with {found.labels[-1]} training ratings: {told}."
    caption = f"Error by how many training ratings the {kind} has; below, how many test ratings that is."
    return finished(figure, f"by-{kind}", "activity", caption, alt)


def row_counts(axes: Axes, places: NDArray[np.number], rows: list[int], width: float = 0.6) -> None:
    """Draw how many rows there are at each place, with the numbers above the bars."""
    axes.bar(places, rows, width=width, color=LIGHT["baseline"])
    axes.set_ylabel("rows")
    axes.set_ylim(0, 1.35 * max(rows))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    for place, count in zip(places, rows, strict=True):
        axes.annotate(
            _compact(count), (place, count), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7.5
        )


def _compact(value: int) -> str:
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / (1000 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,}"
