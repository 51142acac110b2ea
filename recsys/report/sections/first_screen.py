"""The first screen: the answer, how sure it is, by how much, at what cost, and what to use."""

from collections.abc import Sequence
from math import sqrt

from recsys.evaluation.results import BaselineResult, Comparison, ModelResult
from recsys.models.specs import BLEND, MODEL
from recsys.report.answer import headline, to_use, unanswered, verdict_of
from recsys.report.drift import drift_warnings
from recsys.report.outcomes import (
    best,
    best_combination,
    best_network,
    duel,
    effect,
    every_row,
    factorisation,
    mse_step,
    outcome,
    rmse_step,
    scored,
)
from recsys.report.searches import as_given, not_searched
from recsys.report.section import Finding, Plot, Section, Share, findings_on, plots_of
from recsys.report.sections.cold_start import mostly_clipped
from recsys.report.sections.cost import all_in_seconds, cheaper_rival
from recsys.report.sections.discussion import failure_findings
from recsys.report.sections.methodology import few_test_ratings, optimism
from recsys.report.sections.use import Winner, recommending
from recsys.text import inside, number, opening, percent, probability, seconds


def section(comparison: Comparison, plots: Sequence[Plot], winner: Winner | None = None) -> Section:
    """The first screen, with a box of what moved since the runs before."""
    drift, used = drift_warnings(comparison), winner.about.name if winner else None
    advised = _advised(comparison, used)
    return Section(
        "answer",
        headline(comparison),
        warnings(comparison),
        plots=plots_of(plots, "answer"),
        facts=figures(comparison, used),
        shares=shares(comparison),
        listing=recommending(winner.folder) if winner and advised and advised.name == used else "",
        parts=[Section("", "Moved since the runs before", drift, tone="warn")] if drift else [],
    )


def warnings(comparison: Comparison) -> list[Finding]:
    """What the reader has to know before any figure; mostly nothing."""
    chosen = optimism(comparison) if comparison.protocol == "notebook" else ""
    texts = [mostly_clipped(comparison), few_test_ratings(comparison), chosen, not_searched(comparison)]
    return [*failure_findings(comparison), *(findings_on("caution", texts) if comparison.models else [])]


def shares(comparison: Comparison) -> list[Share]:
    """The chances of the three answers, which sum to 1; empty where they were not computed."""
    found = comparison.chances
    if found is None or unanswered(comparison):
        return []
    smallest = effect(comparison)
    equal = "practically equal" + (f" (MSE within {number(smallest, mse_step(comparison))})" if smallest else "")
    told = (("mf", "MF better", found.mf), ("equal", equal, found.equal), ("dnn", "DNN better", found.dnn))
    return [Share(role, label, share, probability(share)) for role, label, share in told]


def figures(comparison: Comparison, used: str | None = None) -> list[tuple[str, str]]:
    """The errors of both sides, their gap, their cost, and what to use; without an answer only the last.

    `used` is the row of the model to use, if there is one.
    """
    model, network, contest = factorisation(comparison), best_network(comparison), duel(comparison)
    use = _use(comparison, used)
    if model is None or network is None or contest is None or unanswered(comparison):
        return use
    step = rmse_step(comparison)
    names = inside(network.title), inside(model.title)
    gap = network.rmse - model.rmse
    share = f" ({percent(abs(gap) / model.rmse)})" if gap and model.rmse > 0 else ""
    size = f"{number(abs(gap), step)} rating units{share} {'higher' if gap > 0 else 'lower'}" if gap else "none"
    interval = ""
    if contest.reach:
        low, high = (sqrt(max(0.0, model.mse + end)) - sqrt(model.mse) for end in contest.reach)
        interval = f"; 95% interval {number(low, step)} to {number(high, step)}"
    return [
        ("RMSE", f"{names[0]} {number(network.rmse, step)}, {names[1]} {number(model.rmse, step)}"),
        ("Gap", f"{size}{interval}"),
        ("Training", _training(comparison, network, model)),
        ("Worth its cost", _worth(comparison, network)),
        *use,
    ]


def _training(comparison: Comparison, network: ModelResult, model: ModelResult) -> str:
    """Seconds of both sides, once and all in."""
    text = f"{seconds(network.fit_seconds)} against {seconds(model.fit_seconds)}"
    whole = [all_in_seconds(comparison, row) for row in (network, model)]
    if whole == [network.fit_seconds, model.fit_seconds]:
        return text
    extra = "trials" if as_given(comparison) else "search"
    return f"{text}; with {extra} and seeds {seconds(whole[0])} against {seconds(whole[1])}"


def _worth(comparison: Comparison, network: ModelResult) -> str:
    """Whether the network is worth its cost, and why in a few words."""
    found = verdict_of(comparison)
    if found.worth == "yes":
        return "yes" if found.better == "yes" else "yes, as good in less time"
    if found.worth == "no":
        rival = cheaper_rival(comparison, network)
        return f"no, {inside(rival.title)} is as good and cheaper" if rival and found.better != "no" else "no"
    return "cannot be told, as it may be worse" if found.better == "no" else "cannot be told, as it may be better"


def _use(comparison: Comparison, used: str | None) -> list[tuple[str, str]]:
    """The row to use, and the ensemble that beats all single rows, if one does."""
    leader, row = best(scored(comparison)), _advised(comparison, used)
    if row is None or leader is None or comparison.data.rating_sd == 0:
        return []
    if row is leader:
        why = "which has the lowest error"
    elif row is to_use(comparison):
        why = "quickest to fit of those in a tie with the lowest error"
    else:
        why = "which is in a tie with the lowest error"
    text = f"{opening(inside(row.title))}, {why}"
    if row.name != used and row.name in MODEL:
        text += f" (--use {row.name})"
    elif used and used in MODEL and row.name != used:
        text += f"; of the models, {inside(MODEL[used].title)}"
    ensemble = best_combination(comparison)
    if ensemble and ensemble is not row and row.mse > 0:
        text += f"; {inside(ensemble.title)} has {percent(1 - ensemble.mse / row.mse)} less MSE"
        text += f" (--use {BLEND})" if ensemble.name == BLEND else ""
    return [("Use", text)]


def _advised(comparison: Comparison, used: str | None) -> BaselineResult | None:
    """The row of the model to use where no single row beats it, else the cheapest of those that none beats.

    A baseline that no model beats comes before the model to use.
    """
    leader, cheapest = best(scored(comparison)), to_use(comparison)
    if isinstance(cheapest, BaselineResult) and not isinstance(cheapest, ModelResult):
        return cheapest
    row = next((row for row in every_row(comparison) if row.name == used), None)
    if row and leader and outcome(comparison, row, leader) != "worse":
        return row
    return cheapest
