"""At what price: fit time and parameters, and whether something cheaper predicts as well."""

from recsys.evaluation.comparison import BaselineResult, Comparison, ModelResult
from recsys.report.standing import factorisation, is_network, is_uncertain, mse_step, networks, outcome, scored
from recsys.report.wording import Finding, count, inside, listing, number, opening, seconds, times

MEASURABLE_SECONDS = 0.1
ABOUT_EQUAL = 0.05


def cost_findings(comparison: Comparison) -> list[Finding]:
    """Each network's fit time and parameters against those of the matrix factorisation."""
    model = factorisation(comparison)
    return [] if model is None else [Finding("cost", _cost(net, model)) for net in networks(comparison)]


def _cost(network: ModelResult, model: ModelResult) -> str:
    if min(network.fit_seconds, model.fit_seconds) < MEASURABLE_SECONDS:
        time = f"was fitted in {seconds(network.fit_seconds)}, against {seconds(model.fit_seconds)}"
    else:
        ratio = network.fit_seconds / model.fit_seconds
        comparative = "about as long" if abs(ratio - 1) < ABOUT_EQUAL else f"{times(ratio)} as long"
        time = f"took {comparative} to fit as {inside(model.title)} ({seconds(network.fit_seconds)} against "
        time += f"{seconds(model.fit_seconds)})"
    epochs = f", over {count(network.epochs, 'epoch')} against {model.epochs:,}"
    size = f"{network.parameters:,} parameters against {model.parameters:,}"
    if model.parameters > 0:
        ratio = network.parameters / model.parameters
        size += f" ({'about as many' if abs(ratio - 1) < ABOUT_EQUAL / 5 else times(ratio)})"
    return f"{opening(inside(network.title))} {time}{epochs}, and has {size}."


def worth_findings(comparison: Comparison) -> list[Finding]:
    """For each network, whether something cheaper predicts as well."""
    return [Finding("worth", _worth(comparison, network)) for network in networks(comparison)]


def worth_summary(comparison: Comparison) -> list[Finding]:
    """The same, in one sentence where one rival does better than every network."""
    nets = networks(comparison)
    rivals = [cheaper_rival(comparison, network) for network in nets]
    first = rivals[0] if rivals else None
    if len(nets) < 2 or first is None or any(rival is not first for rival in rivals):
        return worth_findings(comparison)
    if any(outcome(comparison, first, network) != "better" for network in nets):
        return worth_findings(comparison)
    names = [inside(network.title) for network in nets]
    none = f"Neither {names[0]} nor {names[1]}" if len(names) == 2 else f"None of {listing(names)}"
    text = f"{none} is worth its cost on these ratings: {inside(first.title)} does better than "
    text += f"{'both' if len(names) == 2 else 'all of them'} with {count(first.parameters, 'parameter')} fitted in "
    text += f"{seconds(first.fit_seconds)}, against {listing([seconds(network.fit_seconds) for network in nets])}."
    return [Finding("worth", text)]


def cheaper_rival(comparison: Comparison, network: ModelResult) -> BaselineResult | None:
    """The most accurate row that costs less time and fewer parameters than a network and predicts as well."""
    rivals = [
        row
        for row in scored(comparison)
        if row.fit_seconds < network.fit_seconds
        and row.parameters < network.parameters
        and not is_network(row.name)
        and outcome(comparison, row, network) != "worse"
    ]
    return min(rivals, key=lambda row: (row.mse, row.parameters), default=None)


def _worth(comparison: Comparison, network: ModelResult) -> str:
    rival = cheaper_rival(comparison, network)
    name = opening(inside(network.title))
    if rival is not None:
        does = "better" if outcome(comparison, rival, network) == "better" else "as well"
        worth = "is not worth its cost on these ratings"
        if is_uncertain(comparison, rival, network):
            worth, does = "is not shown to be worth its cost on these ratings", "as well, for all they tell,"
        return (
            f"{name} {worth}: {inside(rival.title)} does {does} with "
            f"{count(rival.parameters, 'parameter')} fitted in {seconds(rival.fit_seconds)}, against "
            f"{network.parameters:,} in {seconds(network.fit_seconds)}."
        )
    model = factorisation(comparison)
    if model is None or outcome(comparison, network, model) != "better":
        return f"{name} is matched by nothing that is cheaper in both time and parameters."
    extra = network.fit_seconds - model.fit_seconds
    price = f"{seconds(extra)} more of fitting" if extra > MEASURABLE_SECONDS else "no more time of fitting"
    return (
        f"{name} buys {number(model.mse - network.mse, mse_step(comparison))} of MSE over {inside(model.title)} for "
        f"{price}, and nothing cheaper on this page predicts as well; whether that is worth it is for its user to say."
    )
