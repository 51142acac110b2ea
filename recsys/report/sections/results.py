"""The table of models, ensembles and baselines: for people, for comparison.csv, and as plots."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING

from recsys.evaluation.metrics import Better, Metric, RatingMetric, ranking_keys, ranking_metrics, rating_metrics
from recsys.evaluation.results import BaselineResult, Combination, Comparison, FailedModel, ModelResult
from recsys.report.outcomes import best, every_row, in_order, mse_step, rmse_step, scored
from recsys.report.section import Cell, Heading, Plot, Section, Table
from recsys.report.sections.cost import all_in_seconds, search_seconds
from recsys.report.sections.seeds import repeated, seeds_in_words
from recsys.report.svg import LIGHT, finished, label, look_of, plain_ticks, sheet
from recsys.text import NOTHING, escape_cell, inside, number, opening, percent, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Value = str | float | int | None
SHORTEST_FIT = 0.1
"""Seconds; what took less is shown as less."""


@dataclass(frozen=True)
class Column:
    """A column of a table that people read; `key` is that of its values in `table_rows`."""

    key: str
    heading: str
    meaning: str
    _: KW_ONLY
    write: Callable[[Comparison, float], str] = lambda _, value: f"{value:,}"
    better: Better | None = None
    in_terminal: bool = False


def metric_column(metric: Metric) -> Column:
    """The column of a metric, with as many decimals as differences of it matter."""

    def write(comparison: Comparison, value: float) -> str:
        if metric.unit == "percent":
            return percent(value)
        steps = {"squared rating units": mse_step, "rating units": rmse_step}
        return number(value, steps[metric.unit](comparison) if metric.unit else metric.step)

    in_terminal = isinstance(metric, RatingMetric) and metric.in_terminal
    return Column(
        metric.key, metric.title, metric.description, write=write, better=metric.better, in_terminal=in_terminal
    )


TITLE = Column("title", "Model", "models first, then the baselines", in_terminal=True)
COST_COLUMNS = (
    Column(
        "parameters",
        "Parameters",
        "learnt parameters; of item kNN, the training ratings that it keeps",
        in_terminal=True,
    ),
    Column(
        "epochs",
        "Epochs",
        "passes over the training ratings that were run",
        write=lambda _, value: f"{value:,}" if value else NOTHING,
    ),
    Column("best_epoch", "Best epoch", "epoch of the lowest validation loss"),
    Column(
        "fit_seconds",
        "Fit, s",
        "wall-clock seconds of the fit, on the machine that ran it",
        write=lambda _, value: number(value, 1) if value >= SHORTEST_FIT else f"<{SHORTEST_FIT}",
        in_terminal=True,
    ),
)


def shown_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table; beside the MSE its spread over the seeds, where any model was trained with several."""
    columns = [TITLE, *map(metric_column, rating_metrics()), *COST_COLUMNS]
    if repeated(comparison):
        seeds = seeds_in_words(comparison)
        spread = Column(
            "mse_sd",
            f"± sd, {seeds}",
            f"standard deviation of a model's MSE over {seeds}; its metrics are means over its seeds",
            write=lambda comparison, value: number(value, mse_step(comparison)),
            in_terminal=True,
        )
        columns.insert(1 + [column.key for column in columns].index("mse"), spread)
    return columns


def ranking_columns() -> list[Column]:
    """The columns of the table of ranking metrics, standard errors beside their metrics."""
    columns = [TITLE]
    for metric in ranking_metrics():
        columns.append(metric_column(metric))
        if metric.with_error:
            meaning = f"standard error of the {metric.title}: how far it may be from that of many more users"
            columns.append(replace(columns[-1], key=metric.keys[1], heading="± SE", meaning=meaning, better=None))
    return columns


def csv_keys() -> list[str]:
    """The columns of comparison.csv."""
    return [
        *("name", "title", "kind", *(metric.key for metric in rating_metrics()), "parameters", "epochs", "best_epoch"),
        *("scored_epoch", "fit_seconds", "seeds", "mse_sd", "mse_low", "mse_high", "refitted_rows", "search_seconds"),
        *("all_in_seconds", "file_bytes", "peak_mb", "predict_microseconds", "members", "weights"),
        *("warm_rows", "warm_mse", "cold_rows", "cold_mse", "ranked_users", *ranking_keys(), "tied_users", "failure"),
    ]


