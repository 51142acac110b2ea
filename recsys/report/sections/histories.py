"""What brought what: errors by the histories that models read, so that nobody credits depth with what inputs bring."""

from collections.abc import Sequence

from recsys.evaluation.results import Comparison, HistoryScore
from recsys.evaluation.thresholds import smallest_effect
from recsys.models.specs import MOST_FOR_HISTORIES
from recsys.report.outcomes import mse_step
from recsys.report.section import Plot, Section, findings_on, text_table
from recsys.text import NOTHING, inside, number, opening, percent

TITLE = "What brought what"

INPUTS = {"none": "No history", "user": "The user's", "both": "Both"}
"""What is read beside the codes of the user and the item, as a column's heading."""


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """A row a model, a column for what it reads; None where nothing was measured."""
    models = _by_model(comparison)
    if not models:
        many = comparison.protocol == "fair" and comparison.data.train_rows > MOST_FOR_HISTORIES
        text = f"Not measured, as there are more than {MOST_FOR_HISTORIES:,} training ratings."
        return Section("histories", TITLE, findings_on("histories", [text])) if many else None
    step = mse_step(comparison)
    rows = [
        (opening(inside(next(iter(scores.values())).title)), *(_cell(scores.get(which), step) for which in INPUTS))
        for scores in models
    ]
    caption = (
        "Test MSE (and validation MSE) by the histories that a model reads: the items that a user has rated, and the "
        "users who have rated an item. All are fitted to the training ratings alone, with one seed."
    )
    texts = [*(_of_histories(comparison, scores) for scores in models), _of_depth(comparison, models)]
    table = text_table(caption, ("Model", *INPUTS.values()), rows)
    return Section("histories", TITLE, findings_on("histories", texts), [table], result=_result(models))


def _result(models: Sequence[dict[str, HistoryScore]]) -> str:
    """What both histories bring to the model that gains most by them."""
    gains = [
        (1 - scores["both"].mse / scores["none"].mse, inside(scores["both"].title))
        for scores in models
        if {"none", "both"} <= scores.keys() and scores["none"].mse > 0
    ]
    if not gains:
        return ""
    gain, title = max(gains)
    return f"both histories {'lower' if gain > 0 else 'raise'} the MSE of {title} by {percent(abs(gain))}"


def _by_model(comparison: Comparison) -> list[dict[str, HistoryScore]]:
    found: dict[str, dict[str, HistoryScore]] = {}
    for score in comparison.histories:
        found.setdefault(score.name, {})[score.histories] = score
    return list(found.values())


def _cell(score: HistoryScore | None, step: float) -> str:
    return f"{number(score.mse, step)} ({number(score.val_mse, step)})" if score else NOTHING


def _of_histories(comparison: Comparison, scores: dict[str, HistoryScore]) -> str:
    """What both histories bring to a model; empty where one of its fits failed."""
    if not {"none", "both"} <= scores.keys():
        return ""
    without, both = scores["none"], scores["both"]
    gain, step = without.mse - both.mse, mse_step(comparison)
    told = f"from {number(without.mse, step)} to {number(both.mse, step)}"
    title = inside(both.title)
    if abs(gain) < _tie(comparison):
        return f"Reading both histories hardly changes the test MSE of {title}: {told}."
    verb = "lowers" if gain > 0 else "raises"
    return f"Reading both histories {verb} the test MSE of {title} by {percent(abs(gain) / without.mse)}, {told}."


def _of_depth(comparison: Comparison, models: Sequence[dict[str, HistoryScore]]) -> str:
    """What is between the families where both read everything; empty where there are not both."""
    both = {scores["both"].family: scores["both"] for scores in models if "both" in scores}
    if len(both) < 2:
        return ""
    gap, step = both["mf"].mse - both["dnn"].mse, mse_step(comparison)
    mf, dnn = (inside(both[family].title) for family in ("mf", "dnn"))
    told = f"{number(both['mf'].mse, step)} and {number(both['dnn'].mse, step)}"
    if abs(gap) < _tie(comparison):
        return f"With the same inputs, {mf} and {dnn} tie ({told}): depth brings nothing that can be seen here."
    better = dnn if gap > 0 else mf
    return f"With the same inputs, {better} is ahead by {number(abs(gap), step)} ({told} for {mf} and {dnn})."


def _tie(comparison: Comparison) -> float:
    return smallest_effect(comparison.min_effect, comparison.data.rating_sd)
