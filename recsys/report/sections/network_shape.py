"""The notebook's own tuning question: how many layers, how many units, how much dropout?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes

from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.report.outcomes import is_network, mse_step
from recsys.report.section import Finding, Plot
from recsys.report.sections.tuning_plots import beyond, ceiling, limit
from recsys.report.sections.tuning_tables import error, scored_trials, validation_chance
from recsys.report.style import LIGHT, look
from recsys.report.svg import abreast, finished, plain_ticks
from recsys.text import count, inside, listing, number, opening, short

SHAPE_TITLE = "How many layers, how many units, how much dropout?"
SHAPE_HEADINGS = ("Network", "Trials", "Lowest MSE", "Median MSE", "Best trial")

FEW = 3
"""With fewer trials, the lowest error of a group says more about the other settings that they drew."""

MOST_SIZES = 6
"""With more different sizes than this, they are put into bins."""

Label = Callable[[float, float | None], str]
"""What a group is called, from its smallest value and, of a bin, its upper end."""


@dataclass(frozen=True)
class Group:
    """Trials of networks that are alike in one thing: `label` says in what, `start` is the smallest value."""

    label: str
    start: float
    trials: list[Trial]

    @property
    def best(self) -> Trial:
        """The trial of the lowest validation MSE."""
        return min(self.trials, key=error)


@dataclass(frozen=True)
class Question:
    """One thing that was varied: what it is called, and the groups, the smallest value first."""

    name: str
    groups: list[Group]


def network_search(comparison: Comparison) -> Tuning | None:
    """The search of the deep networks."""
    return next((tuning for tuning in comparison.tuning if is_network(tuning.name)), None)


def questions(comparison: Comparison) -> list[Question]:
    """What was varied of layers, units of the first layer and dropout, over the trials that reached an error."""
    tuning = network_search(comparison)
    tried = scored_trials(tuning) if tuning else []
    shaped = [trial for trial in tried if _units(trial)]
    dropped = [trial for trial in tried if not math.isnan(_dropout(trial))]
    found = []
    if shaped:
        layers = {trial.number: float(len(_units(trial))) for trial in shaped}
        first = {trial.number: float(_units(trial)[0]) for trial in shaped}
        found.append(Question("the number of layers", _alike(shaped, layers, _layers_label)))
        group = _alike if len({*first.values()}) <= MOST_SIZES else _binned
        found.append(Question("the units of the first layer", group(shaped, first, _units_label)))
    if dropped and tuning:
        drawn = any(setting.name == "dropout" and setting.low is not None for setting in tuning.searched)
        group = _binned if drawn else _alike
        shares = {trial.number: _dropout(trial) for trial in dropped}
        found.append(Question("dropout", group(dropped, shares, _dropout_label)))
    return found


def _units(trial: Trial) -> list[int]:
    units = trial.settings.get("units")
    return units if isinstance(units, list) else []


def _dropout(trial: Trial) -> float:
    value = trial.settings.get("dropout")
    return value if isinstance(value, int | float) else math.nan


def _layers_label(low: float, _: float | None) -> str:
    return count(int(low), "layer")


def _units_label(low: float, upper: float | None) -> str:
    return f"a first layer of {short(low)}" if upper is None else f"a first layer of {short(low)} to {short(upper - 1)}"


def _dropout_label(low: float, upper: float | None) -> str:
    if upper is None:
        return f"dropout {short(low)}" if low else "no dropout"
    return f"dropout {short(low)} to under {short(upper)}"


def _alike(trials: list[Trial], values: dict[int, float], label: Label) -> list[Group]:
    """A group for each value, the values by number of trial."""
    return [
        Group(label(at, None), at, [trial for trial in trials if values[trial.number] == at])
        for at in sorted({*values.values()})
    ]


def _binned(trials: list[Trial], values: dict[int, float], label: Label) -> list[Group]:
    """A group for each bin that has a trial, the values by number of trial."""
    groups = []
    for low, upper in _bins(max(values.values())):
        within = [trial for trial in trials if low <= values[trial.number] < upper]
        if within:
            groups.append(Group(label(low, upper), low, within))
    return groups


def _bins(largest: float) -> list[tuple[float, float]]:
    """Tenths for shares, doublings for sizes."""
    if largest < 1:
        return [(tenth / 10, (tenth + 1) / 10) for tenth in range(10)]
    return [(2.0**power, 2.0 ** (power + 1)) for power in range(int(math.log2(largest)) + 1)]


def shape_rows(comparison: Comparison) -> list[list[str]]:
    """A row a group, a text for each of SHAPE_HEADINGS."""
    step = mse_step(comparison)
    return [
        [
            opening(group.label),
            f"{len(group.trials):,}",
            number(error(group.best), step),
            number(median(map(error, group.trials)), step),
            f"trial {group.best.number:,}",
        ]
        for question in questions(comparison)
        for group in question.groups
    ]


def shape_findings(comparison: Comparison) -> list[Finding]:
    """What the trials say to each question, and to which of them there are too few."""
    tuning, asked = network_search(comparison), questions(comparison)
    if tuning is None or not asked:
        return []
    open_questions = [question.name for question in asked if len(_comparable(question)) < 2]
    texts = [_answer(comparison, question) for question in asked if len(_comparable(question)) >= 2]
    if open_questions:
        ran = count(len(scored_trials(tuning)), "trial")
        texts.append(
            f"The {ran} of {inside(tuning.title)} cannot tell what {listing(open_questions)} "
            f"{'does' if len(open_questions) == 1 else 'do'}: it takes two groups of {FEW} trials or more to compare."
        )
    return [Finding("shape", text) for text in texts]


def _comparable(question: Question) -> list[Group]:
    return [group for group in question.groups if len(group.trials) >= FEW]


def _answer(comparison: Comparison, question: Question) -> str:
    step, chance = mse_step(comparison), validation_chance(comparison)
    first, *others = sorted(_comparable(question), key=lambda group: error(group.best))
    level = [group for group in others if error(group.best) - error(first.best) <= chance]
    beaten = [group for group in others if group not in level]
    parts = [f"the lowest validation MSE is {number(error(first.best), step)}, with {first.label}"]
    if level:
        parts.append(
            f"with {listing([_told(group, step) for group in level])} it is higher by no more than chance may bring"
        )
    if beaten:
        parts.append(f"with {listing([_told(group, step) for group in beaten])} it is higher")
    left_out = sum(len(group.trials) for group in question.groups) - sum(len(g.trials) for g in _comparable(question))
    rest = ""
    if left_out:
        rest = f" {opening(count(left_out, 'trial'))} in groups of fewer than {FEW} {'is' if left_out == 1 else 'are'} "
        rest += "not compared."
    return f"As to {question.name}, {'; '.join(parts)}.{rest}"


def _told(group: Group, step: float) -> str:
    return f"{group.label} ({number(error(group.best), step)})"


_AXES = {"the number of layers": "layers", "the units of the first layer": "units, first layer", "dropout": "dropout"}


def network_shapes(comparison: Comparison) -> list[Plot]:
    """One picture, a panel a question; none where the networks did not differ in any of it."""
    tuning = network_search(comparison)
    asked = [question for question in questions(comparison) if len(question.groups) > 1]
    if tuning is None or not asked:
        return []
    trials = scored_trials(tuning)
    errors = [error(tried) for tried in trials]
    top = ceiling(errors)
    figure, panels = abreast(2.7, len(asked))
    for axes, question in zip(panels, asked, strict=True):
        limit(axes, errors, top)
        _panel(axes, question, tuning.name, top)
    panels[0].set_ylabel("validation MSE (rating units²)")
    plain_ticks(panels[0], y=True)
    step = mse_step(comparison)
    caption = f"The {count(len(trials), 'trial')} of {inside(tuning.title)} that ran, other settings varying too; "
    caption += f"the line joins the lowest of each. {beyond(errors, top, step)}".strip()
    told = "; ".join(
        f"{group.label} {number(error(group.best), step)}" for question in asked for group in question.groups
    )
    return [finished(figure, "search-shape", "shape", caption, f"Lowest validation MSE: {told}.")]


def _panel(axes: Axes, question: Question, name: str, top: float) -> None:
    shape = look(name, baseline=False)
    places = range(len(question.groups))
    for group, place in zip(question.groups, places, strict=True):
        for tried in group.trials:
            _point(axes, tried, place, shape.marker, shape.colour, top)
    lowest = [min(error(group.best), axes.get_ylim()[1]) for group in question.groups]
    axes.plot(places, lowest, "-", color=LIGHT["soft"], linewidth=1.2)
    axes.set_xticks(places, [short(group.start) for group in question.groups], fontsize=7.5)
    axes.margins(x=0.15)
    axes.set_xlabel(_AXES[question.name])


def _point(axes: Axes, tried: Trial, x: float, marker: str, colour: str, top: float) -> None:
    within = error(tried) <= top
    axes.plot(
        [x],
        [error(tried) if within else axes.get_ylim()[1]],
        marker=marker,
        color=colour,
        mfc=colour if tried.state == "finished" else LIGHT["paper"],
        markersize=5,
        clip_on=within,
    )
