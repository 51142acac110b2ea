"""The answer in words: by how much, how certain that is, what it costs, and what would change it."""

from collections.abc import Sequence
from statistics import NormalDist

from recsys.evaluation.results import Comparison, Difference
from recsys.evaluation.thresholds import LEVEL
from recsys.report.answer import unanswered
from recsys.report.outcomes import (
    Duel,
    best_network,
    duel,
    effect,
    factorisation,
    mse_step,
    networks,
    outcome,
    rmse_step,
    tie_margin,
)
from recsys.report.section import Finding, Plot, Section, findings_on
from recsys.report.sections.baselines import baseline_summary
from recsys.report.sections.cost import worth_summary
from recsys.report.sections.discussion import combination_summary, contribution_summary
from recsys.report.sections.learning_curve import answer as more_ratings
from recsys.report.sections.methodology import limits
from recsys.report.sections.seeds import seeds_in_words, turned_pairs
from recsys.report.sections.splits import by_effect, manner, split_names
from recsys.text import count, inside, listing, number, opening, percent, probability, short, times


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """What the first screen says in figures, in sentences."""
    change = what_would_change_it(comparison) if not unanswered(comparison) else []
    parts = [Section("change", "What would change it", change)] if change else []
    contest, result = duel(comparison), ""
    if contest and not unanswered(comparison):
        lead = f"{number(abs(contest.gap), mse_step(comparison))} of MSE"
        leads = f"{inside(contest.better.title)} leads by {lead}"
        result = f"{lead} apart, a tie" if contest.outcome == "tie" else leads
    return Section("summary", "The answer in words", verdict(comparison), parts=parts, result=result)


def typical_error(comparison: Comparison) -> list[Finding]:
    """Mean absolute error of the factorisation and of the best network; empty without both."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None:
        return []
    step, data = rmse_step(comparison), comparison.data
    text = f"Mean absolute error: {number(model.mae, step)} for {inside(model.title)} and {number(network.mae, step)} "
    text += f"for {inside(network.title)}; ratings run from {short(data.rating_min)} to {short(data.rating_max)}."
    return [Finding("typical error", text)]


def certainty_summary(comparison: Comparison) -> list[Finding]:
    """The interval of the difference between factorisation and best network, and what it was computed on."""
    contest = duel(comparison)
    if contest is None:
        return []
    likely, seeds, interval = "", seeds_in_words(comparison), _lead_interval(contest)
    if interval is not None:
        (low, high), step = interval, mse_step(comparison)
        size = f"{number(low, step)} to" if low > 0 else f"between {number(-low, step)} above and"
        size += f" {number(high, step)} below"
        likely = f"The MSE of {inside(contest.better.title)} is {size} that of {inside(contest.worse.title)} "
        likely += "(95% confidence interval over users). "
    basis = f"Basis: {count(comparison.data.test_rows, 'test rating')} (split: {manner(comparison)}), "
    basis += f"both models trained {'once' if seeds == '1 seed' else f'with {seeds}'}."
    return [Finding("certainty", likely + basis)]


def chances_summary(comparison: Comparison) -> list[Finding]:
    """How likely it is that either is better, or neither by more than the smallest effect; empty where not computed."""
    contest, found = duel(comparison), comparison.chances
    if contest is None or found is None:
        return []
    model, network = inside(contest.factorisation.title), inside(contest.network.title)
    by = f" by more than {number(smallest, mse_step(comparison))}" if (smallest := effect(comparison)) else ""
    text = f"Chances: {probability(found.mf)} that {model} has the lower MSE{by}, {probability(found.dnn)} that "
    text += f"{network} has, and {probability(found.equal)} that they are practically equal (bootstrap over test users "
    text += "and seeds)."
    return [Finding("chances", text)]


def _lead_interval(contest: Duel) -> tuple[float, float] | None:
    """The 95% interval of how far the better row's MSE is below the other's, if there is one."""
    if contest.reach is None or contest.gap > 0:
        return contest.reach
    return -contest.reach[1], -contest.reach[0]


MOST_CHANGES = 3
"""Sentences on what would change the answer."""

MOST_TIMES = 1000
"""Larger factors of the number of test users are not written out."""


def what_would_change_it(comparison: Comparison) -> list[Finding]:
    """What it would take for another answer, in up to three sentences; empty without both sides."""
    contest = duel(comparison)
    if contest is None:
        return []
    texts = [
        _size_or_certainty(comparison, contest),
        more_ratings(comparison),
        _by_splits(comparison),
        _by_seeds(comparison, contest),
    ]
    return findings_on("change", [opening(text) for text in texts if text][:MOST_CHANGES])


def _size_or_certainty(comparison: Comparison, contest: Duel) -> str:
    step, gap, smallest, tested = mse_step(comparison), abs(contest.gap), effect(comparison), contest.tested
    if contest.outcome != "tie":
        return _lead(comparison, contest)
    if tested is None:
        margin = number(tie_margin(comparison), step)
        return f"a difference of more than {margin} would be one; it is {number(gap, step)}."
    if tested.verdict == "too small":
        larger = f", {times(smallest / gap)} as large as it is" if gap > 0 else ""
        return f"to matter, the difference would have to be at least {number(smallest, step)}{larger}."
    return _more_users(comparison, tested)


def _lead(comparison: Comparison, contest: Duel) -> str:
    """How far a winner's lead is from the largest tie."""
    step, smallest = mse_step(comparison), effect(comparison) if contest.tested else tie_margin(comparison)
    text = f"the {number(abs(contest.gap), step)} by which {inside(contest.better.title)} leads would have to "
    text += f"fall below {number(smallest, step)} to make a tie" if smallest > 0 else "vanish"
    interval = _lead_interval(contest)
    if interval is None:
        return f"{text}."
    only = "even" if interval[0] >= smallest else "and"
    return f"{text}; {only} the near end of its 95% interval is {number(interval[0], step)}."


