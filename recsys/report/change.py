"""What would change the answer: how far the evidence is from telling something else."""

from statistics import NormalDist

from recsys.evaluation.comparison import Comparison, Difference
from recsys.evaluation.effect import LEVEL
from recsys.report.duel import Duel, duel
from recsys.report.other_splits import by_effect, split_names
from recsys.report.seeds import turned_pairs
from recsys.report.standing import effect, mse_step, tie_margin
from recsys.report.wording import Finding, inside, number, times

MOST_TIMES = 1000
"""So many times the test users and more are nothing that anybody will collect."""

FEWEST_TIMES = 1.05


def what_would_change_it(comparison: Comparison) -> list[Finding]:
    """What it would take for another answer to factorisation against the best network; empty without both."""
    contest = duel(comparison)
    if contest is None:
        return []
    texts = [_size_or_certainty(comparison, contest), _by_seeds(comparison, contest), _by_splits(comparison)]
    return [Finding("change", f"What would change this: {' '.join(text for text in texts if text)}")]


def _size_or_certainty(comparison: Comparison, contest: Duel) -> str:
    step, gap, smallest = mse_step(comparison), abs(contest.gap), effect(comparison)
    if contest.outcome != "tie":
        return _lead(comparison, contest)
    tested = contest.tested
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
    reach = contest.reach
    if reach is None:
        return f"{text}."
    near = reach[0] if contest.gap > 0 else -reach[1]
    only = "even" if near >= smallest else "and"
    return f"{text}; {only} the near end of its 95% interval is {number(near, step)}."


def _more_users(comparison: Comparison, tested: Difference) -> str:
    """How many times the test users would settle an uncertain difference, if it stayed as it is."""
    gap, smallest = abs(tested.mse_difference), effect(comparison)
    if tested.low is None or tested.high is None:
        return "ratings of more than one test user."
    half = (tested.high - tested.low) / 2
    factors = []
    if gap > 0:
        factors.append((half * _wider(comparison, tested) / gap) ** 2)
    if gap < smallest:
        factors.append((half / (smallest - gap)) ** 2)
    if not factors:
        return ""
    settled = "show that the difference is too small to matter" if gap < smallest else "make the difference certain"
    return f"{_so_many(min(factors))} test users would {settled}, if it stayed at {_size(comparison, gap)}."


def _wider(comparison: Comparison, tested: Difference) -> float:
    """How many times as wide the interval is that a difference has to clear once its p is corrected after Holm."""
    sharper = sum(other.p < tested.p for other in comparison.differences)
    step_down = len(comparison.differences) - sharper
    quantile = NormalDist().inv_cdf
    return quantile(LEVEL / 2 / step_down) / quantile(LEVEL / 2)


def _so_many(factor: float) -> str:
    """An interval shrinks with the square root of the users, so `factor` is the square of how much it has to."""
    if factor > MOST_TIMES:
        return f"more than {MOST_TIMES:,} times as many"
    return f"about {times(factor)} as many" if factor >= FEWEST_TIMES else "a few more"


def _size(comparison: Comparison, gap: float) -> str:
    return number(gap, mse_step(comparison))


def _by_seeds(comparison: Comparison, contest: Duel) -> str:
    """How often a single seed of each would have told another winner; empty where never, or where there is none."""
    models = {model.name: model for model in comparison.models}
    pairs, turned = turned_pairs(models[contest.better.name], models[contest.worse.name])
    if contest.outcome == "tie" or not turned:
        return ""
    return (
        f"Other seeds: in {turned:,} of {pairs:,} pairs of a seed of either, "
        f"{inside(contest.worse.title)} errs no more."
    )


def _by_splits(comparison: Comparison) -> str:
    """Which other splits change the answer; empty where there are no others."""
    found = by_effect(comparison)
    if not found:
        return ""
    parts = [
        f"under {split_names([split for split, _ in found[what]])} it {what}"
        for what in ("becomes a tie", "is decided", "turns round")
        if what in found
    ]
    if not parts:
        many = len(found["holds"])
        return "The one other split does not." if many == 1 else f"None of the {many:,} other splits does."
    return f"Another split: {'; '.join(parts)}."
