"""Who wins, by how much and at what price: sentences that are computed, never assumed."""

from recsys.evaluation.comparison import Comparison, ModelResult
from recsys.report.certainty import certainty_summary, typical_error
from recsys.report.change import what_would_change_it
from recsys.report.combined import combination_findings, combination_summary
from recsys.report.contributions import contribution_findings, contribution_summary
from recsys.report.costs import all_in_findings
from recsys.report.overfitting import overfitting_findings
from recsys.report.price import cost_findings, worth_findings, worth_summary
from recsys.report.procedure import few_test_ratings, limits, optimism
from recsys.report.rungs import baseline_findings, baseline_summary, other_seeds_may_beat, skipped_findings
from recsys.report.standing import (
    best,
    difference,
    effect,
    factorisation,
    in_order,
    is_uncertain,
    mse_step,
    networks,
    outcome,
    scored,
    tie_margin,
)
from recsys.report.unseen import mostly_clipped, unseen_findings
from recsys.report.wording import Finding, inside, listing, number, opening, percent, short, stopped, verb


def headline(comparison: Comparison) -> str:
    """The answer in one sentence without a full stop: networks against factorisation, and both against averages."""
    model, rivals = factorisation(comparison), networks(comparison)
    reason = unanswered(comparison)
    if reason or model is None:
        return f"No answer: {reason}"
    return _duel(comparison, model, rivals) + _baseline_clause(comparison)


def unanswered(comparison: Comparison) -> str:
    """Why networks cannot be compared with factorisation here; empty where they can."""
    if not comparison.models:
        return "every model failed" if comparison.failed else "no model was scored"
    if factorisation(comparison) is None:
        return "there is no matrix factorisation to compare with"
    if not networks(comparison):
        return "there is no deep network to compare with matrix factorisation"
    if comparison.data.rating_sd == 0:
        return f"every rating is {short(comparison.data.rating_mean)}, there is nothing to predict"
    if comparison.protocol == "fair" and comparison.data.cold_test_rows == comparison.data.test_rows:
        return "every test rating is of a user or an item without any training rating"
    return ""


def _duel(comparison: Comparison, model: ModelResult, rivals: list[ModelResult]) -> str:
    groups: dict[str, list[str]] = {"better": [], "tie": [], "worse": []}
    uncertain = []
    for rival in rivals:
        groups[outcome(comparison, rival, model)].append(inside(rival.title))
        if is_uncertain(comparison, rival, model):
            uncertain.append(inside(rival.title))
    better, tied, worse = (listing(groups[name]) for name in ("better", "tie", "worse"))
    name = inside(model.title)
    if better:
        rest = [f"{tied} {verb(groups['tie'], 'tie')} with {name}" if tied else ""]
        rest.append(f"{worse} {verb(groups['worse'], 'do')} not" if worse else "")
        clauses = [f"{better} {verb(groups['better'], 'predict')} these ratings better than {name}", *rest]
    elif worse:
        ties = f" and ties with {tied}" if tied else ""
        clauses = [f"{name} predicts these ratings better than {worse}{ties}"]
    elif uncertain:
        level = [title for title in groups["tie"] if title not in uncertain]
        clauses = [f"{listing([*level, name])} predict these ratings equally well" if level else ""]
        clauses.append(f"{listing(uncertain)} cannot be told apart from {name} on these ratings")
    else:
        clauses = [f"{listing([*groups['tie'], name])} predict these ratings equally well"]
    return opening("; ".join(clause for clause in clauses if clause))


def _baseline_clause(comparison: Comparison) -> str:
    rival = best(in_order(comparison.baselines))
    if rival is None:
        return ""
    results = {outcome(comparison, model, rival) for model in comparison.models}
    if results == {"worse"}:
        return f"; no model is as good as the baseline “{inside(rival.title)}”"
    if "better" in results or any(other_seeds_may_beat(comparison, model, rival) for model in comparison.models):
        return ""  # an answer should not hang on the seeds that were drawn
    return f"; no model beats the baseline “{inside(rival.title)}”"


def verdict(comparison: Comparison) -> list[Finding]:
    """The few sentences of the first screen and the terminal."""
    answered = not unanswered(comparison)
    findings = [
        *failure_findings(comparison),
        *(typical_error(comparison) if answered else []),
        *gap_summary(comparison),
        *(certainty_summary(comparison) if answered else []),
        *contribution_summary(comparison),
        *combination_summary(comparison),
        *worth_summary(comparison),
        *baseline_summary(comparison),
        *(what_would_change_it(comparison) if answered else []),
    ]
    if comparison.models:
        texts = [
            mostly_clipped(comparison),
            few_test_ratings(comparison),
            optimism(comparison) if comparison.protocol == "notebook" else "",
            limits(comparison),
        ]
        findings += [Finding("caution", text) for text in texts if text]
    return findings


def discussion(comparison: Comparison) -> dict[str, list[Finding]]:
    """Every finding, under the heading it is shown under."""
    sections = {
        "Who predicts better": [*ranking_findings(comparison), *gap_findings(comparison)],
        "Inside the network": contribution_findings(comparison),
        "Together": combination_findings(comparison),
        "At what price": [*cost_findings(comparison), *all_in_findings(comparison), *worth_findings(comparison)],
        "Against the baselines": [*baseline_findings(comparison), *skipped_findings(comparison)],
        "Overfitting": overfitting_findings(comparison),
        "Unknown users and items, and clipping": unseen_findings(comparison) if scored(comparison) else [],
        "What failed": failure_findings(comparison),
    }
    return {heading: findings for heading, findings in sections.items() if findings}


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


def gap_summary(comparison: Comparison) -> list[Finding]:
    """All those gaps in one sentence."""
    model, rivals = factorisation(comparison), networks(comparison)
    if model is None or not rivals:
        return []
    step = mse_step(comparison)
    parts = []
    for network in rivals:
        gap = abs(network.mse - model.mse)
        direction = "lower" if network.mse < model.mse else "higher"
        share = percent(gap / model.mse) if model.mse > 0 else ""
        if outcome(comparison, network, model) == "tie":
            size = f"{number(gap, step)}{share and f' or {share}'} {direction}" if gap else "no difference at all"
            parts.append(f"{inside(network.title)} is in a tie ({size})")
        else:
            parts.append(f"{inside(network.title)} is {number(gap, step)}{share and f' ({share})'} {direction}")
    against = f"Against {inside(model.title)} with a test MSE of {number(model.mse, step)}"
    return [Finding("gap", f"{against}, {listing(parts)}.")]
