"""The answer: does the best deep network predict better than the best matrix factorisation, and is it worth its cost?

Every report, terminal and record takes its answer from here.
"""

from recsys.evaluation.results import BaselineResult, Better, Comparison, ModelResult, Verdict, Worth
from recsys.report.outcomes import (
    Duel,
    best,
    best_network,
    duel,
    effect,
    factorisation,
    in_order,
    is_uncertain,
    networks,
    outcome,
    scored,
)
from recsys.report.searches import both_sides, not_searched, side_searches
from recsys.report.sections.baselines import other_seeds_may_beat
from recsys.report.sections.cost import ABOUT_EQUAL, MEASURABLE_SECONDS, cheaper_rival
from recsys.text import inside, listing, opening, short, times, verb


def verdict_of(comparison: Comparison) -> Verdict:
    """Return both answers, and what they are made from."""
    contest, headed = duel(comparison), headline(comparison)
    if contest is None or unanswered(comparison):
        return Verdict(better="unknown", worth="unknown", headline=headed, use=_name(to_use(comparison)))
    model, network = factorisation(comparison), best_network(comparison)
    assert model is not None, "there is a contest"
    assert network is not None, "there is a contest"
    low, high = contest.reach or (None, None)
    return Verdict(
        better=better(comparison, contest),
        worth=_worth(comparison, contest, network),
        headline=headed,
        mf=model.name,
        dnn=network.name,
        gap=contest.gap,
        low=low,
        high=high,
        time_ratio=time_ratio(network, model),
        use=_name(to_use(comparison)),
    )


def better(comparison: Comparison, contest: Duel) -> Better:
    """Whether the network predicts better.

    "no" also where the 95% interval of the difference leaves open whether they tie or the factorisation is better, but
    not that the network is better by the smallest effect; "unknown" where that is open.
    """
    if contest.outcome != "tie":
        return "yes" if contest.outcome == "better" else "no"
    if contest.tested is None or contest.tested.verdict == "too small":
        return "tie"
    open_to_network = contest.reach is None or contest.reach[0] < -effect(comparison)
    return "unknown" if open_to_network else "no"


def _worth(comparison: Comparison, contest: Duel, network: ModelResult) -> Worth:
    """Whether the network is worth its cost: if it is better, or as good in less time, and nothing cheaper is."""
    found, rival = better(comparison, contest), cheaper_rival(comparison, network)
    if found == "yes":
        return "no" if rival else "yes"
    if found == "unknown":
        return "unknown"
    model = factorisation(comparison)
    ratio = time_ratio(network, model) if model else None
    if contest.outcome == "worse" or rival or ratio is None or ratio > 1 - ABOUT_EQUAL:
        return "no"
    return "yes" if found == "tie" else "unknown"


def time_ratio(network: ModelResult, model: ModelResult) -> float | None:
    """Seconds of fitting a network once, over those of the factorisation; None where either is too short to measure."""
    measurable = min(network.fit_seconds, model.fit_seconds) >= MEASURABLE_SECONDS
    return network.fit_seconds / model.fit_seconds if measurable else None


def to_use(comparison: Comparison) -> BaselineResult | None:
    """The row that takes least time to fit of those in a tie with the lowest test error; ensembles are no rows here."""
    rows = scored(comparison)
    leader = best(rows)
    if leader is None:
        return None
    letters = {tier.name: set(tier.letters) for tier in comparison.tiers}
    tied = [
        row
        for row in rows
        if row is leader
        or (
            letters[row.name] & letters[leader.name]
            if {row.name, leader.name} <= letters.keys()
            else outcome(comparison, row, leader) == "tie"
        )
    ]
    return min(tied, key=lambda row: row.fit_seconds)


def _name(row: BaselineResult | None) -> str | None:
    return row.name if row else None


def headline(comparison: Comparison) -> str:
    """The answer in a sentence or two without the last full stop."""
    model, network, contest = factorisation(comparison), best_network(comparison), duel(comparison)
    reason = unanswered(comparison)
    if reason or model is None or network is None or contest is None:
        return f"No answer: {reason}"
    if comparison.protocol == "notebook":
        return _rivals(comparison, model) + _baseline_clause(comparison)
    ratio, unbeaten = time_ratio(network, model), _baseline_clause(comparison)
    if unbeaten:
        return f"{opening(unbeaten.removeprefix('; '))}. Of the two, {_does(comparison, contest, ratio)}"
    return _families(comparison, contest, ratio)


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


def _families(comparison: Comparison, contest: Duel, ratio: float | None) -> str:
    """The answer about the two families, by the models that stand for them."""
    searched = both_sides(side_searches(comparison)) and not not_searched(comparison)
    answer = {"yes": "Yes", "unknown": "It cannot be told"}.get(better(comparison, contest), "No")
    does = _does(comparison, contest, ratio)
    return f"{answer}. {f'Tuned, {does}' if searched else opening(does)}"


def _does(comparison: Comparison, contest: Duel, ratio: float | None) -> str:
    """How the network compares with the factorisation, in error and in time."""
    found = better(comparison, contest)
    if found == "unknown":
        open_too = contest.reach is None or contest.reach[1] > effect(comparison)
        how = "better, as well or worse than matrix factorisation"
        return f"the deep network may predict {how if open_too else 'better than matrix factorisation, or as well'}"
    does = "predicts no better than"
    if found == "tie":
        does = "ties with"
    elif contest.outcome != "tie":
        does = f"predicts {contest.outcome} than"
    answer = f"the deep network {does} matrix factorisation"
    if ratio is None:
        return answer
    if abs(ratio - 1) < ABOUT_EQUAL:
        return f"{answer} and takes as long to train"
    dearer = ratio > 1
    joined = ", but" if dearer == (found == "yes") and contest.outcome != "tie" else " and"
    return f"{answer}{joined} {f'takes {times(ratio)} as long to train' if dearer else _sooner(ratio)}"


def _sooner(ratio: float) -> str:
    return f"is trained in {100 * ratio:.0f}% of the time" if ratio >= 0.01 else "is trained in under 1% of the time"


def _rivals(comparison: Comparison, model: ModelResult) -> str:
    """Every network against the factorisation, none of them chosen by a search."""
    rivals, groups = networks(comparison), dict[str, list[str]](better=[], tie=[], worse=[])
    for rival in rivals:
        groups[outcome(comparison, rival, model)].append(inside(rival.title))
    uncertain = [inside(rival.title) for rival in rivals if is_uncertain(comparison, rival, model)]
    better, tied, worse = (listing(groups[name]) for name in ("better", "tie", "worse"))
    name = inside(model.title)
    if better:
        clauses = [
            f"{better} {verb(groups['better'], 'predict')} these ratings better than {name}",
            f"{tied} {verb(groups['tie'], 'tie')} with {name}" if tied else "",
            f"{worse} {verb(groups['worse'], 'do')} not" if worse else "",
        ]
    elif worse:
        clauses = [f"{name} predicts these ratings better than {worse}{f' and ties with {tied}' if tied else ''}"]
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
