"""The notebook's own tuning question: how many layers, how many units, how much dropout?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from recsys.evaluation.comparison import Comparison, Trial, Tuning
from recsys.report.searches import error, scored_trials, validation_chance
from recsys.report.standing import is_network, mse_step
from recsys.report.wording import Finding, count, inside, listing, number, opening, short

SHAPE_TITLE = "How many layers, how many units, how much dropout?"
SHAPE_HEADINGS = ("Network", "Trials", "Lowest MSE", "Median MSE", "Best trial")

FEW = 3
"""With fewer trials, the lowest error of a group says more about the other settings that they drew."""

MOST_GROUPS = 6
"""With more different values than this, they are put into bins."""


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
        found.append(_question("the number of layers", lambda trial: len(_units(trial)), shaped, _layers_label))
        found.append(_question("the units of the first layer", lambda trial: _units(trial)[0], shaped, _units_label))
    if dropped:
        found.append(_question("dropout", _dropout, dropped, _dropout_label))
    return found


def _units(trial: Trial) -> list[int]:
    units = trial.settings.get("units")
    return units if isinstance(units, list) else []


def _dropout(trial: Trial) -> float:
    value = trial.settings.get("dropout")
    return value if isinstance(value, int | float) else math.nan


def _layers_label(low: float, upper: float | None) -> str:
    return count(int(low), "layer") if upper is None else f"{short(low)} to {short(upper - 1)} layers"


def _units_label(low: float, upper: float | None) -> str:
    return f"first layer of {short(low)}" if upper is None else f"first layer of {short(low)} to {short(upper - 1)}"


def _dropout_label(low: float, upper: float | None) -> str:
    if upper is None:
        return f"dropout {short(low)}" if low else "no dropout"
    return f"dropout {short(low)} to under {short(upper)}"


def _question(
    name: str, value: Callable[[Trial], float], trials: list[Trial], label: Callable[[float, float | None], str]
) -> Question:
    different = sorted({value(trial) for trial in trials})
    bins: list[tuple[float, float | None]] = [(at, None) for at in different]
    if len(different) > MOST_GROUPS:
        bins = _bins(different)
    groups = []
    for low, upper in bins:
        within = [trial for trial in trials if _lies_in(value(trial), low, upper)]
        if within:
            groups.append(Group(label(low, upper), low, within))
    return Question(name, groups)


def _lies_in(value: float, low: float, upper: float | None) -> bool:
    return value == low if upper is None else low <= value < upper


def _bins(values: list[float]) -> list[tuple[float, float | None]]:
    """Tenths for shares, doublings for sizes."""
    if values[-1] < 1:
        return [(tenth / 10, (tenth + 1) / 10) for tenth in range(10)]
    return [(2.0**power, 2.0 ** (power + 1)) for power in range(int(math.log2(values[-1])) + 1)]


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
            f"with {listing([_told(group, step) for group in level])} it is no more above that than chance brings"
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
