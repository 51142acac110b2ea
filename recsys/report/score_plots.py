"""The answer at a glance: test error and fit time of every row; and the ratings themselves."""

from itertools import pairwise

from matplotlib.axes import Axes

from recsys.evaluation.comparison import BaselineResult, Comparison
from recsys.report.canvas import finished, label, plain_ticks, sheet
from recsys.report.palette import LIGHT, look_of
from recsys.report.picture import Plot
from recsys.report.standing import effect, every_row, mse_step
from recsys.report.wording import number, seconds, short

SHORTEST = 0.1


def errors(comparison: Comparison) -> Plot:
    """Test MSE of models and baselines, lowest on top."""
    rows, step, margin = _by_error(comparison), mse_step(comparison), effect(comparison)
    figure, axes = sheet(_height(rows))
    values = [row.mse for row in rows]
    if margin > 0:
        axes.axvspan(min(values), min(values) + margin, color=LIGHT["soft"], alpha=0.13, linewidth=0)
    span = (max(values) - min(values)) or abs(values[0]) or 1.0
    axes.set_xlim(min(values) - 0.08 * span, max(values) + 0.3 * span)
    _dots(axes, rows, values, [number(value, step) for value in values])
    axes.set_xlabel("test MSE (rating units²)")
    plain_ticks(axes, x=True)
    told = "; ".join(f"{row.title} {number(row.mse, step)}" for row in rows)
    caption = "Test error, lowest on top; models in colour, baselines in grey."
    if comparison.combinations:
        caption += " A star is a combination of others."
    if margin > 0:
        caption += f" What lies in the shaded band is too close to the lowest to matter ({number(margin, step)})."
    return finished(figure, "errors", "answer", caption, f"Test MSE, lowest first: {told}.")


def costs(comparison: Comparison) -> Plot:
    """Fit time of the same rows in the same order."""
    rows = _by_error(comparison)
    figure, axes = sheet(_height(rows))
    values = [max(row.fit_seconds, SHORTEST) for row in rows]
    axes.set_xscale("log")
    widest = max(10.0, max(values) / SHORTEST)
    axes.set_xlim(SHORTEST / widest**0.06, SHORTEST * widest**1.35)
    _dots(axes, rows, values, [seconds(row.fit_seconds) for row in rows])
    axes.minorticks_off()
    axes.set_xlabel("fit time (s, log scale)")
    plain_ticks(axes, x=True)
    told = "; ".join(f"{row.title} {seconds(row.fit_seconds)}" for row in rows)
    caption = "What each took to fit, in the same order; each gridline is ten times the one before."
    return finished(figure, "costs", "answer", caption, f"Fit time, in order of test error: {told}.")


def histogram(comparison: Comparison) -> Plot:
    """How often each rating was given."""
    figure, axes = sheet(2.7)
    bars = comparison.data.histogram
    lefts = [bar.rating for bar in bars]
    gaps = [right - left for left, right in pairwise(lefts) if right > left]
    binned = any(bar.upper is not None for bar in bars)
    one = 0.8 * min(gaps, default=1.0)
    widths = [one if bar.upper is None else bar.upper - bar.rating for bar in bars]
    border = 0.5 if binned else 0.0
    places = [
        left if bar.upper is None else left + width / 2 for left, width, bar in zip(lefts, widths, bars, strict=True)
    ]
    axes.bar(
        places,
        [bar.rows for bar in bars],
        width=widths,
        color=LIGHT["baseline"],
        edgecolor=LIGHT["paper"],
        linewidth=border,
    )
    axes.grid(visible=False, axis="x")
    if not binned and len(bars) <= 12:
        axes.set_xticks(lefts)
    axes.set_xlabel("rating (rating units)")
    axes.set_ylabel("ratings")
    plain_ticks(axes, x=True, y=True)
    common = max(bars, key=lambda bar: bar.rows, default=None)
    alt = "No ratings."
    if common is not None:
        upper = f" up to {short(common.upper)}" if common.upper is not None else ""
        given = "once" if common.rows == 1 else f"{common.rows:,} times"
        alt = f"Histogram of the ratings; the most frequent is {short(common.rating)}{upper}, given {given}."
    return finished(figure, "ratings", "data", "How often each rating was given, before the split.", alt)


def _by_error(comparison: Comparison) -> list[BaselineResult]:
    return sorted(every_row(comparison), key=lambda row: row.mse)


def _height(rows: list[BaselineResult]) -> float:
    return 0.75 + 0.27 * len(rows)


def _dots(axes: Axes, rows: list[BaselineResult], values: list[float], texts: list[str]) -> None:
    for place, (row, value, text) in enumerate(zip(rows, values, texts, strict=True)):
        shape = look_of(row)
        axes.plot([value], [place], marker=shape.marker, color=shape.colour, markersize=7, linestyle="none")
        axes.annotate(text, (value, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(rows)), [label(row.title) for row in rows], color=LIGHT["ink"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
