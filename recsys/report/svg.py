"""The look of every plot, and figures for files and the page: no clock, no random ids, colours of the theme.

Matplotlib is loaded by the first figure, as a report whose plots are drawn has no need of it.
"""

import io
import json
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.evaluation.results import BaselineResult, Combination, ModelResult
from recsys.models.specs import ROW
from recsys.report.section import Plot
from recsys.text import opening, printable, short

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PALETTE = {
    "paper": ("#ffffff", "#14181d"),
    "panel": ("#f5f7f9", "#1c2229"),
    "ink": ("#1b2430", "#e7eaee"),
    "soft": ("#566271", "#a9b3bf"),
    "line": ("#dde2e8", "#2f3740"),
    **{spec.name: (spec.colour.light, spec.colour.dark) for spec in ROW.values() if spec.colour},
    "other_model": ("#9b4f96", "#d69ad2"),
    "baseline": ("#85909e", "#7f8a98"),
    "good": ("#0b6b4f", "#5fd0a8"),
    "warn": ("#8a5a00", "#e5b45a"),
}
LIGHT = {role: light for role, (light, _) in _PALETTE.items()}
DARK = {role: dark for role, (_, dark) in _PALETTE.items()}

DASHED, DOTTED, DASH_DOTTED = (0, (4.0, 2.0)), (0, (1.0, 1.5)), (0, (3.0, 1.5, 1.0, 1.5))
"""Matplotlib's lines of baselines, item kNN and combinations; those of models are solid."""

PLOTS_INDEX = "plots.json"  # name, section, caption and text for screen readers of each plot of a report, in order
WIDTH = 5.0  # inches of 72 units: narrow enough for a phone at full size, and two fit side by side on a desk
LONGEST_LABEL = 26

_DRAWING = threading.Lock()  # matplotlib reads these settings from one global place, so one report draws at a time
_STYLE: dict[str, Any] = {
    **dict.fromkeys(("text.parse_math", "axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.axisbelow", "axes.grid", "axes.unicode_minus"), True),
    **dict.fromkeys(("text.color", "legend.labelcolor"), LIGHT["ink"]),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), LIGHT["soft"]),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), LIGHT["line"]),
    "axes.facecolor": "none",
    "figure.facecolor": LIGHT["paper"],
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "legend.handlelength": 2.4,
}


@dataclass(frozen=True)
class Look:
    """How a model is drawn."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]


def look_of(row: BaselineResult) -> Look:
    """The look of a row of the table."""
    if isinstance(row, Combination):
        return Look(LIGHT["other_model"], "*", DASH_DOTTED)
    return look(row.name, baseline=not isinstance(row, ModelResult))


def look(name: str, *, baseline: bool = False) -> Look:
    """The look of a model or baseline, also of one that another version had."""
    colour, marker, line = ("baseline", "D", DASHED) if baseline else ("other_model", "v", "-")
    spec = ROW.get(name)
    line = DOTTED if baseline and name == "item_knn" else line
    return Look(LIGHT.get(name, LIGHT[colour]), spec.marker if spec else marker, line)


def file_name(name: str) -> str:
    """A model's name as part of a file's name and of an id in the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"


@contextmanager
def style() -> Iterator[None]:
    """The report's own style, whatever a matplotlibrc says; figures are made and finished inside."""
    import matplotlib.style

    with _DRAWING, matplotlib.style.context(["default", _STYLE]):
        yield


