"""What each row costs: its size, the time to fit it once and all in, memory, and the time of a prediction."""

from collections.abc import Callable

from recsys.evaluation.comparison import BaselineResult, Combination, Comparison, ModelResult
from recsys.report.standing import best_network, every_row, factorisation
from recsys.report.wording import NOTHING, Finding, inside, opening, seconds, short, size, times

COST_HEADINGS = ("Model", "Parameters", "File", "Fit, once", "All in", "Peak memory", "Prediction")
COST_CAPTION = (
    "Fit, once: one training with one seed. All in: with the other seeds and the search for settings. Peak memory: the "
    "most that the process of the training held, whatever else it did. Prediction: of one rating, made among many."
)
ABOUT_EQUAL = 0.05


def search_seconds(comparison: Comparison, row: BaselineResult) -> float:
    """Seconds of training that were spent on searching the settings of a row, or of a combination's members."""
    names = set(row.members) if isinstance(row, Combination) else {row.name}
    return sum(search.seconds_used for search in comparison.tuning if search.name in names)


def all_in_seconds(comparison: Comparison, row: BaselineResult) -> float:
    """Seconds of a row's search and of the fits of all its seeds."""
    fits = row.fit_seconds
    if isinstance(row, ModelResult) and row.seeds:
        fits = sum(seed.fit_seconds for seed in row.seeds)
    return fits + search_seconds(comparison, row)


def cost_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row per row of the table, a text for each of COST_HEADINGS; a dash where it is not known."""
    return [_cost_row(comparison, row) for row in every_row(comparison)]


def _cost_row(comparison: Comparison, row: BaselineResult) -> tuple[str, ...]:
    file_bytes, peak_mb = (row.file_bytes, row.peak_mb) if isinstance(row, ModelResult) else (None, None)
    return (
        opening(inside(row.title)),
        f"{row.parameters:,}",
        _known(file_bytes, size),
        seconds(row.fit_seconds),
        seconds(all_in_seconds(comparison, row)),
        _known(peak_mb, lambda megabytes: size(megabytes * 1e6)),
        _known(row.predict_microseconds, lambda microseconds: f"{short(microseconds)} µs"),
    )


def _known(value: float | None, written: Callable[[float], str]) -> str:
    return NOTHING if value is None else written(value)


def all_in_findings(comparison: Comparison) -> list[Finding]:
    """What the best network took against the factorisation with all seeds and the search; empty without any."""
    model, network = factorisation(comparison), best_network(comparison)
    if model is None or network is None:
        return []
    searched = any(search_seconds(comparison, row) for row in (network, model))
    repeated = any(len(row.seeds) > 1 for row in (network, model))
    if not searched and not repeated:
        return []
    extras = [name for name, had in (("all seeds", repeated), ("the search for settings", searched)) if had]
    own, other = all_in_seconds(comparison, network), all_in_seconds(comparison, model)
    ratio = ""
    if other > 0:
        equal = abs(own / other - 1) < ABOUT_EQUAL
        ratio = ": about the same" if equal else f": {times(own / other)} as long"
    text = f"With {' and '.join(extras)}, {inside(network.title)} took {seconds(own)} of training, "
    return [Finding("cost", f"{text}{inside(model.title)} {seconds(other)}{ratio}.")]
