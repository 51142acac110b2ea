"""Cold start: errors on users and items without training ratings; and clipping."""

from typing import Literal

from recsys.evaluation.results import BaselineResult, Comparison
from recsys.report.outcomes import best, bias_only, every_row, in_order, mse_step, scored, tie_margin
from recsys.report.section import Section, Table, findings_on, text_table
from recsys.text import count, inside, listing, number, opening, percent, short


def part(comparison: Comparison) -> Section:
    """The part of the discussion, with the errors on warm and on cold test ratings where there are any of these."""
    tables: list[Table] = []
    if comparison.data.cold_test_rows:
        step = mse_step(comparison)
        rows = [
            [opening(row.title), *(number(part.mse if part else None, step) for part in (row.warm, row.cold))]
            for row in every_row(comparison)
        ]
        tables.append(text_table("MSE on warm and on cold test ratings", ("Model", "Warm", "Cold"), rows))
    texts = [cold_share(comparison), warm_and_cold(comparison), clipping(comparison)] if scored(comparison) else []
    return Section("", "Unknown users and items, and clipping", findings_on("unseen", texts), tables)


def cold_share(comparison: Comparison) -> str:
    """How many test ratings are of a user or an item that no training rating is of."""
    cold, rows = comparison.data.cold_test_rows, comparison.data.test_rows
    if cold == 0:
        return "Every test rating is of a user and an item that have training ratings."
    if cold == rows:
        every = "The only test rating" if rows == 1 else f"Every one of the {rows:,} test ratings"
        return f"{every} is of a user or an item without any training rating, so all of these are cold-start errors."
    return (
        f"{count(cold, 'test rating')} of {rows:,} ({percent(cold / rows)}) {'is' if cold == 1 else 'are'} of a user "
        f"or an item without any training rating; they are scored with the others, and on their own."
    )


def warm_and_cold(comparison: Comparison) -> str:
    """Whether the best of all rows is also the best on warm rows and on cold rows; empty where all are alike."""
    leader = best(scored(comparison))
    if leader is None or not 0 < comparison.data.cold_test_rows < comparison.data.test_rows:
        return ""
    answered, warm = _answered_by_averages(comparison), _best_on(comparison, leader, "warm")
    if answered:
        return f"{opening(warm)}. {answered}" if warm else answered
    parts = [part for part in (warm, _best_on(comparison, leader, "cold")) if part]
    return f"{opening('; '.join(parts))}." if parts else ""


def _answered_by_averages(comparison: Comparison) -> str:
    """Whether every model's cold error is that of bias only, as it is where bias only answers for them; else empty."""
    averages = bias_only(comparison)
    if averages is None or averages.cold is None or not comparison.models:
        return ""
    if any(model.cold is None or model.cold.mse != averages.cold.mse for model in comparison.models):
        return ""
    return (
        f"On cold test ratings, every model predicts as {inside(averages.title)} does "
        f"(MSE {number(averages.cold.mse, mse_step(comparison))}), so they do not tell the models apart."
    )


def _best_on(comparison: Comparison, leader: BaselineResult, subset: Literal["warm", "cold"]) -> str:
    scores = [(row, row.warm if subset == "warm" else row.cold) for row in scored(comparison)]
    errors = [(row, score.mse) for row, score in scores if score is not None and score.rows > 0]
    if len(errors) < 2:
        return ""
    row, lowest = min(errors, key=lambda pair: pair[1])
    own, step = next((mse for entry, mse in errors if entry.name == leader.name), None), mse_step(comparison)
    where, best_overall = f"on {subset} test ratings", f"{inside(leader.title)}, the best overall"
    if own is not None and own - lowest <= tie_margin(comparison):
        return f"{where}, {best_overall}, also leads or ties (MSE {number(own, step)})"
    against = "" if own is None else f" against {number(own, step)} of {best_overall}"
    return f"{where}, {inside(row.title)} has the lowest MSE, {number(lowest, step)}{against}"


def clipping(comparison: Comparison) -> str:
    """Whether predictions were kept inside the range of the training ratings."""
    if comparison.clipped_to is None:
        return (
            f"Predictions were not clipped: a prediction outside the ratings' range of "
            f"{short(comparison.data.rating_min)} to {short(comparison.data.rating_max)} is not corrected."
        )
    (low, high), rows = comparison.clipped_to, comparison.data.test_rows
    clipped = [(model.clipped_rows, inside(model.title)) for model in in_order(comparison.models)]
    moved = [f"{many:,} ({percent(many / rows)}) of {title}" if many else f"none of {title}" for many, title in clipped]
    told = f" Of the predictions, it moved {listing(moved)}." if moved else ""
    return (
        f"Predictions were clipped to {short(low)} to {short(high)}, the range of the training ratings, for models "
        f"and baselines alike; the losses per epoch were not.{told}"
    )


def mostly_clipped(comparison: Comparison) -> str:
    """Which models had most of their predictions clipped; empty where none had."""
    rows = comparison.data.test_rows
    names = [inside(model.title) for model in in_order(comparison.models) if 2 * model.clipped_rows > rows]
    if not names or comparison.data.rating_sd == 0:
        return ""
    return (
        f"Most predictions of {listing(names)} lay outside the ratings' range and were clipped: their "
        f"training has not converged, and more epochs or another learning rate may change this answer."
    )
