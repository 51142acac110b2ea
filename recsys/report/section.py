"""A section of the report: its sentences, tables and plots, before anybody has decided how they look.

The page and the Markdown are two ways to write the same sections down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from recsys.text import count, listing, opening


@dataclass(frozen=True)
class Plot:
    """A finished plot: `svg`, a document in light colours without a background, and `png`, on white."""

    name: str
    section: str
    caption: str
    alt: str
    svg: str
    png: bytes


@dataclass(frozen=True)
class Finding:
    """One thing the numbers say: the rule's topic and a whole sentence, plain text, not escaped."""

    topic: str
    text: str


Tone = Literal["plain", "good", "warn"]


@dataclass(frozen=True)
class Share:
    """A part of a whole: a share from 0 to 1, its text, what it is of, and the role whose colour it has."""

    role: str
    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Heading:
    """The heading of a column, and what the column holds where the heading does not say it all.

    `kind` is "prose" for a column of sentences and "time" for one of dates.
    """

    text: str
    meaning: str = ""
    kind: Literal["", "prose", "time"] = ""


@dataclass(frozen=True)
class Cell:
    """One value as people read it; `best` marks the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it, the others are numbers.

    `title` is what is shown of a table that is `folded` away until somebody opens it.
    """

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        anchor: id of its heading in the page, which links from elsewhere lead to; empty for a part without one.
        facts: names and texts, as a list of definitions.
        shares: parts of a whole, as one bar.
        listing: text in which columns are aligned, such as the layers of a model.
        parts: sections inside this one, one heading level deeper.
        tone: "good" or "warn" where it is set apart as a box.
        folded: whether all but the heading is hidden until somebody opens it.
        result: what came out, in a few words that follow the title; empty where nothing sums it up.
        beside: what stands to the right of findings and facts on a wide screen; below them if empty.
    """

    anchor: str
    title: str
    findings: Sequence[Finding] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    facts: Sequence[tuple[str, str]] = ()
    shares: Sequence[Share] = ()
    listing: str = ""
    parts: Sequence["Section"] = ()
    tone: Tone = "plain"
    folded: bool = False
    beside: Literal["", "tables", "plots"] = ""
    result: str = ""

    @property
    def heading(self) -> str:
        """The title, and the result if there is one."""
        if not self.result:
            return self.title
        return f"{self.title} {opening(self.result)}" if self.title.endswith("?") else f"{self.title}: {self.result}"

    @property
    def details(self) -> str:
        """What is to be seen once the section is opened."""
        inside = [self, *self.parts]
        held = {"table": sum(len(one.tables) for one in inside), "plot": sum(len(one.plots) for one in inside)}
        found = [count(number, what) for what, number in held.items() if number]
        return f"Details: {listing(found)}" if found else "Details"


@dataclass(frozen=True)
class Report:
    """A whole report; the title of `answer`, its first screen, is the answer in one sentence without a full stop."""

    subtitle: str
    answer: Section
    sections: Sequence[Section]


def text_table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """Return a table of plain texts, folded away behind `title` if it has one."""
    cells = [[Cell(text) for text in row] for row in rows]
    return Table(caption, [Heading(heading) for heading in headings], cells, title, folded=bool(title))


def findings_on(topic: str, texts: Iterable[str]) -> list[Finding]:
    """Return a finding for each of the texts that are not empty."""
    return [Finding(topic, text) for text in texts if text]


def plots_of(plots: Sequence[Plot], section: str) -> list[Plot]:
    """Return the plots that belong to a section, in their order."""
    return [plot for plot in plots if plot.section == section]