def table_rows(comparison: Comparison) -> list[dict[str, Value]]:
    """One row per model, failed model, ensemble, baseline and skipped baseline, in a fixed order.

    Returns:
        Dictionaries with the keys of `csv_keys`, numbers not rounded, None where there is no value. kind is "model",
        "combination", "baseline", "failed" or "skipped"; mse_sd, mse_low and mse_high are the spread of a model's MSE
        over its seeds; all_in_seconds counts all seeds and the search; members and weights of an ensemble are like
        "a + b" and "0.25 + 0.75"; failure is the reason why there is no score.
    """
    models: list[BaselineResult | FailedModel] = [*comparison.models, *comparison.failed]
    baselines: list[BaselineResult | FailedModel] = [*comparison.baselines, *comparison.skipped]
    rows = [_row(comparison, row, "failed") for row in in_order(models)]
    rows += [_row(comparison, row, "failed") for row in comparison.combinations]
    return rows + [_row(comparison, row, "skipped") for row in in_order(baselines)]


def _row(comparison: Comparison, row: BaselineResult | FailedModel, unscored: str) -> dict[str, Value]:
    """The fields of a row, and what is derived from them."""
    if isinstance(row, FailedModel):
        derived: dict[str, Value] = {"kind": unscored, "failure": row.reason}
    else:
        derived = {
            "kind": "baseline",
            "search_seconds": search_seconds(comparison, row),
            "all_in_seconds": all_in_seconds(comparison, row),
        }
        for name, subset in (("warm", row.warm), ("cold", row.cold)):
            derived |= {f"{name}_rows": subset.rows, f"{name}_mse": subset.mse} if subset else {}
        if row.ranking:
            derived |= {"ranked_users": row.ranking.users, "tied_users": row.ranking.tied_users}
            derived |= {key: row.ranking.metric(key) for key in ranking_keys()}
    if isinstance(row, ModelResult):
        derived |= {"kind": "model", "seeds": max(1, len(row.seeds))}
        if row.spread:
            derived |= {"mse_sd": row.spread.sd, "mse_low": row.spread.low, "mse_high": row.spread.high}
    if isinstance(row, Combination):
        weights = " + ".join(f"{weight:g}" for weight in row.weights)
        derived |= {"kind": "combination", "members": " + ".join(row.members), "weights": weights}
    return {key: derived[key] if key in derived else getattr(row, key, None) for key in csv_keys()}


def table_csv(comparison: Comparison) -> str:
    """The table for machines, one line per row, numbers in full."""
    written = io.StringIO()
    lines = csv.DictWriter(written, fieldnames=csv_keys(), lineterminator="\n")
    lines.writeheader()
    for row in table_rows(comparison):
        lines.writerow({key: escape_cell(value) for key, value in row.items()})
    return written.getvalue()


def shown_rows(comparison: Comparison) -> list[list[Cell]]:
    """The scored rows as people read them, one cell per entry of `shown_columns`, the best values marked."""
    rows = [row for row in table_rows(comparison) if row["failure"] is None]
    columns = shown_columns(comparison)
    return [[_cell(comparison, column, row, rows) for column in columns] for row in rows]


def ranking_rows(comparison: Comparison) -> list[list[Cell]]:
    """The ranked rows as people read them, one cell per entry of `ranking_columns`, the best values marked.

    A row with equal scores at the tenth place of every list is never the best.
    """
    rows = [row for row in table_rows(comparison) if row["ranked_users"]]
    chosen = [row for row in rows if row["tied_users"] != row["ranked_users"]]
    columns = ranking_columns()
    return [[_cell(comparison, column, row, chosen if row in chosen else []) for column in columns] for row in rows]


def _cell(comparison: Comparison, column: Column, row: dict[str, Value], rows: list[dict[str, Value]]) -> Cell:
    value = row[column.key]
    if value is None or isinstance(value, str):
        return Cell(opening(value) if value else NOTHING)
    # an ensemble has to beat all rows, but does not take the mark from the best of the single rows
    rivals = rows if row["kind"] == "combination" else [other for other in rows if other["kind"] != "combination"]
    values = [other[column.key] for other in rivals]
    numbers = [value for value in values if isinstance(value, int | float)]
    best = False
    if column.better and len(numbers) > 1 and min(numbers) < max(numbers):
        best = value == (min if column.better == "lower" else max)(numbers)
    return Cell(column.write(comparison, value), best)


def as_table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[Table]:
    """A table with its headings; none where there are no rows."""
    return [Table(caption, [Heading(column.heading, column.meaning) for column in columns], rows)] if rows else []


