"""Models against baselines: a model should at least beat the biases of users and items."""

from recsys.evaluation.results import BaselineResult, Comparison, ModelResult
from recsys.report.outcomes import best, bias_only, in_order, mse_step, outcome, outcome_by_margin, tie_margin
from recsys.report.section import Finding
from recsys.text import count, inside, listing, number, opening, stopped, verb


def baseline_summary(comparison: Comparison) -> list[Finding]:
    """In one sentence, which models beat the best baseline."""
    rival = best(in_order(comparison.baselines))
    if rival is None or not comparison.models:
        return []
    if text := unbeaten(comparison):
        return [Finding("baselines", text)]
    models = in_order(comparison.models)
    names = [inside(model.title) for model in models if outcome(comparison, model, rival) == "better"]
    others = [inside(model.title) for model in models if outcome(comparison, model, rival) != "better"]
    bar = _best_baseline(comparison, rival)
    text = f"{opening(listing(names))} {verb(names, 'beat')} {bar}; {listing(others)} {verb(others, 'do')} not."
    if not others:
        text = f"{'Every model' if len(names) > 1 else 'The one model'} beats {bar}."
    return [Finding("baselines", text)]


def unbeaten(comparison: Comparison) -> str:
    """That no model beats the best baseline; empty where one does, or without a model or a baseline."""
    rival, models = best(in_order(comparison.baselines)), in_order(comparison.models)
    if rival is None or not models or any(outcome(comparison, model, rival) == "better" for model in models):
        return ""
    equal = [inside(model.title) for model in models if outcome(comparison, model, rival) == "tie"]
    close = [inside(model.title) for model in models if other_seeds_may_beat(comparison, model, rival)]
    ties = f"; {listing(equal)} {verb(equal, 'tie')} with it" if equal else ""
    might = f", but with other seeds {listing(close)} might beat it" if close else ""
    return f"No model beats {_best_baseline(comparison, rival)}{ties}{might}."


def _best_baseline(comparison: Comparison, rival: BaselineResult) -> str:
    error = number(rival.mse, mse_step(comparison))
    return f"the best baseline, {inside(rival.title)} (MSE {error}, {count(rival.parameters, 'parameter')})"


def other_seeds_may_beat(comparison: Comparison, model: ModelResult, rival: BaselineResult) -> bool:
    """Whether a model would beat a rival at the low end of the 95% interval that its seeds leave for its mean error."""
    if model.spread is None:
        return False
    return outcome_by_margin(model.spread.low - rival.mse, tie_margin(comparison)) == "better"


def baseline_findings(comparison: Comparison) -> list[Finding]:
    """Each model against each baseline."""
    if not comparison.models:
        return []
    if not comparison.baselines:
        return [Finding("baselines", "No baseline was scored, so there is nothing to compare these errors with.")]
    return [Finding("baselines", _against(comparison, model)) for model in in_order(comparison.models)]


def skipped_findings(comparison: Comparison) -> list[Finding]:
    """The baselines that were left out, and why."""
    return [
        Finding("skipped", f"{opening(inside(row.title))} was left out: {stopped(row.reason)}")
        for row in in_order(comparison.skipped)
    ]


def _against(comparison: Comparison, model: ModelResult) -> str:
    step = mse_step(comparison)
    groups = dict[str, list[str]](better=[], tie=[], worse=[])
    for row in in_order(comparison.baselines):
        groups[outcome(comparison, model, row)].append(f"{inside(row.title)} ({number(row.mse, step)})")
    phrases = {"better": "beats", "tie": "ties with", "worse": "loses to"}
    parts = [f"{phrases[name]} {listing(rivals)}" for name, rivals in groups.items() if rivals]
    text = f"{opening(inside(model.title))} ({number(model.mse, step)}) {listing(parts)}. "
    return (text + _lesson(comparison, model)).strip()


def _lesson(comparison: Comparison, model: BaselineResult) -> str:
    mean = next((row for row in comparison.baselines if row.name == "global_mean"), None)
    if mean is not None and outcome(comparison, model, mean) == "worse":
        return "Predicting the mean of the training ratings has a lower error."
    averages = bias_only(comparison)
    if averages is not None and outcome(comparison, model, averages) != "better":
        return (
            "Its test error is no lower than that of user and item biases alone: it has learnt no interaction between "
            "users and items that helps."
        )
    slope = next((row for row in comparison.baselines if row.name == "popularity_slope"), None)
    if slope is not None and outcome(comparison, model, slope) != "better":
        return (
            "Its test error is no lower than that of biases and one number per user, how much the user leans to "
            "popular items: it is not shown to have learnt more than that."
        )
    return ""