def _figure(height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def sheet(height: float) -> "tuple[Figure, Axes]":
    """A figure with one set of axes."""
    figure = _figure(height)
    return figure, figure.add_subplot()


def stacked(height: float) -> "tuple[Figure, Axes, Axes]":
    """A figure with a large set of axes above a small one that shares its x axis."""
    figure = _figure(height)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    return figure, upper, lower


def abreast(height: float, panels: int) -> "tuple[Figure, list[Axes]]":
    """A figure with sets of axes side by side that share their y axis."""
    figure = _figure(height)
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def finished(figure: "Figure", name: str, section: str, caption: str, alt: str) -> Plot:
    """Render a figure."""
    caption, alt = printable(caption), printable(alt)
    vector, raster = io.StringIO(), io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(vector, format="svg", transparent=True, metadata=nothing)
    figure.set_layout_engine("none")  # laid out once, not once a format: half of the time goes into it
    figure.savefig(raster, format="png", dpi=160, metadata={"Software": None})
    drawing = standalone(normalised(vector.getvalue(), name, alt))
    return Plot(name, section, caption, alt, drawing, raster.getvalue())


def save_plots(plots: Sequence[Plot], folder: Path, others: Sequence[Plot] = ()) -> None:
    """Write plots/*.svg and *.png, and an index of them and of others, whose files are elsewhere."""
    named = ("name", "section", "caption", "alt")
    index = [{key: getattr(plot, key) for key in named} for plot in (*others, *plots)]
    (folder / PLOTS_INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8", newline="\n")
    (folder / "plots").mkdir(exist_ok=True)
    for plot in plots:
        (folder / "plots" / f"{plot.name}.svg").write_text(plot.svg, encoding="utf-8", newline="\n")
        (folder / "plots" / f"{plot.name}.png").write_bytes(plot.png)


def load_plots(files: Mapping[str, Path]) -> list[Plot]:
    """Return the plots of a report; `files` are path inside the report -> where the file is."""
    return [
        Plot(
            **entry,
            svg=files[f"plots/{entry['name']}.svg"].read_text(encoding="utf-8"),
            png=files[f"plots/{entry['name']}.png"].read_bytes(),
        )
        for entry in json.loads(files[PLOTS_INDEX].read_bytes())
    ]


def label(title: str) -> str:
    """A title that fits beside an axis and into XML; matplotlib leaves out labels that start with an underscore."""
    text = " ".join(printable(opening(title)).split())
    if len(text) > LONGEST_LABEL:
        text = f"{text[: LONGEST_LABEL - 1]}…"
    return f"\u200b{text}" if text.startswith("_") else text


def legend(figure: "Figure", handles: "Sequence[Artist]", labels: Sequence[str]) -> None:
    """A legend above the axes, where it hides no data."""
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8.5, columnspacing=1.6)


def plain_ticks(axes: "Axes", *, x: bool = False, y: bool = False) -> None:
    """Write tick values as the text does, on logarithmic axes as well."""
    from matplotlib.ticker import FuncFormatter

    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(FuncFormatter(lambda value, position: short(value)))


SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_FAMILY = re.compile(r"\s*font-family:[^;]*;?")
_STILL = re.compile(r"rotate\(-?0 [^)]*\)")
_THEME = {value: f"var(--{role})" for role, value in LIGHT.items()}
_COLOUR = re.compile("|".join(_THEME))


def normalised(drawing: str, name: str, alt: str) -> str:
    """Rewrite an SVG document of matplotlib as a small, reproducible and accessible `<svg>` element.

    Args:
        drawing: what `Figure.savefig(format="svg")` wrote, with text kept as text.
        name: prefix of all ids, unique in the page.
        alt: what a screen reader says instead of the plot.
    """
    root = ElementTree.fromstring(drawing)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    _rename_ids(root, name)
    for element in root.iter():
        _tidy(element)
    title = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    title.text = alt
    root.insert(0, title)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    root.set("font-family", FONTS)
    return _serialised(root)


def themed(drawing: str) -> str:
    """An SVG document as an element of the page: as wide as its place, in the page's CSS variables and font."""
    root = ElementTree.fromstring(drawing)
    for element in root.iterfind(".//*[@style]"):
        element.set("style", _COLOUR.sub(lambda match: _THEME[match.group()], element.attrib["style"]))
    for attribute in ("width", "height", "font-family"):
        del root.attrib[attribute]
    return _serialised(root)


def standalone(drawing: str) -> str:
    """A file of its own, with the size in pixels that viewers ask for."""
    width, height = drawing.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    sized = drawing.replace("<svg ", f'<svg width="{float(width) * 1.5:g}" height="{float(height) * 1.5:g}" ', 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{sized}\n'


def _serialised(root: ElementTree.Element) -> str:
    """A document whose element names have no prefix, as HTML wants them."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Number the ids that are referred to in their order, and drop the others."""
    used: set[str] = set()
    for element in root.iter():
        used.update(match for value in element.attrib.values() for match in _REFERENCE.findall(value))
        used.add(element.get(f"{{{XLINK}}}href", "").removeprefix("#"))
    fresh: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used and old is not None:
            fresh[old] = f"{name}-{len(fresh) + 1}"
            element.set("id", fresh[old])
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == f"{{{XLINK}}}href":
                element.set(key, f"#{fresh[value.removeprefix('#')]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(lambda match: f"url(#{fresh[match.group(1)]})", value))


def _tidy(element: ElementTree.Element) -> None:
    if "style" in element.attrib:
        element.set("style", _FONT_FAMILY.sub("", element.attrib["style"]).strip())
    if _STILL.fullmatch(element.get("transform", "")):
        del element.attrib["transform"]
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None
