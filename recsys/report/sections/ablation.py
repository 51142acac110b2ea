"""What predicts inside a network that is a sum: its dense layers, or the factorisation beside them."""

from recsys.evaluation.results import DENSE_LAYERS, DOT_PRODUCT, Comparison, Contribution, ModelResult
from recsys.report.outcomes import best_network, effect, mse_step, networks, rmse_step
from recsys.report.section import Finding
from recsys.text import inside, listing, number, opening


def contribution_findings(comparison: Comparison) -> list[Finding]:
    """Of each network that is a sum, how far its addends move predictions, and what it would be without each."""
    return [Finding("inside", _told(comparison, network)) for network in networks(comparison) if network.contributions]


def contribution_summary(comparison: Comparison) -> list[Finding]:
    """Of the best network, whether it would be as good without its dense layers; empty where it would not."""
    network = best_network(comparison)
    dense = _dense(network) if network else None
    if network is None or dense is None or not _adds_nothing(comparison, network, dense):
        return []
    return [Finding("inside", _nothing_added(comparison, network, dense))]


def _told(comparison: Comparison, network: ModelResult) -> str:
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
