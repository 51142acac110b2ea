"""How large the difference is in a prediction, and how sure: factorisation against the best network, for anybody."""

from recsys.evaluation.comparison import Comparison
from recsys.report.duel import Duel, duel
from recsys.report.held_out import manner
from recsys.report.standing import best_network, factorisation, mse_step, rmse_step
from recsys.report.wording import Finding, count, inside, number, short


def typical_error(comparison: Comparison) -> list[Finding]:
    """By how much a prediction misses on average, of the factorisation and of the best network; empty without both."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None:
        return []
    step, data = rmse_step(comparison), comparison.data
    return [
        Finding(
            "typical error",
            f"On average, a prediction of {inside(model.title)} misses the rating by {number(model.mae, step)}, one of "
            f"{inside(network.title)} by {number(network.mae, step)}; ratings run from {short(data.rating_min)} to "
            f"{short(data.rating_max)}.",
        )
    ]


def certainty_summary(comparison: Comparison) -> list[Finding]:
    """The interval of the difference between factorisation and best network, and what it was computed on."""
    contest = duel(comparison)
    if contest is None:
        return []
    return [Finding("certainty", f"{_likely(comparison, contest)}{_basis(comparison)}.")]


def _basis(comparison: Comparison) -> str:
    counts = sorted({max(1, len(model.seeds)) for model in comparison.models})
    split = f"Basis: {count(comparison.data.test_rows, 'test rating')} (split: {manner(comparison)})"
    if counts[-1] == 1:
        return f"{split}, each model trained once"
    often = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{split}, each model trained {often} times from other random starting weights"


def _likely(comparison: Comparison, contest: Duel) -> str:
    """Where the difference most likely lies, seen from the row that is ahead."""
    if contest.reach is None:
        return ""
    low, high = contest.reach if contest.gap > 0 else (-contest.reach[1], -contest.reach[0])
    step, ahead, behind = mse_step(comparison), inside(contest.better.title), inside(contest.worse.title)
    if low > 0:
        return (
            f"With other users like these, the MSE of {ahead} would most likely be {number(low, step)} to "
            f"{number(high, step)} below that of {behind} (95% interval). "
        )
    return (
        f"With other users like these, the MSE of {ahead} would most likely be anything from {number(-low, step)} "
        f"above that of {behind} to {number(high, step)} below it (95% interval). "
    )
