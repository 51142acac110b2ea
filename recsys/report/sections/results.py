"""The table of models, combinations and baselines, for the terminal, the page, the CSV and the Prefect UI."""

import csv
import io
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes

from recsys.evaluation.results import BaselineResult, Combination, Comparison, FailedModel, ModelResult, Ranking
from recsys.report.outcomes import effect, every_row, in_order, mse_step, rmse_step
from recsys.report.section import Plot
from recsys.report.sections.cost import all_in_seconds, search_seconds
from recsys.report.sections.seeds import repeated, seeds_in_words
from recsys.report.style import LIGHT, look_of
from recsys.report.svg import finished, label, plain_ticks, sheet
from recsys.text import NOTHING, escape_cell, number, opening, percent, seconds, short

Value = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column of the table that people read."""

    key: str
    heading: str
    meaning: str


COLUMNS = (
    Column("title", "Model", "models first, then the baselines that any model has to beat"),
    Column("mse", "MSE", "mean squared error on the test ratings, in squared rating units; lower is better"),
    Column("rmse", "RMSE", "square root of the MSE, in rating units; lower is better"),
    Column("user_rmse", "RMSE per user", "RMSE of each user's test ratings, averaged over the users; lower is better"),
    Column("mae", "MAE", "mean absolute error on the test ratings, in rating units; lower is better"),
    Column("r2", "R²", "share of the variance of the test ratings that is explained; higher is better"),
    Column("parameters", "Parameters", "numbers that were learnt; of item kNN, the training ratings that it keeps"),
    Column("epochs", "Epochs", "passes over the training ratings that were run"),
    Column("best_epoch", "Best epoch", "epoch of the lowest validation loss"),
    Column("fit_seconds", "Fit, s", "wall-clock seconds of the fit, on the machine that ran it"),
)
SPREAD_KEY = "mse_sd"
RANKING_COLUMNS = (
    Column("title", "Model", "models first, then the baselines"),
    Column(
        "ndcg_at_10",
        "NDCG@10",
        "relevant items among the first 10 of a list, counted for less at a later place, as a share of what the best "
        "order gives, averaged over the users; higher is better",
    ),
    Column("ndcg_at_10_error", "± SE", "standard error of the NDCG@10: how far it may be from that of many more users"),
    Column(
        "recall_at_10",
        "Recall@10",
        "share of a user's relevant items that are among the first 10, averaged over the users; higher is better",
    ),
    Column(
        "mrr",
        "MRR",
        "1 divided by the place of the first relevant item of a list, averaged over the users; higher is better",
    ),
    Column("coverage_at_10", "Coverage@10", "share of all items that are among the first 10 of some list"),
)
SHORTEST_SHOWN = 0.1
LOWER_IS_BETTER = ("mse", "rmse", "user_rmse", "mae")
HIGHER_IS_BETTER = ("r2", "ndcg_at_10", "recall_at_10", "mrr")
NDCG_STEP = 0.001
"""Smallest difference of a metric from 0 to 1 that is worth writing."""


@dataclass(frozen=True)
class Cell:
    """One value as people read it."""

    key: str
    text: str
    best: bool


def shown_columns(comparison: Comparison) -> tuple[Column, ...]:
    """COLUMNS, with the spread over the seeds beside the MSE where any model was trained with several seeds."""
    if not repeated(comparison):
        return COLUMNS
    seeds = seeds_in_words(comparison)
    meaning = f"standard deviation of a model's MSE over {seeds}; all errors of a model are means over its seeds"
    at = [column.key for column in COLUMNS].index("mse") + 1
    return (*COLUMNS[:at], Column(SPREAD_KEY, f"± sd, {seeds}", meaning), *COLUMNS[at:])


def table_caption(comparison: Comparison) -> str:
    """What the table holds, and what its marks mean."""
    text = "Errors on the test ratings, and what each row took to fit. The best error of each column is marked"
    if comparison.combinations:
        text += "; where that is a combination's, so is the best of the rows that stand for themselves"
    return f"{text}."


def table_rows(comparison: Comparison) -> list[dict[str, Value]]:
    """One row per model, failed model, combination, baseline and skipped baseline, in a fixed order.

    Returns:
        Dictionaries with the same keys: name, title, kind ("model", "combination", "baseline", "failed" or
        "skipped"), mse, rmse, user_rmse, mae, r2, parameters, epochs, best_epoch, scored_epoch, fit_seconds;
        seeds, mse_sd, mse_low, mse_high (the spread of a model's MSE over its seeds), refitted_rows, all_in_seconds
        (all seeds and the search), search_seconds, file_bytes, peak_mb, predict_microseconds; members and weights
        of a combination, as "a + b" and "0.25 + 0.75"; warm_rows, warm_mse, cold_rows, cold_mse, ranked_users,
        ndcg_at_10, ndcg_at_10_error, recall_at_10, mrr, coverage_at_10, tied_users (all None where the row's
        lists were not ranked) and failure (the reason, None where there is a score). Numbers are not rounded.
    """
    models: list[BaselineResult | FailedModel] = [*comparison.models, *comparison.failed]
    baselines: list[BaselineResult | FailedModel] = [*comparison.baselines, *comparison.skipped]
    rows = [_row(comparison, row, "failed") for row in in_order(models)]
    rows += [_row(comparison, row, "failed") for row in comparison.combinations]
    return rows + [_row(comparison, row, "skipped") for row in in_order(baselines)]


def _row(comparison: Comparison, row: BaselineResult | FailedModel, unscored: str) -> dict[str, Value]:
    empty: dict[str, Value] = dict.fromkeys(_KEYS)
    if isinstance(row, FailedModel):
        return {**empty, "name": row.name, "title": row.title, "kind": unscored, "failure": row.reason}
    return {
        **empty,
        "name": row.name,
        "title": row.title,
        "kind": "baseline",
        **{column.key: getattr(row, column.key) for column in COLUMNS[1:]},
        "predict_microseconds": row.predict_microseconds,
        "search_seconds": search_seconds(comparison, row),
        "all_in_seconds": all_in_seconds(comparison, row),
        "warm_rows": row.warm.rows if row.warm else None,
        "warm_mse": row.warm.mse if row.warm else None,
        "cold_rows": row.cold.rows if row.cold else None,
        "cold_mse": row.cold.mse if row.cold else None,
        **_ranking(row.ranking),
        **(_trained(row) if isinstance(row, ModelResult) else {}),
        **(_combined(row) if isinstance(row, Combination) else {}),
    }


def _trained(row: ModelResult) -> dict[str, Value]:
    spread = row.spread
    return {
        "kind": "model",
        "scored_epoch": row.scored_epoch,
        "seeds": max(1, len(row.seeds)),
        SPREAD_KEY: spread.sd if spread else None,
        "mse_low": spread.low if spread else None,
        "mse_high": spread.high if spread else None,
        "refitted_rows": row.refitted_rows,
        "file_bytes": row.file_bytes,
        "peak_mb": row.peak_mb,
    }


def _combined(row: Combination) -> dict[str, Value]:
    return {
        "kind": "combination",
        "members": " + ".join(row.members),
        "weights": " + ".join(f"{weight:g}" for weight in row.weights),
    }


def _ranking(ranking: Ranking | None) -> dict[str, Value]:
    if ranking is None:
        return dict.fromkeys(_RANKING)
    return {"ranked_users": ranking.users, **ranking.model_dump(exclude={"users"})}


_SUBSETS = ("warm_rows", "warm_mse", "cold_rows", "cold_mse")
_RANKING = ("ranked_users", "ndcg_at_10", "ndcg_at_10_error", "recall_at_10", "mrr", "coverage_at_10", "tied_users")
_KEYS = (
    *("name", "title", "kind", "mse", "rmse", "user_rmse", "mae", "r2", "parameters", "epochs", "best_epoch"),
    *("scored_epoch", "fit_seconds", "seeds", SPREAD_KEY, "mse_low", "mse_high", "refitted_rows", "search_seconds"),
    *("all_in_seconds", "file_bytes", "peak_mb", "predict_microseconds", "members", "weights"),
    *(*_SUBSETS, *_RANKING, "failure"),
)


def shown_rows(comparison: Comparison) -> list[list[Cell]]:
    """The scored rows as people read them, one cell per entry of `shown_columns`, the best errors marked."""
    rows = [row for row in table_rows(comparison) if row["failure"] is None]
    columns = shown_columns(comparison)
    return [[_cell(comparison, column.key, row, rows) for column in columns] for row in rows]


def ranking_rows(comparison: Comparison) -> list[list[Cell]]:
    """The ranked rows as people read them, one cell per entry of RANKING_COLUMNS, the best numbers marked.

    A row of which equal scores left the first ten of every list to chance is never the best.
    """
    rows = [row for row in table_rows(comparison) if row["ranked_users"]]
    chosen = [row for row in rows if row["tied_users"] != row["ranked_users"]]
    return [
        [_cell(comparison, column.key, row, chosen if row in chosen else []) for column in RANKING_COLUMNS]
        for row in rows
    ]


def _cell(comparison: Comparison, key: str, row: dict[str, Value], rows: list[dict[str, Value]]) -> Cell:
    value = row[key]
    if row["kind"] in ("baseline", "combination") and key == "epochs" and value == 0:
        value = None
    # a combination has to beat all rows, but does not take the mark from the best of those that stand for themselves
    rivals = rows if row["kind"] == "combination" else [other for other in rows if other["kind"] != "combination"]
    return Cell(key, _shown(comparison, key, value), best=_is_best(key, value, rivals))


def _is_best(key: str, value: Value, rows: list[dict[str, Value]]) -> bool:
    others = [other[key] for other in rows]
    numbers = [other for other in others if isinstance(other, int | float)]
    if len(numbers) < 2 or min(numbers) == max(numbers):
        return False
    if key in LOWER_IS_BETTER:
        return value == min(numbers)
    return key in HIGHER_IS_BETTER and value == max(numbers)


def _shown(comparison: Comparison, key: str, value: Value) -> str:
    if value is None or isinstance(value, str):
        return opening(value) if value else NOTHING
    if key == "mse":
        return number(value, mse_step(comparison))
    if key == SPREAD_KEY:
        return number(value, mse_step(comparison))
    if key in ("rmse", "user_rmse", "mae"):
        return number(value, rmse_step(comparison))
    if key == "r2":
        return number(value, 0.01)
    if key == "coverage_at_10":
        return percent(value)
    if key in _RANKING:
        return number(value, NDCG_STEP)
    if key == "fit_seconds":
        return number(value, 1) if value >= SHORTEST_SHOWN else f"<{SHORTEST_SHOWN}"
    return f"{value:,}"


def subset_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Title, MSE on warm and MSE on cold test ratings of each scored row."""
    step = mse_step(comparison)
    return [
        (
            opening(row.title),
            number(row.warm.mse if row.warm else None, step),
            number(row.cold.mse if row.cold else None, step),
        )
        for row in every_row(comparison)
    ]


def table_csv(comparison: Comparison) -> str:
    """The table for machines, one line per row, numbers in full."""
    written = io.StringIO()
    lines = csv.DictWriter(written, fieldnames=_KEYS, lineterminator="\n")
    lines.writeheader()
    for row in table_rows(comparison):
        lines.writerow({key: escape_cell(value) for key, value in row.items()})
    return written.getvalue()


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
