"""One look for every plot: colours, markers, light and dark theme."""

import re
from dataclasses import dataclass

from recsys.evaluation.results import BaselineResult, Combination, ModelResult
from recsys.models.specs import ROW

COLOURS = {spec.name: spec.colour for spec in ROW.values() if spec.colour}

LIGHT = {
    "paper": "#ffffff",
    "panel": "#f5f7f9",
    "ink": "#1b2430",
    "soft": "#566271",
    "line": "#dde2e8",
    **{name: colour.light for name, colour in COLOURS.items()},
    "other_model": "#9b4f96",
    "baseline": "#85909e",
    "good": "#0b6b4f",
    "warn": "#8a5a00",
}
DARK = {
    "paper": "#14181d",
    "panel": "#1c2229",
    "ink": "#e7eaee",
    "soft": "#a9b3bf",
    "line": "#2f3740",
    **{name: colour.dark for name, colour in COLOURS.items()},
    "other_model": "#d69ad2",
    "baseline": "#7f8a98",
    "good": "#5fd0a8",
    "warn": "#e5b45a",
}


@dataclass(frozen=True)
class Look:
    """How a model is drawn."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]


DASHED, DOTTED, DASH_DOTTED = (0, (4.0, 2.0)), (0, (1.0, 1.5)), (0, (3.0, 1.5, 1.0, 1.5))
"""Matplotlib's lines of baselines, item kNN and combinations; those of models are solid."""


def look_of(row: BaselineResult) -> Look:
    """The look of a row of the table."""
    if isinstance(row, Combination):
        return Look(LIGHT["other_model"], "*", DASH_DOTTED)
    return look(row.name, baseline=not isinstance(row, ModelResult))


def look(name: str, *, baseline: bool) -> Look:
    """The look of a model or baseline, also of one that another version had."""
    spec = ROW.get(name)
    if baseline:
        line = DOTTED if name == "item_knn" else DASHED
        return Look(LIGHT.get(name, LIGHT["baseline"]), spec.marker if spec else "D", line)
    return Look(LIGHT.get(name, LIGHT["other_model"]), spec.marker if spec else "v", "-")


def file_name(name: str) -> str:
    """A model's name as part of a file's name and of an id in the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"
