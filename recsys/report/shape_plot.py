"""The notebook's own tuning question as a picture: error by layers, by units and by dropout."""

from matplotlib.axes import Axes

from recsys.evaluation.comparison import Comparison, Trial
from recsys.report.canvas import abreast, finished, plain_ticks
from recsys.report.network_shape import Question, network_search, questions
from recsys.report.palette import LIGHT, look
from recsys.report.picture import Plot
from recsys.report.search_plots import beyond, ceiling, limit
from recsys.report.searches import error, scored_trials
from recsys.report.standing import mse_step
from recsys.report.wording import count, inside, number, short

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
