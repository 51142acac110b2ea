"""The errors of a series of runs over time."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from recsys.evaluation.comparison import Comparison
from recsys.history import PastRun, PastScore, minute
from recsys.report.canvas import finished, label, legend, plain_ticks, sheet, style
from recsys.report.history_table import followed
from recsys.report.palette import LIGHT, look
from recsys.report.picture import Plot
from recsys.report.standing import mse_step
from recsys.report.wording import number

MOST_LABELS = 4


def history_plot(comparison: Comparison) -> Plot:
    """Test MSE of the followed rows by run; a dotted line where the ratings changed, unless they always did."""
    history, rows = comparison.history, followed(comparison.history)
    with style():
        figure, axes = sheet(3.1)
        handles = [_line(axes, history, row) for row in rows]
        changed = [place for place, (old, new) in enumerate(pairwise(history)) if old.ratings != new.ratings]
        marked = changed if len(changed) < len(history) - 1 else []
        for place in marked:
            axes.axvline(place + 0.5, color=LIGHT["soft"], linewidth=0.9, linestyle=(0, (1.0, 2.0)))
        _time_axis(axes, history)
        axes.set_ylabel("test MSE (rating units²)")
        plain_ticks(axes, y=True)
        legend(figure, handles, [label(row.title) for row in rows])
        caption = "Test error of each result, oldest first, at even distances."
        if marked:
            caption += " Dotted: the ratings changed."
        return finished(figure, "history", "history", caption, _told(comparison, rows))


def _line(axes: Axes, history: Sequence[PastRun], row: PastScore) -> Line2D:
    scores = [run.score(row.name) for run in history]
    values = [score.mse if score else float("nan") for score in scores]
    shape = look(row.name, baseline=row.kind == "baseline")
    drawn: Line2D
    (drawn,) = axes.plot(range(len(values)), values, marker=shape.marker, color=shape.colour, linestyle=shape.line)
    return drawn


def _time_axis(axes: Axes, history: Sequence[PastRun]) -> None:
    last = len(history) - 1
    labelled = sorted({round(number * last / (MOST_LABELS - 1)) for number in range(MOST_LABELS)})
    axes.set_xticks(labelled, [minute(history[place]).replace(" ", "\n") for place in labelled])
    axes.set_xlim(-0.3, last + 0.3)
    axes.set_xlabel("run (UTC)")


def _told(comparison: Comparison, rows: Sequence[PastScore]) -> str:
    step, first = mse_step(comparison), comparison.history[0]
    told = []
    for row in rows:
        old = first.score(row.name)
        told.append(f"{row.title} from {number(old.mse if old else None, step)} to {number(row.mse, step)}")
    return f"Test MSE over {len(comparison.history)} results, the first and the last of them: {'; '.join(told)}."
