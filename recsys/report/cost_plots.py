"""Accuracy against cost: the one picture in which cheap and good stand at the lower left."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.evaluation.comparison import BaselineResult, Comparison
from recsys.report.canvas import finished, label, plain_ticks, sheet
from recsys.report.costs import all_in_seconds, search_seconds
from recsys.report.palette import LIGHT, look_of
from recsys.report.picture import Plot
from recsys.report.standing import every_row, mse_step
from recsys.report.wording import number, seconds

SHORTEST = 0.1
POINTS = 8.0
"""Size of the names beside the points; a letter is about 0.6 of it wide."""

HEIGHT = 1.2 * POINTS
GAP = 5.0
"""Points that a mark needs to each side."""

Box = tuple[float, ...]
"""Left, bottom, right and top, in points."""

Mark = tuple[float, float, float, str]
"""Fit time once and all in, test MSE, and name of a row."""


def accuracy_against_cost(comparison: Comparison) -> Plot:
    """Test MSE against fit time of every row; a line leads to a hollow mark at the time with search and all seeds."""
    rows = every_row(comparison)
    figure, axes = sheet(4.2)
    axes.set_xscale("log")
    drawn: list[Mark] = []
    for row in rows:
        shape, at = look_of(row), _shown(row.fit_seconds)
        whole = _shown(all_in_seconds(comparison, row)) if search_seconds(comparison, row) else at
        if whole != at:
            axes.plot([at, whole], [row.mse, row.mse], color=shape.colour, linewidth=1, linestyle=(0, (1.0, 1.5)))
            axes.plot([whole], [row.mse], marker=shape.marker, color=shape.colour, mfc=LIGHT["paper"], linestyle="none")
        axes.plot([at], [row.mse], marker=shape.marker, color=shape.colour, markersize=7, linestyle="none")
        drawn.append((at, whole, row.mse, label(row.title)))
    axes.margins(x=0.16, y=0.09)
    axes.minorticks_off()
    axes.set_xlabel("fit time (s, log scale)")
    axes.set_ylabel("test MSE (rating units²)")
    plain_ticks(axes, x=True, y=True)
    _name_marks(figure, axes, drawn)
    return finished(figure, "accuracy-cost", "costs", _caption(comparison), _alt(comparison, rows))


def _shown(value: float) -> float:
    return max(value, SHORTEST)


def _caption(comparison: Comparison) -> str:
    text = f"Low and left is good and cheap. Fits of less than {SHORTEST} s are drawn at {SHORTEST} s."
    if comparison.tuning:
        text += " A hollow mark is the time with the search for settings and all seeds."
    return text


def _alt(comparison: Comparison, rows: Sequence[BaselineResult]) -> str:
    step = mse_step(comparison)
    told = [
        f"{row.title} {number(row.mse, step)} in {seconds(row.fit_seconds)}"
        + (f" ({seconds(all_in_seconds(comparison, row))} all in)" if search_seconds(comparison, row) else "")
        for row in rows
    ]
    return f"Test MSE and fit time: {'; '.join(told)}."


def _name_marks(figure: Figure, axes: Axes, marks: Sequence[Mark]) -> None:
    """Write each name beside its mark where it hides no other name and no mark, else where it hides least."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    sides = (scale * axes.bbox.x0, scale * axes.bbox.x1)
    taken: list[Box] = []
    for once, whole, mse, _ in marks:
        (left, y), (right, _) = scale * axes.transData.transform([(once, mse), (whole, mse)])
        taken.append((left - GAP, y - GAP, right + GAP, y + GAP))
    for (once, _, mse, name), own in zip(marks, list(taken), strict=True):
        x, y = own[0] + GAP, own[1] + GAP
        width = 0.6 * POINTS * len(name)
        boxes = [(x + across, y + up, x + across + width, y + up + HEIGHT) for across, up in _offsets(width)]
        chosen = min(boxes, key=lambda box: _hidden(box, taken, sides))
        taken.append(chosen)
        axes.annotate(
            name,
            (once, mse),
            xytext=(chosen[0] - x, chosen[1] - y),
            textcoords="offset points",
            va="bottom",
            fontsize=POINTS,
            color=LIGHT["ink"],
        )


def _offsets(width: float) -> list[tuple[float, float]]:
    """Where a name may begin, in points from its point: right, left, above and below, near ones first."""
    beside = [
        (across, shift * HEIGHT - HEIGHT / 2)
        for shift in (0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2)
        for across in (1.4 * GAP, -1.4 * GAP - width)
    ]
    return [*beside[:2], (-width / 2, GAP), (-width / 2, -GAP - HEIGHT), *beside[2:]]


def _hidden(box: Box, taken: Sequence[Box], sides: tuple[float, float]) -> float:
    """How much of what is drawn, or of itself beyond the axes, a name in this box would hide."""
    outside = max(0.0, sides[0] - box[0]) + max(0.0, box[2] - sides[1])
    return outside * HEIGHT + sum(_overlap(box, other) for other in taken)


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, up)
