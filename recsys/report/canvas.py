"""Sheets to draw on: matplotlib without pyplot, without the reader's own style, and without a clock."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from recsys.report.palette import LIGHT
from recsys.report.picture import Plot
from recsys.report.svg import normalised
from recsys.report.wording import opening, printable, short

WIDTH = 5.0
"""Inches, at 72 units an inch: narrow enough for a phone at full size, and two fit side by side on a desk."""

LONGEST_LABEL = 26

_DRAWING = threading.Lock()  # matplotlib reads these settings from one global place, so one report draws at a time
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["soft"],
    "axes.edgecolor": LIGHT["line"],
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["line"],
    "ytick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["soft"],
    "ytick.labelcolor": LIGHT["soft"],
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.labelcolor": LIGHT["ink"],
    "figure.facecolor": LIGHT["paper"],
}


@contextmanager
def style() -> Iterator[None]:
    """The report's own style, whatever a matplotlibrc says; figures are made and finished inside."""
    with _DRAWING, matplotlib.style.context(["default", _STYLE]):
        yield


def sheet(height: float) -> tuple[Figure, Axes]:
    """A figure with one set of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def stacked(height: float) -> tuple[Figure, Axes, Axes]:
    """A figure with a large set of axes above a small one that shares its x axis."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    return figure, upper, lower


def abreast(height: float, panels: int) -> tuple[Figure, list[Axes]]:
    """A figure with sets of axes side by side that share their y axis."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def finished(figure: Figure, name: str, section: str, caption: str, alt: str) -> Plot:
    """Render a figure."""
    caption, alt = printable(caption), printable(alt)
    vector, raster = io.StringIO(), io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(vector, format="svg", transparent=True, metadata=nothing)
    figure.set_layout_engine("none")  # laid out once, not once a format: half of the time goes into it
    figure.savefig(raster, format="png", dpi=160, metadata={"Software": None})
    return Plot(name, section, caption, alt, normalised(vector.getvalue(), name, alt), raster.getvalue())


def label(title: str) -> str:
    """A title that fits beside an axis and into XML; matplotlib leaves out labels that start with an underscore."""
    text = " ".join(printable(opening(title)).split())
    if len(text) > LONGEST_LABEL:
        text = f"{text[: LONGEST_LABEL - 1]}…"
    return f"\u200b{text}" if text.startswith("_") else text


def legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend above the axes, where it hides no data."""
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8.5, columnspacing=1.6)


def plain_ticks(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Write tick values as the text does, on logarithmic axes as well."""
    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(FuncFormatter(lambda value, position: short(value)))
