"""A report as one HTML file that needs nothing else."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from itertools import count, groupby, takewhile
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from recsys.report.section import Report, Section
from recsys.report.svg import DARK, LIGHT, themed
from recsys.text import printable


def html_page(report: Report) -> str:
    """Return the page; every text is escaped, the drawings alone are not."""
    environment = Environment(
        loader=FunctionLoader(_shipped),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["drawing"] = lambda plot: Markup(themed(plot.svg))
    environment.filters["anchor"] = _Anchors(report)
    environment.tests["box"] = _is_box
    style, script = Markup(_theme() + _shipped("report.css")), _shipped("report.js")
    digest = b64encode(sha256(script.encode()).digest()).decode()  # the browser runs this script and no other
    given = {"style": style, "script": Markup(script), "script_digest": f"sha256-{digest}", "arranged": _arranged}
    return environment.get_template("report.html.j2").render(report=report, **given)


class _Anchors:
    """Ids of the headings inside of sections, none of which is used twice."""

    def __init__(self, report: Report) -> None:
        self._used = {section.anchor for section in report.sections}

    def __call__(self, part: Section) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", part.title.lower()).strip("-")
        first = part.anchor or f"on-{words}"
        anchor = next(
            name for number in count(1) if (name := f"{first}-{number}" if number > 1 else first) not in self._used
        )
        self._used.add(anchor)
        return anchor


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shipped(name: str) -> str:
    return (files("recsys.report") / name).read_text(encoding="utf-8")


def _is_box(section: Section) -> bool:
    return section.tone != "plain"


def _arranged(section: Section) -> tuple[list[Section], list[tuple[str, list[Section]]]]:
    """The parts that stand before a section's plots, and the others in groups with the class of each.

    Boxes at the head of the parts stand before the plots. Neighbours of one kind make a group: those of text flow
    in columns, those of facts stand side by side.
    """
    before = list(takewhile(_is_box, section.parts))
    groups = [(kind, list(parts)) for kind, parts in groupby(section.parts[len(before) :], _kind)]
    return before, [(kind if len(parts) > 1 else "", parts) for kind, parts in groups]


def _kind(part: Section) -> str:
    if part.folded or _is_box(part) or part.plots:
        return ""
    return "topics" if part.facts else "flow"


def _theme() -> str:
    """The palette as CSS variables: light, and dark on screens that ask for it."""
    light, dark = ("".join(f"--{role}: {colour}; " for role, colour in colours.items()) for colours in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
    )
