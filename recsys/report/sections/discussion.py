"""The discussion: who predicts better and what inside a network does it, and the findings of all other modules."""

from collections.abc import Sequence

from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Combination, Comparison, ModelResult
from recsys.report.outcomes import (
    best,
    best_combination,
    best_network,
    difference,
    effect,
    every_row,
    factorisation,
    in_order,
    mse_step,
    networks,
    outcome,
    rmse_step,
    scored,
    tie_margin,
)
from recsys.report.section import Finding, Plot, Section, findings_on
from recsys.report.sections import cold_start, methodology
from recsys.report.sections.baselines import baseline_findings, skipped_findings
from recsys.report.sections.cost import all_in_findings, cost_findings, worth_findings
from recsys.report.sections.overfitting import overfitting_findings
from recsys.text import inside, listing, number, opening, percent, seconds, stopped


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """Every finding under the heading that it belongs to, then two boxes on the procedure."""
    findings = {
        "Who predicts better": [*ranking_findings(comparison), *gap_findings(comparison)],
        "Inside the network": contribution_findings(comparison),
        "Together": combination_findings(comparison),
        "At what price": [*cost_findings(comparison), *all_in_findings(comparison), *worth_findings(comparison)],
        "Against the baselines": [*baseline_findings(comparison), *skipped_findings(comparison)],
        "Overfitting": overfitting_findings(comparison),
    }
    parts = [
        *(Section("", title, found) for title, found in findings.items()),
        cold_start.part(comparison),
        Section("", "What failed", failure_findings(comparison)),
        *methodology.boxes(comparison),
    ]
    lowest = [inside(row.title) for row in (best(comparison.models), best(comparison.baselines)) if row]
    result = f"the lowest errors are those of {listing(lowest)}" if lowest else ""
    return Section("discussion", "Discussion", parts=[part for part in parts if part.findings], result=result)


def failure_findings(comparison: Comparison) -> list[Finding]:
    """The models without a score."""
    rows = [(opening(inside(row.title)), stopped(row.reason)) for row in in_order(comparison.failed)]
    return [Finding("failed", f"{title} has no score, because its training failed: {reason}") for title, reason in rows]


def ranking_findings(comparison: Comparison) -> list[Finding]:
    """The lowest error of all, and what cannot be told apart from it."""
    rows, step = scored(comparison), mse_step(comparison)
    leader = best(rows)
    if leader is None or len(rows) < 2:
        return []
    level = [inside(row.title) for row in rows if row is not leader and outcome(comparison, row, leader) == "tie"]
    of_all = "of all single models and baselines" if comparison.combinations else "of all"
    text = f"{opening(inside(leader.title))} has the lowest test error {of_all}, an MSE of {number(leader.mse, step)}"
    text += f", in a tie with {listing(level)}." if level else ", by more than a tie."
    if comparison.differences:
        text += f" A difference of MSEs below {number(effect(comparison), step)} is called a tie here, "
        text += "and so is a larger one that may be chance."
    elif tie_margin(comparison) > 0:
        text += f" A gap of up to {number(tie_margin(comparison), step)} in MSE is called a tie here."
    return [Finding("ranking", text)]


def gap_findings(comparison: Comparison) -> list[Finding]:
    """Each network's error against that of the matrix factorisation."""
    model = factorisation(comparison)
    return [] if model is None else [Finding("gap", _gap(comparison, net, model)) for net in networks(comparison)]


def _gap(comparison: Comparison, network: ModelResult, model: ModelResult) -> str:
    step, gap, tested = mse_step(comparison), abs(network.mse - model.mse), difference(comparison, network, model)
    both = f"{opening(inside(network.title))}: test MSE {number(network.mse, step)} against "
    both += f"{number(model.mse, step)} of {inside(model.title)}"
    share = f" ({percent(gap / model.mse)})" if model.mse > 0 else ""
    if gap == 0:
        return f"{both}, no difference at all."
    size = f"{number(gap, step)}{share} {'lower' if network.mse < model.mse else 'higher'}"
    if outcome(comparison, network, model) != "tie":
        return f"{both}, {size}."
    why = "is too small a gap to tell them apart"
    if tested is not None:
        why = "is too small a gap to matter" if tested.verdict == "too small" else "may be chance"
    return f"{both}; {size} {why}: a tie."


def contribution_findings(comparison: Comparison) -> list[Finding]:
    """Of each network that is a sum, the standard deviation of each term, and the MSE without it."""
    sums = [network for network in in_order(comparison.models) if network.contributions]
    return [Finding("inside", _contributions(comparison, network)) for network in sums]


