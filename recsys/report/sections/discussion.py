"""The discussion: who predicts better and what inside a network does it, and the findings of all other modules."""

from collections.abc import Sequence

from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Comparison, Contribution, ModelResult
from recsys.report.outcomes import (
    best,
    best_network,
    difference,
    effect,
    factorisation,
    in_order,
    mse_step,
    networks,
    outcome,
    rmse_step,
    scored,
    tie_margin,
)
from recsys.report.section import Finding, Plot, Section
from recsys.report.sections import cold_start, methodology
from recsys.report.sections.baselines import baseline_findings, skipped_findings
from recsys.report.sections.cost import all_in_findings, cost_findings, worth_findings
from recsys.report.sections.ensembles import combination_findings
from recsys.report.sections.overfitting import overfitting_findings
from recsys.text import inside, listing, number, opening, percent, stopped


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
    return Section("discussion", "Discussion", parts=[part for part in parts if part.findings])


def failure_findings(comparison: Comparison) -> list[Finding]:
    """The models without a score."""
    return [
        Finding(
            "failed", f"{opening(inside(row.title))} has no score, because its training failed: {stopped(row.reason)}"
        )
        for row in in_order(comparison.failed)
    ]


def ranking_findings(comparison: Comparison) -> list[Finding]:
    """The lowest error of all, and what cannot be told apart from it."""
    rows, step = scored(comparison), mse_step(comparison)
    leader = best(rows)
    if leader is None or len(rows) < 2:
        return []
    level = [inside(row.title) for row in rows if row is not leader and outcome(comparison, row, leader) == "tie"]
    of_all = "of all rows that stand for themselves" if comparison.combinations else "of all"
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
    step, gap = mse_step(comparison), abs(network.mse - model.mse)
    both = f"{opening(inside(network.title))}: test MSE {number(network.mse, step)} against "
    both += f"{number(model.mse, step)} of {inside(model.title)}"
    share = f" ({percent(gap / model.mse)})" if model.mse > 0 else ""
    tested = difference(comparison, network, model)
    if gap == 0:
        return f"{both}, no difference at all."
    direction = "lower" if network.mse < model.mse else "higher"
    if outcome(comparison, network, model) == "tie":
        why = "is too small a gap to tell them apart"
        if tested is not None:
            why = "is too small a gap to matter" if tested.verdict == "too small" else "may be chance"
        return f"{both}; {number(gap, step)}{share} {direction} {why}: a tie."
    return f"{both}, {number(gap, step)}{share} {direction}."


def contribution_findings(comparison: Comparison) -> list[Finding]:
    """Of each network that is a sum, how far its addends move predictions, and what it would be without each."""
    return [
        Finding("inside", _contributions(comparison, network))
        for network in networks(comparison)
        if network.contributions
    ]


def contribution_summary(comparison: Comparison) -> list[Finding]:
    """Of the best network, whether it would be as good without its dense layers; empty where it would not."""
    network = best_network(comparison)
    dense = _dense(network) if network else None
    if network is None or dense is None or not _adds_nothing(comparison, network, dense):
        return []
    return [Finding("inside", _nothing_added(comparison, network, dense))]


def _contributions(comparison: Comparison, network: ModelResult) -> str:
    parts, step = network.contributions, mse_step(comparison)
    moved = [f"the {part.name} by {number(part.sd, rmse_step(comparison))}" for part in parts]
    without = [f"{number(part.mse_without, step)} without the {part.name}" for part in parts]
    text = (
        f"{opening(inside(network.title))} is a sum. Over the test ratings of known users and items, predictions are "
        f"moved by {listing(moved).replace('the ', 'its ', 1)} (standard deviations, in rating units). "
        f"With its mean in the place of an addend, and nothing trained anew, the MSE of {number(_own(network), step)} "
        f"would be {listing(without)}."
    )
    dense = _dense(network)
    if dense is None or not _adds_nothing(comparison, network, dense):
        return text
    return f"{text} {_nothing_added(comparison, network, dense)}"


def _nothing_added(comparison: Comparison, network: ModelResult, dense: Contribution) -> str:
    title, step = inside(network.title), mse_step(comparison)
    rest = "biases"
    if any(part.name == DOT_PRODUCT for part in network.contributions):
        rest = "matrix factorisation"
    if dense.sd < rmse_step(comparison):
        return (
            f"The dense layers of {title} are switched off: they move its predictions by "
            f"{number(dense.sd, rmse_step(comparison))} rating units, and what is left of it is {rest}."
        )
    change = dense.mse_without - _own(network)
    would = f"{number(abs(change), step)} {'higher' if change >= 0 else 'lower'}"
    return (
        f"The dense layers of {title} add nothing that counts: with their mean in their place its MSE would be "
        f"{would}, so what predicts is the {rest} inside it."
    )


def _adds_nothing(comparison: Comparison, network: ModelResult, dense: Contribution) -> bool:
    return dense.mse_without - _own(network) < effect(comparison)


def _dense(network: ModelResult) -> Contribution | None:
    return next((part for part in network.contributions if part.name == DENSE_LAYERS), None)


def _own(network: ModelResult) -> float:
    """The MSE of the seed whose addends were looked at."""
    return network.seeds[0].mse if network.seeds else network.mse
