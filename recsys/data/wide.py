"""Tables with a row for each user and a column for each item: how they are laid out, and their cells as ratings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from recsys.data.columns import Role
from recsys.data.numerals import NUMBER, number
from recsys.data.positions import Sample, column, holds_ratings
from recsys.data.settings import DataSettings
from recsys.data.tokenizer import Record
from recsys.errors import BadRatings
from recsys.text import count, listed, quoted


@dataclass(frozen=True)
class Matrix:
    """How a wide table is laid out.

    Attributes:
        rows: what its rows are, "user" or "item".
        ids: index of the column with their ids; None where they have none, and the number of the line stands for it.
        cells: index -> id of each column of ratings.
        width: how many columns there are.
    """

    rows: Role
    ids: int | None
    cells: dict[int, str]
    width: int

    @property
    def used(self) -> set[int]:
        """The indices of all columns that are read."""
        return {*self.cells, *([] if self.ids is None else [self.ids])}

    def described(self, names: Sequence[str]) -> dict[Role, str]:
        """What users, items and ratings are, in words; `names` are those of the columns."""
        rows = "line"
        if self.ids is not None:
            rows = f"column “{names[self.ids]}”" if names[self.ids] else f"column {self.ids + 1}"
        across = f"{len(self.cells):,} columns"
        user, item = (rows, across) if self.rows == "user" else (across, rows)
        return {"user": user, "item": item, "rating": "cells"}


class Cell(NamedTuple):
    """A cell that is not blank: its line, the ids of its row and of its column, and its text."""

    line: int
    row: str
    column: str
    text: str


class BadLine(NamedTuple):
    """A line that is no row of the table: its number, what is wrong with it, and its text."""

    line: int
    reason: str
    text: str


def has_header_of_ids(rows: Sample) -> bool:
    """Whether the first row names the columns of a wide table, and is not one of numbers like the others."""
    first, *names = (field.strip() for field in rows[0])
    while names and not names[-1]:  # where each line ends with a separator
        names.pop()
    if len(set(names)) < len(names) or any(not name or (NUMBER.fullmatch(name) and "." in name) for name in names):
        return False
    counted = all(map(str.isdigit, names)) and all(int(one) < int(other) for one, other in pairwise(names))
    return counted or not NUMBER.fullmatch(first)


def matrix(rows: Sample, names: Sequence[str] | None, settings: DataSettings, file: str) -> Matrix:
    """Lay out a wide table by its first rows; `names` are those of its columns, if it has a header.

    The ids of the rows are in the column that the settings name, or else in the first one, unless that repeats values
    as ids do not. Columns without ratings are left out.

    Raises:
        BadRatings: the table has no column that is named, or fewer than two of ratings.
    """
    width = len(rows[0])
    header = names or [str(number + 1) for number in range(width)]
    role: Role = "item" if settings.item_column is not None else "user"
    wanted = settings.item_column or settings.user_column
    if wanted is not None and wanted not in header:
        raise BadRatings(
            f"{file} has no column {quoted(wanted)} among its columns ({listed(header)}); correct --{role}-column."
        )
    first = column(rows, 0)
    numbered = wanted is None and len(set(first)) < len(first)
    ids = None if numbered else header.index(wanted) if wanted is not None else 0
    others = [index for index in range(width) if index != ids]
    scale = _scale(rows, others[1:] if numbered else others)
    cells = {index: header[index] for index in others if _on(scale, rows, index)}
    if len(cells) < 2:
        raise BadRatings(f"{file} has no two columns of ratings; leave out --layout wide if it has a rating per line.")
    return Matrix(role, ids, cells, width)


def _scale(rows: Sample, indices: Iterable[int]) -> tuple[float, float]:
    """The lowest and the highest number of the columns that hold ratings."""
    numbers = [
        found
        for index in indices
        if holds_ratings(values := column(rows, index))
        for value in values
        if (found := number(value)) is not None
    ]
    return min(numbers, default=0.0), max(numbers, default=0.0)


def _on(scale: tuple[float, float], rows: Sample, index: int) -> bool:
    """Whether a column holds ratings of a scale, or nothing yet."""
    values = column(rows, index)
    numbers = [found for value in values if (found := number(value)) is not None]
    return not values or (bool(numbers) and scale[0] <= min(numbers) and max(numbers) <= scale[1])


def cells(records: Iterable[Record], layout: Matrix) -> Iterator[Cell | BadLine]:
    """The cells that are not blank, row by row, and the lines that are no rows."""
    for line, text, fields in records:
        if isinstance(fields, str):
            yield BadLine(line, fields, text)
        elif len(fields) != layout.width:
            yield BadLine(line, f"it has {count(len(fields), 'field')} instead of {layout.width}", text)
        else:
            row = str(line) if layout.ids is None else fields[layout.ids]
            for index, name in layout.cells.items():
                if value := fields[index].strip():
                    yield Cell(line, row, name, value)
