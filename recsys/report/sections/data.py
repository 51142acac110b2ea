"""What the ratings are."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from recsys.data.columns import described
from recsys.evaluation.results import Comparison, DataFacts
from recsys.report.section import Plot, Section, plots_of
from recsys.report.sections.splits import manner
from recsys.report.svg import LIGHT
from recsys.text import count, listed, percent, short

if TYPE_CHECKING:
    import pandas as pd


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """The facts of the ratings, and how often each was given."""
    data, shown = comparison.data, plots_of(plots, "data")
    result = f"{data.rows:,} of {count(data.users, 'user')} and {count(data.items, 'item')}"
    return Section("data", "The ratings", facts=data_facts(comparison), plots=shown, beside="plots", result=result)


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """The histogram of the ratings."""
    return [histogram(comparison)] if comparison.data.histogram else []


def histogram(comparison: Comparison) -> Plot:
    """How often each rating was given."""
    from recsys.report.svg import finished, plain_ticks, sheet

    figure, axes = sheet(2.7)
    bars = comparison.data.histogram
    lefts = [bar.rating for bar in bars]
    gaps = [right - left for left, right in pairwise(lefts) if right > left]
    binned = any(bar.upper is not None for bar in bars)
    one = 0.8 * min(gaps, default=1.0)
    widths = [one if bar.upper is None else bar.upper - bar.rating for bar in bars]
    places = [bar.rating if bar.upper is None else bar.rating + (bar.upper - bar.rating) / 2 for bar in bars]
    rows, border = [bar.rows for bar in bars], 0.5 if binned else 0.0
    axes.bar(places, rows, width=widths, color=LIGHT["baseline"], edgecolor=LIGHT["paper"], linewidth=border)
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


def data_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Name and text of each fact, in the order they are shown in."""
    data = comparison.data
    return [
        ("Source", data.source),
        *([("Columns", described(data.source_columns, data.found_by))] if data.source_columns else []),
        ("Licence", data.licence or "not stated"),
        ("Period", period(data) or "not known: the ratings have no times"),
        ("Ratings used", f"{data.rows:,}"),
        ("Users and items", f"{data.users:,} and {data.items:,}"),
        ("Density", f"{percent(data.density)} of all pairs of a user and an item have a rating"),
        ("Scale", _scale(comparison)),
        ("Split", _split(comparison)),
        ("Cold test ratings", _cold(comparison)),
        ("Rows set aside", count(data.quarantined_rows, "row") if data.quarantined_rows else "none"),
        *([("Left out as not rated", f"{data.not_rated_rows:,}")] if data.not_rated_rows else []),
        ("Repeated pairs", _repeated(comparison)),
        ("Columns not used", listed(data.ignored_columns) or "none"),
    ]


def period(data: DataFacts) -> str | None:
    """The first and the last day of the ratings, or None where no time is known."""
    return data.period and " to ".join(moment.split("T")[0] for moment in data.period)


def _scale(comparison: Comparison) -> str:
    data = comparison.data
    if data.rating_sd == 0:
        return f"every rating is {short(data.rating_mean)}: there is nothing to predict"
    return (
        f"{short(data.rating_min)} to {short(data.rating_max)}, mean {short(data.rating_mean)}, "
        f"standard deviation {short(data.rating_sd)}"
    )


def _split(comparison: Comparison) -> str:
    data = comparison.data
    held_out = f"{data.validation_rows:,} validation, " if comparison.protocol == "fair" else ""
    text = f"{data.train_rows:,} training, {held_out}{data.test_rows:,} test, {manner(comparison)}"
    return text if held_out else f"{text}; no validation ratings, the test ratings took their place"


def _cold(comparison: Comparison) -> str:
    data = comparison.data
    if data.cold_test_rows == 0:
        return "none"
    return f"{data.cold_test_rows:,} ({percent(data.cold_test_rows / data.test_rows)})"


def _repeated(comparison: Comparison) -> str:
    data = comparison.data
    if data.repeated_pairs == 0:
        return "none"
    done = {"keep": "all are kept", "last": "the last of each pair is used", "mean": "the mean of each pair is used"}
    repeat = "repeats" if data.repeated_pairs == 1 else "repeat"
    return (
        f"{count(data.repeated_pairs, 'rating')} {repeat} an earlier pair of user and item; "
        f"{done.get(data.duplicates, data.duplicates)}"
    )