def _more_users(comparison: Comparison, tested: Difference) -> str:
    """How many times the test users would settle an uncertain difference, if it stayed as it is."""
    gap, smallest = abs(tested.mse_difference), effect(comparison)
    if tested.low is None or tested.high is None:
        return "ratings of more than one test user."
    half = (tested.high - tested.low) / 2
    factors = [(half * _wider(comparison, tested) / gap) ** 2] if gap > 0 else []
    factors += [(half / (smallest - gap)) ** 2] if gap < smallest else []  # intervals shrink with the root of the users
    if not factors:
        return ""
    factor = min(factors)
    many = f"about {times(factor)} as many" if factor >= 1.05 else "a few more"
    many = f"more than {MOST_TIMES:,} times as many" if factor > MOST_TIMES else many
    settled = "show that the difference is too small to matter" if gap < smallest else "make the difference certain"
    return f"{many} test users would {settled}, if it stayed at {number(gap, mse_step(comparison))}."


def _wider(comparison: Comparison, tested: Difference) -> float:
    """How many times as wide the interval is that a difference has to clear once its p is corrected after Holm."""
    step_down = len(comparison.differences) - sum(other.p < tested.p for other in comparison.differences)
    quantile = NormalDist().inv_cdf
    return quantile(LEVEL / 2 / step_down) / quantile(LEVEL / 2)


def _by_seeds(comparison: Comparison, contest: Duel) -> str:
    """How often single seeds would have given the other winner; empty where never, or where there is none."""
    models = {model.name: model for model in comparison.models}
    pairs, turned = turned_pairs(models[contest.better.name], models[contest.worse.name])
    if contest.outcome == "tie" or not turned:
        return ""
    return f"Other seeds: in {turned:,} of {pairs:,} pairs of seeds, {inside(contest.worse.title)} has no higher error."


def _by_splits(comparison: Comparison) -> str:
    """Which other splits change the answer; empty where there are no others."""
    found = by_effect(comparison)
    if not found:
        return ""
    parts = [
        f"under {split_names([split for split, _ in found[what]])} it {what}"
        for what in ("becomes a tie", "is decided", "is reversed")
        if what in found
    ]
    if not parts:
        many = len(found["holds"])
        return "The one other split does not." if many == 1 else f"None of the {many:,} other splits does."
    return f"Another split: {'; '.join(parts)}."


def verdict(comparison: Comparison) -> list[Finding]:
    """What there is to say of the answer, in sentences."""
    answered = not unanswered(comparison)
    findings = [
        *(typical_error(comparison) if answered else []),
        *gap_summary(comparison),
        *(certainty_summary(comparison) if answered else []),
        *(chances_summary(comparison) if answered else []),
        *contribution_summary(comparison),
        *combination_summary(comparison),
        *worth_summary(comparison),
        *baseline_summary(comparison),
    ]
    return [*findings, *findings_on("caution", [limits(comparison)])] if comparison.models else findings


def gap_summary(comparison: Comparison) -> list[Finding]:
    """The gaps between the networks and the factorisation in one sentence."""
    model, rivals = factorisation(comparison), networks(comparison)
    if model is None or not rivals:
        return []
    step, parts = mse_step(comparison), []
    for network in rivals:
        gap = abs(network.mse - model.mse)
        direction = "lower" if network.mse < model.mse else "higher"
        share = percent(gap / model.mse) if model.mse > 0 else ""
        size = f"{number(gap, step)}{share and f' ({share})'} {direction}"
        if outcome(comparison, network, model) == "tie":
            tie = f"{number(gap, step)}{share and f' or {share}'} {direction}" if gap else "no difference at all"
            size = f"in a tie ({tie})"
        parts.append(f"{inside(network.title)} is {size}")
    against = f"Against {inside(model.title)} with a test MSE of {number(model.mse, step)}"
    return [Finding("gap", f"{against}, {listing(parts)}.")]
