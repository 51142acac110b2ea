"""What the searches say about the shape of a network: the number of layers, their units, and dropout."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.report.outcomes import is_network, mse_step
from recsys.report.searches import parts, scored_trials, val_error, validation_tie_margin
from recsys.report.section import Finding, Plot, Section, Table, plots_of, text_table
from recsys.text import count, inside, listing, number, opening, short

TITLE = "How many layers, how many units, how much dropout?"

MIN_TRIALS = 3  # the lowest error of a smaller group of trials says more about the other settings that they drew
MAX_SIZES = 6  # more different sizes than this are binned

Label = Callable[[float, float | None], str]
"""The name of a group, from its smallest value and, for a bin, its upper end."""


@dataclass(frozen=True)
class Group:
    """Trials of networks that are alike in one dimension; `start` is the smallest value there."""

    label: str
    start: float
    trials: list[Trial]

    @property
    def best(self) -> Trial:
        """The trial of the lowest validation MSE."""
        return min(self.trials, key=val_error)


@dataclass(frozen=True)
class Dimension:
    """One thing that was varied, and the trials grouped by it, the smallest value first; `axis` is short."""

    name: str
    axis: str
    groups: list[Group]

    @property
    def comparable(self) -> list[Group]:
        """The groups of MIN_TRIALS trials or more."""
        return [group for group in self.groups if len(group.trials) >= MIN_TRIALS]


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Return the part on the shape of the networks; None where no search varied it."""
    tuning = network_search(comparison)
    if tuning is None or len(scored_trials(tuning)) < 2 or not dimensions(comparison):
        return None
    findings, shown = shape_findings(comparison), plots_of(plots, "shape")
    return Section("", TITLE, findings, tables=[shape_table(comparison)], plots=shown, beside="plots")


def network_search(comparison: Comparison) -> Tuning | None:
    """What was searched of the network of dense layers on embeddings."""
    searched = [part for tuning in comparison.tuning for part in parts(tuning) if is_network(part.name)]
    return next((part for part in searched if any("units" in trial.settings for trial in part.trials)), None)


def dimensions(comparison: Comparison) -> list[Dimension]:
    """Number of layers, units of the first layer and dropout, of the trials that have an error."""
    tuning = network_search(comparison)
    if tuning is None:
        return []
    trials, found = scored_trials(tuning), list[Dimension]()
    lists = {trial.number: trial.settings.get("units") for trial in trials}
    if units := {number: sizes for number, sizes in lists.items() if isinstance(sizes, list) and sizes}:
        layers = {number: float(len(sizes)) for number, sizes in units.items()}
        first = {number: float(sizes[0]) for number, sizes in units.items()}
        group = _by_value if len({*first.values()}) <= MAX_SIZES else _binned
        by_layers = _by_value(trials, layers, lambda low, _: count(int(low), "layer"))
        found.append(Dimension("the number of layers", "layers", by_layers))
        by_units = group(trials, first, _units_label)
        found.append(Dimension("the units of the first layer", "units, first layer", by_units))
    rates = {trial.number: rate for trial in trials if isinstance(rate := trial.settings.get("dropout"), int | float)}
    if rates:
        continuous = any(setting.name == "dropout" and setting.low is not None for setting in tuning.searched)
        group = _binned if continuous else _by_value
        found.append(Dimension("dropout", "dropout", group(trials, rates, _dropout_label)))
    return found


def _units_label(low: float, upper: float | None) -> str:
    return f"a first layer of {short(low)}" if upper is None else f"a first layer of {short(low)} to {short(upper - 1)}"


def _dropout_label(low: float, upper: float | None) -> str:
    if upper is None:
        return f"dropout {short(low)}" if low else "no dropout"
    return f"dropout {short(low)} to under {short(upper)}"


def _by_value(trials: list[Trial], values: dict[int, float], label: Label) -> list[Group]:
    """A group for each value; `values` are by number of trial."""
    alike = {value: [trial for trial in trials if values.get(trial.number) == value] for value in values.values()}
    return [Group(label(value, None), value, alike[value]) for value in sorted(alike)]


def _binned(trials: list[Trial], values: dict[int, float], label: Label) -> list[Group]:
    """A group for each bin that has a trial: tenths for shares, doublings for sizes."""
    largest = max(values.values())
    if largest < 1:
        bins = [(tenth / 10, (tenth + 1) / 10) for tenth in range(10)]
    else:
        bins = [(2.0**power, 2.0 ** (power + 1)) for power in range(int(math.log2(largest)) + 1)]
    groups = [
        Group(label(low, upper), low, [trial for trial in trials if low <= values.get(trial.number, math.nan) < upper])
        for low, upper in bins
    ]
    return [group for group in groups if group.trials]


def shape_table(comparison: Comparison) -> Table:
    """The groups of all dimensions, a row each."""
    step = mse_step(comparison)
    rows = [
        [
            opening(group.label),
            f"{len(group.trials):,}",
            number(val_error(group.best), step),
            number(median(map(val_error, group.trials)), step),
            f"trial {group.best.number:,}",
        ]
        for dimension in dimensions(comparison)
        for group in dimension.groups
    ]
    headings = ("Network", "Trials", "Lowest MSE", "Median MSE", "Best trial")
    return text_table("Validation MSE of the networks of the search", headings, rows)


def shape_findings(comparison: Comparison) -> list[Finding]:
    """Which value of each dimension reached the lowest error, and which dimensions have too few trials to tell."""
    tuning, varied = network_search(comparison), dimensions(comparison)
    if tuning is None or not varied:
        return []
    undecided = [dimension.name for dimension in varied if len(dimension.comparable) < 2]
    texts = [_lowest(comparison, dimension) for dimension in varied if len(dimension.comparable) >= 2]
    if undecided:
        texts.append(
            f"The {count(len(scored_trials(tuning)), 'trial')} of {inside(tuning.title)} cannot show the effect of "
            f"{listing(undecided)}: it takes two groups of at least {MIN_TRIALS} trials."
        )
    return [Finding("shape", text) for text in texts]


def _lowest(comparison: Comparison, dimension: Dimension) -> str:
    step, margin = mse_step(comparison), validation_tie_margin(comparison)
    first, *others = sorted(dimension.comparable, key=lambda group: val_error(group.best))
    lowest = val_error(first.best)
    text = f"{opening(dimension.name)}: the lowest validation MSE is {number(lowest, step)}, with {first.label}"
    for kind, tie in (("a tie", True), ("higher", False)):
        groups = [group for group in others if (val_error(group.best) - lowest <= margin) is tie]
        if groups:
            errors = [f"{group.label} ({number(val_error(group.best), step)})" for group in groups]
            text += f"; {kind}: {listing(errors)}"
    left_out = sum(len(group.trials) for group in dimension.groups if len(group.trials) < MIN_TRIALS)
    few = f" Left out: {count(left_out, 'trial')} in groups of fewer than {MIN_TRIALS}." if left_out else ""
    return f"{text}.{few}"
