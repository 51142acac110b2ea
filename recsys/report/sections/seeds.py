"""How much the errors depend on the seed, and whether another seed could change the answer."""

import math
from collections.abc import Sequence

from recsys.evaluation.results import Comparison, ModelResult
from recsys.report.outcomes import best_network, duel, factorisation, in_order, mse_step
from recsys.report.section import Finding, Plot, Section, findings_on, text_table
from recsys.text import NOTHING, count, inside, number, opening, times

SEED_HEADINGS = ("Model", "Seeds", "Mean MSE", "Standard deviation", "95% interval of the mean")


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """The spread over the initialisation seeds; None where no model was trained more than once."""
    rows = seed_rows(comparison)
    if not rows:
        return None
    table = text_table("Test MSE over the initialisation seeds of each model.", SEED_HEADINGS, rows)
    widest = max((model.spread.sd for model in repeated(comparison) if model.spread), default=0.0)
    result = f"they move the MSE by {number(widest, mse_step(comparison) / 10)} (standard deviation) at most"
    return Section("seeds", "Seeds", seed_findings(comparison), [table], result=result)


def repeated(comparison: Comparison) -> list[ModelResult]:
    """The models that were trained with several seeds."""
    return [model for model in in_order(comparison.models) if model.spread is not None and len(model.seeds) > 1]


def seeds_in_words(comparison: Comparison) -> str:
    """How many seeds a model was trained with, as "5 seeds" or "1 to 5 seeds"; empty without a model.

    Where searches chose models, only these count: the others have one seed.
    """
    chosen = [model for model in comparison.models if model.chosen] or comparison.models
    counts = sorted({max(1, len(model.seeds)) for model in chosen})
    if len(counts) > 1:
        return f"{counts[0]:,} to {counts[-1]:,} seeds"
    return count(counts[0], "seed") if counts else ""


def seed_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row a model, a text for each of SEED_HEADINGS; none where no model was trained more than once."""
    if not repeated(comparison):
        return []
    step = mse_step(comparison)
    return [
        (
            opening(inside(model.title)),
            f"{max(1, len(model.seeds)):,}",
            number(model.mse, step),
            number(model.spread.sd, step / 10) if model.spread else NOTHING,
            f"{number(model.spread.low, step)} to {number(model.spread.high, step)}" if model.spread else NOTHING,
        )
        for model in in_order(comparison.models)
    ]


def seed_findings(comparison: Comparison) -> list[Finding]:
    """The largest standard deviation over the seeds, and whether another seed could change the answer."""
    return findings_on("seeds", [_widest(comparison), turned_by_seeds(comparison)])


def _widest(comparison: Comparison) -> str:
    """The largest of the standard deviations over the seeds; empty where there is none."""
    models = [(model.spread.sd, model) for model in repeated(comparison) if model.spread]
    if not models:
        return ""
    sd, model = max(models, key=lambda pair: pair[0])
    size, title = number(sd, mse_step(comparison) / 10), inside(model.title)
    which = f"{size} for {title}" if len(models) == 1 else f"at most {size}, for {title}"
    return (
        f"The MSE depends on the seed of initialisation, dropout and shuffling: its standard deviation over "
        f"{seeds_in_words(comparison)} is {which}."
    )


def turned_by_seeds(comparison: Comparison) -> str:
    """Whether the order of factorisation and best network depends on which seed each of them got."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None or model.spread is None or network.spread is None:
        return ""
    better, worse = (network, model) if network.mse < model.mse else (model, network)
    pairs, turned = turned_pairs(better, worse)
    gap, sd = worse.mse - better.mse, math.hypot(model.spread.sd, network.spread.sd)
    step, names = mse_step(comparison), f"{inside(better.title)} and {inside(worse.title)}"
    wide = f" is {times(gap / sd)} the standard deviation of that gap over the seeds" if sd > 0 else ""
    told = f"The gap of {number(gap, step)} between {names}{wide}"
    if turned == 0:
        always = f"{inside(better.title)} has the lower error in each of the {pairs:,} pairs of seeds"
        return f"{told}{': ' if wide else ' does not depend on the seed: '}{always}, so the seed does not decide."
    share = f"in {turned:,} of the {pairs:,} pairs of seeds, {inside(worse.title)} has no higher error"
    return f"{told}{', and ' if wide else ' depends on the seed: '}{share}: one seed alone could decide."


def seeds_disagree(comparison: Comparison) -> str:
    """The same where there is a winner and some pairs of seeds have another; else empty."""
    contest, models = duel(comparison), {model.name: model for model in comparison.models}
    if contest is None or contest.outcome == "tie":
        return ""
    turned = turned_pairs(models[contest.better.name], models[contest.worse.name])[1]
    return turned_by_seeds(comparison) if turned else ""


def turned_pairs(better: ModelResult, worse: ModelResult) -> tuple[int, int]:
    """How many pairs of seeds there are, and in how many the model with the higher mean MSE has no higher one."""
    pairs = [(one.mse, other.mse) for one in better.seeds for other in worse.seeds]
    return len(pairs), sum(other <= one for one, other in pairs)