def table_caption(comparison: Comparison) -> str:
    """What the table holds, and what its marks mean."""
    ensembles = (
        "; where it is that of an ensemble, so is the best of the single rows" if comparison.combinations else ""
    )
    return f"Errors on the test ratings, and the cost of each fit. The best value of each metric is marked{ensembles}."


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """The table of all scored rows, and why others have no score."""
    unscored = in_order([*comparison.failed, *comparison.skipped])
    reasons = [(opening(row.title), row.reason) for row in unscored]
    lowest = best(every_row(comparison))
    return Section(
        "results",
        "Results",
        tables=as_table(table_caption(comparison), shown_columns(comparison), shown_rows(comparison)),
        parts=[Section("", "Without a score", facts=reasons, tone="warn")] if reasons else [],
        result=f"{inside(lowest.title)} has the lowest error" if lowest else "",
    )


def draw(comparison: Comparison, predictions: "pd.DataFrame") -> list[Plot]:
    """The test errors and the fit times of all scored rows, if there are any."""
    return [errors(comparison), costs(comparison)] if scored(comparison) else []


def errors(comparison: Comparison) -> Plot:
    """Test MSE of all scored rows, lowest on top, each with its interval and the letters of its ties if known."""
    figure, axes, rows = _sheet(comparison)
    step = mse_step(comparison)
    values, tiers = [row.mse for row in rows], {tier.name: tier for tier in comparison.tiers}
    lowest = min(values)
    ends = [(lowest + tier.low, lowest + tier.high) if (tier := tiers.get(row.name)) else None for row in rows]
    for place, (row, reach) in enumerate(zip(rows, ends, strict=True)):
        if reach:
            axes.plot(reach, [place, place], color=look_of(row).colour, linewidth=1.6, alpha=0.6)
    axes.axvline(lowest, color=LIGHT["soft"], linewidth=0.8)
    reaches = [*values, *(end for reach in ends if reach for end in reach)]
    span = (max(reaches) - min(reaches)) or abs(values[0]) or 1.0
    axes.set_xlim(min(reaches) - 0.05 * span, max(reaches) + 0.34 * span)
    letters = {name: f"  {tier.letters}" for name, tier in tiers.items()}
    texts = [f"{number(row.mse, step)}{letters.get(row.name, '')}" for row in rows]
    _dots(axes, rows, values, texts, [max(reach or (value,)) for reach, value in zip(ends, values, strict=True)])
    axes.set_xlabel("test MSE (rating units²)")
    told = "; ".join(f"{row.title} {text}" for row, text in zip(rows, texts, strict=True))
    caption = "Test error, lowest on top."
    if tiers:
        caption += " Bars: 95% interval of the gap to the lowest; rows that share a letter are in a tie."
    return finished(figure, "errors", "answer", caption, f"Test MSE, lowest first: {told}.")


def costs(comparison: Comparison) -> Plot:
    """Fit time of the same rows in the same order."""
    figure, axes, rows = _sheet(comparison)
    values = [max(row.fit_seconds, SHORTEST_FIT) for row in rows]
    axes.set_xscale("log")
    widest = max(10.0, max(values) / SHORTEST_FIT)
    axes.set_xlim(SHORTEST_FIT / widest**0.06, SHORTEST_FIT * widest**1.35)
    axes.minorticks_off()
    _dots(axes, rows, values, [seconds(row.fit_seconds) for row in rows], values)
    axes.set_xlabel("fit time (s, log scale)")
    told = "; ".join(f"{row.title} {seconds(row.fit_seconds)}" for row in rows)
    caption = "Fit time, in the same order, on a logarithmic scale."
    return finished(figure, "costs", "costs", caption, f"Fit time, in order of test error: {told}.")


def _sheet(comparison: Comparison) -> "tuple[Figure, Axes, list[BaselineResult]]":
    """A sheet for a line per scored row, and the rows, lowest error first."""
    rows = sorted(every_row(comparison), key=lambda row: row.mse)
    return *sheet(0.7 + 0.22 * len(rows)), rows


def _dots(
    axes: "Axes", rows: list[BaselineResult], values: list[float], texts: list[str], ends: Sequence[float]
) -> None:
    """Mark a value of each row, and write its text to the right of where what is drawn of it ends."""
    for place, (row, value, text, end) in enumerate(zip(rows, values, texts, ends, strict=True)):
        shape = look_of(row)
        axes.plot([value], [place], marker=shape.marker, color=shape.colour, markersize=7, linestyle="none")
        axes.annotate(text, (end, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(rows)), [label(row.title) for row in rows], color=LIGHT["ink"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes, x=True)
