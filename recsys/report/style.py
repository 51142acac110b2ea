"""One look for every plot: colours, markers, light and dark theme."""

import re
from dataclasses import dataclass

from recsys.evaluation.results import BaselineResult, Combination, ModelResult

LIGHT = {
    "paper": "#ffffff",
    "panel": "#f5f7f9",
    "ink": "#1b2430",
    "soft": "#566271",
    "line": "#dde2e8",
    "mf": "#0072b2",
    "mf_tuned": "#4b3fae",
    "dnn": "#d55e00",
    "dnn_tuned": "#009e73",
    "other_model": "#9b4f96",
    "bias_only": "#3f4a57",
    "item_knn": "#6d7986",
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
    "mf": "#5ab4f2",
    "mf_tuned": "#a99df5",
    "dnn": "#ff9b52",
    "dnn_tuned": "#41d1a2",
    "other_model": "#d69ad2",
    "bias_only": "#ccd2da",
    "item_knn": "#9aa5b2",
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


_LOOKS = {
    "mf": Look(LIGHT["mf"], "o", "-"),
    "mf_tuned": Look(LIGHT["mf_tuned"], "P", "-"),
    "dnn": Look(LIGHT["dnn"], "s", "-"),
    "dnn_tuned": Look(LIGHT["dnn_tuned"], "^", "-"),
    "bias_only": Look(LIGHT["bias_only"], "D", (0, (4.0, 2.0))),
    "item_knn": Look(LIGHT["item_knn"], "P", (0, (1.0, 1.5))),
}


def look_of(row: BaselineResult) -> Look:
    """The look of a row of the table."""
    if isinstance(row, Combination):
        return Look(LIGHT["other_model"], "*", (0, (3.0, 1.5, 1.0, 1.5)))
    return look(row.name, baseline=not isinstance(row, ModelResult))


def look(name: str, *, baseline: bool) -> Look:
    """The look of a model or baseline."""
    if baseline:
        return _LOOKS.get(name, Look(LIGHT["baseline"], "D", (0, (4.0, 2.0))))
    return _LOOKS.get(name, Look(LIGHT["other_model"], "v", "-"))


def file_name(name: str) -> str:
    """A model's name as part of a file's name and of an id in the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"