def contribution_summary(comparison: Comparison) -> list[Finding]:
    """Of the best network, whether it would be as good without its dense layers; empty where it would not."""
    network = best_network(comparison)
    return findings_on("inside", [_idle_layers(comparison, network)] if network else [])


def _contributions(comparison: Comparison, network: ModelResult) -> str:
    parts, step = network.contributions, mse_step(comparison)
    moved = [f"{part.name} {number(part.sd, rmse_step(comparison))}" for part in parts]
    without = [f"{number(part.mse_without, step)} without the {part.name}" for part in parts]
    text = (
        f"The prediction of {inside(network.title)} is a sum. Standard deviations of its terms over the warm test "
        f"ratings, in rating units: {listing(moved)}. With a term replaced by its mean, without retraining, the MSE of "
        f"{number(_own(network), step)} would be {listing(without)}."
    )
    return f"{text} {_idle_layers(comparison, network)}".rstrip()


def _idle_layers(comparison: Comparison, network: ModelResult) -> str:
    """That a network would be as good without its dense layers; empty where it would not, or has none."""
    terms = {part.name: part for part in network.contributions}
    dense, title, sd_step = terms.get(DENSE_LAYERS), inside(network.title), rmse_step(comparison)
    if dense is None or not dense.mse_without - _own(network) < effect(comparison):
        return ""
    rest = "matrix factorisation" if DOT_PRODUCT in terms else "biases"
    if dense.sd < sd_step:
        return (
            f"The dense layers of {title} are switched off: their standard deviation is {number(dense.sd, sd_step)} "
            f"rating units, and what is left is {rest}."
        )
    change = dense.mse_without - _own(network)
    would = f"{number(abs(change), mse_step(comparison))} {'higher' if change >= 0 else 'lower'}"
    return (
        f"The dense layers of {title} add nothing that counts: with them replaced by their mean, its MSE would be "
        f"{would}, so it predicts by the {rest} inside it."
    )


def _own(network: ModelResult) -> float:
    """The MSE of the seed whose terms were ablated."""
    return network.seeds[0].mse if network.seeds else network.mse


def combination_findings(comparison: Comparison) -> list[Finding]:
    """One finding an ensemble: what it is made of, and whether that is better than the best single row."""
    return [Finding("combination", _against_single(comparison, made)) for made in comparison.combinations]


def combination_summary(comparison: Comparison) -> list[Finding]:
    """The best ensemble, where it beats every single row; empty where none does."""
    leader, single = best_combination(comparison), best(scored(comparison))
    if leader is None or single is None:
        return []
    step = mse_step(comparison)
    text = f"An ensemble has the lowest error of all, {_made_of(comparison, leader)}: its MSE of "
    text += f"{number(leader.mse, step)} is {number(single.mse - leader.mse, step)} below that of the best single "
    return [Finding("combination", f"{text}predictor, {inside(single.title)}.")]


def _made_of(comparison: Comparison, made: Combination) -> str:
    titles = {row.name: inside(row.title) for row in every_row(comparison)}
    members = [titles.get(name, name) for name in made.members]
    if made.kind == "seeds":
        return f"the mean of the predictions of all seeds of {listing(list(dict.fromkeys(members)))}"
    weighed = [f"{weight:.2f} × {title}" for weight, title in zip(made.weights, members, strict=True)]
    return f"the blend {' + '.join(weighed)}"


def _against_single(comparison: Comparison, made: Combination) -> str:
    step, single = mse_step(comparison), best(scored(comparison))
    weights = ", with weights chosen on validation ratings" if made.kind == "blend" else ""
    if made.equal_share:
        weights += f" and moved by {made.equal_share:.0%} towards equal ones, which did better in cross-validation"
    text = (
        f"{opening(inside(made.title))} is {_made_of(comparison, made)}{weights}; its MSE is {number(made.mse, step)}"
    )
    if single is None:
        return f"{text}."
    gap, result = abs(made.mse - single.mse), outcome(comparison, made, single)
    share = f" ({percent(gap / single.mse)})" if single.mse > 0 else ""
    compared = f"{number(gap, step)}{share} {'below' if result == 'better' else 'above'}"
    compared = "which ties with" if result == "tie" else compared
    return (
        f"{text}, {compared} that of the best single predictor, {inside(single.title)} ({number(single.mse, step)}). "
        f"Training takes {seconds(made.fit_seconds)}, against {seconds(single.fit_seconds)}."
    )
