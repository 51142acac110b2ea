"""Ensembles: each against the best single model or baseline."""

from recsys.evaluation.results import Combination, Comparison
from recsys.report.outcomes import best, best_combination, every_row, mse_step, outcome, scored
from recsys.report.section import Finding
from recsys.text import inside, listing, number, opening, percent, seconds


def combination_findings(comparison: Comparison) -> list[Finding]:
    """One finding a combination: what it is made of, and whether that is better than the best single row."""
    return [Finding("combination", _against_single(comparison, made)) for made in comparison.combinations]


def combination_summary(comparison: Comparison) -> list[Finding]:
    """The best combination, where it beats every single row; empty where none does."""
    leader, single = best_combination(comparison), best(scored(comparison))
    if leader is None or single is None:
        return []
    step = mse_step(comparison)
    text = f"An ensemble has the lowest error of all, {made_of(comparison, leader)}: its MSE of "
    text += (
        f"{number(leader.mse, step)} is {number(single.mse - leader.mse, step)} below that of the best single "
        f"predictor, {inside(single.title)}."
    )
    return [Finding("combination", text)]


def made_of(comparison: Comparison, made: Combination) -> str:
    """What a combination is, in a clause."""
    titles = {row.name: inside(row.title) for row in every_row(comparison)}
    members = [titles.get(name, name) for name in made.members]
    if made.kind == "seeds":
        return f"the mean of the predictions of all seeds of {listing(list(dict.fromkeys(members)))}"
    weighed = [f"{weight:.2f} × {title}" for weight, title in zip(made.weights, members, strict=True)]
    return f"the blend {' + '.join(weighed)}"


def _against_single(comparison: Comparison, made: Combination) -> str:
    name, step = opening(inside(made.title)), mse_step(comparison)
    weights = ", with weights chosen on validation ratings" if made.kind == "blend" else ""
    text = f"{name} is {made_of(comparison, made)}{weights}; its MSE is {number(made.mse, step)}"
    single = best(scored(comparison))
    if single is None:
        return f"{text}."
    gap = abs(made.mse - single.mse)
    whose = f"that of the best single predictor, {inside(single.title)} ({number(single.mse, step)})"
    result = outcome(comparison, made, single)
    if result == "tie":
        compared = f"which ties with {whose}"
    else:
        share = f" ({percent(gap / single.mse)})" if single.mse > 0 else ""
        compared = f"{number(gap, step)}{share} {'below' if result == 'better' else 'above'} {whose}"
    cost = f"Training takes {seconds(made.fit_seconds)}, against {seconds(single.fit_seconds)}."
    return f"{text}, {compared}. {cost}"
