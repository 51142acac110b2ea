"""What stands above a table: Excel's "sep=" line, comments, notes, and the first lines of MatrixMarket and KONECT."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.data.columns import Role
from recsys.data.numerals import MEANT_AS_NUMBER
from recsys.data.settings import DataSettings
from recsys.data.tokenizer import MAX_RECORD_BYTES, Record
from recsys.errors import BadRatings
from recsys.text import quoted

BLANK = " "
"""The separator of columns with any number of blanks and tabs between them."""

KNOWN_COLUMNS = ("user", "item", "rating", "timestamp")
"""The columns of MatrixMarket, three of them, and of KONECT, which do not name them."""

MAX_NOTES = 20
"""Lines above a table of which each may be a note."""

SEPARATOR_LINE = re.compile(r'"?sep=(\\t|[ \t!-/:-@\[-`{-~])"?\s*', re.ASCII)
MATRIX_MARKET = re.compile(r"%%MatrixMarket\s+matrix\s+(\w+)\s+([\w-]+)\s+([\w-]+)\s*", re.IGNORECASE)
KONECT = re.compile(r"%\s*(?:sym|asym|bip)\s+(\w+)\s*")

Roles = Callable[[list[str]], dict[Role, int] | None]
"""The columns of each role, if some fields are known names of all columns that the table must have."""


@dataclass(frozen=True)
class Preamble:
    """The `lines` above a table, and what they say: its separator, its columns' names and how many rows there are.

    `comments` are numbers and texts of lines that are comments, or look like it.
    """

    lines: int = 0
    separator: str | None = None
    names: tuple[str, ...] | None = None
    rows: int | None = None
    comments: tuple[tuple[int, str], ...] = ()


def read_preamble(head: bytes, settings: DataSettings, file: str, required: Sequence[Role]) -> Preamble:
    """Read what stands above the table in a file that begins with `head`, but for notes that are not marked as such.

    Raises BadRatings if the file holds no ratings, or if there are no lines below those that the settings leave out.
    """
    if settings.skip_lines is not None:
        whole = head.count(b"\n")
        if settings.skip_lines > whole:
            raise BadRatings(
                f"{file} has {whole:,} whole lines in its first {len(head):,} bytes, and --skip-lines "
                f"{settings.skip_lines} leaves out all of them; leave out fewer."
            )
        return Preamble(settings.skip_lines)
    lines = head[:MAX_RECORD_BYTES].decode(errors="replace").split("\n")
    if found := SEPARATOR_LINE.fullmatch(lines[0]):
        return Preamble(1, separator="\t" if found[1] == r"\t" else found[1])
    if found := MATRIX_MARKET.fullmatch(lines[0]):
        return _matrix_market(lines, found, file, required)
    if found := KONECT.fullmatch(lines[0]):
        if found[1].lower() == "unweighted" and "rating" in required:
            raise BadRatings(f"{file} is an unweighted network of KONECT, without ratings; give one that is weighted.")
        return Preamble(_commented(lines), BLANK, KNOWN_COLUMNS)
    above = _commented(lines)
    return Preamble(above, comments=tuple((at, text) for at, text in enumerate(lines[:above], 1) if text.strip()))


def _matrix_market(lines: list[str], first: re.Match[str], file: str, required: Sequence[Role]) -> Preamble:
    layout, values, symmetry = (word.lower() for word in first.groups())
    what = None
    if layout != "coordinate":
        what = "a dense matrix, in which missing ratings cannot be told from others"
    elif values == "complex" or (values == "pattern" and "rating" in required):
        what = f"a {values} matrix, which holds no ratings"
    elif symmetry != "general":
        what = f"a {symmetry} matrix, of which only one half is written"
    if what:
        raise BadRatings(f"{file} is {what}; write it as a MatrixMarket matrix coordinate real general.")
    size = next((at for at, text in enumerate(lines) if text.strip() and not text.startswith("%")), len(lines) - 1)
    numbers = lines[size].split()
    if len(numbers) != 3 or not all(number.isdecimal() and len(number) < 19 for number in numbers):
        raise BadRatings(
            f"{file}, line {size + 1}: {quoted(lines[size])} is not the size of a matrix, which is rows, columns and "
            "entries in MatrixMarket; write the file again."
        )
    return Preamble(size + 1, BLANK, KNOWN_COLUMNS[:3], int(numbers[2]))


def _commented(lines: list[str]) -> int:
    """How many lines are above the first that is neither blank nor a comment, if there are comments, else 0."""
    mark = next((text.strip()[0] for text in lines if text.strip()), "")
    if mark not in ("#", "%"):
        return 0
    # Where every line begins like that, it is part of an id.
    return next((at for at, text in enumerate(lines) if text.strip() and text.strip()[0] != mark), 0)


def names_in_comment(preamble: Preamble, separator: str, roles: Roles) -> list[str] | None:
    """The columns' names, if the last comment consists of them."""
    if not preamble.comments:
        return None
    fields = _fields(preamble.comments[-1][1].strip().lstrip("#%"), separator)
    return fields if roles(fields) else None


def refuse_commented_row(preamble: Preamble, row: Sequence[str], separator: str, file: str) -> None:
    """Raise BadRatings if what was taken for a comment has numbers where the first `row` below has some."""
    for line, text in preamble.comments:
        fields = _fields(text, separator)
        marked = text.strip()[1:2].isspace()  # no id begins with a mark and a blank
        if len(fields) == len(row) and not marked and any(map(_are_numbers, fields, row)):
            raise BadRatings(
                f"{file}, line {line}: {quoted(text)} may be a comment or a row; say --skip-lines {preamble.lines} if "
                "it is a comment, or --skip-lines 0 if it is a row."
            )


def _fields(text: str, separator: str) -> list[str]:
    return [field.strip() for field in (text.split() if separator == BLANK else text.split(separator))]


def count_notes(rows: list[Record], width: int, header: str, separator: str, roles: Roles) -> int:
    """Return how many of the first records are notes above a table of `width` columns.

    Above a header, everything is that could not be a row: the header consists of known names or, if no record does, is
    the first of that many fields, none of which is a number. Above rows without a header, notes have a single field,
    and no number: anything else could be a row, or a header, with a mistake. A note is one line, as quoted lines may
    hold rows.

    Args:
        rows: the first records of the file.
        header: whether there is one, as in the settings.
    """
    fields = [found if isinstance(found, list) else [] for *_, found in rows]
    widths = [len(found) for found in fields]
    first = widths.index(width) if width in widths else 0
    of_one_line = next((at for at, (_, text, _) in enumerate(rows) if "\n" in text), len(rows))
    if first > min(of_one_line, MAX_NOTES) or 2 * widths[first:].count(width) <= len(rows) - first:
        return 0
    if header != "no":
        for at in range(min(MAX_NOTES, of_one_line, len(rows) - 1) + 1):
            if found := roles(fields[at]):
                if any(len(above) == width and _may_be_row(above, found) for above in fields[:at]):
                    break
                return at
        if not any(map(_is_number, fields[first])):
            return first
    alone = all(len(above) == 1 and not _is_number(above[0]) for above in fields[:first])
    return first if alone and separator != BLANK and width > 2 else 0


def _may_be_row(fields: list[str], roles: dict[Role, int]) -> bool:
    """Whether there is a number in the column of the ratings or, without one, in any."""
    rating = roles.get("rating")
    return any(map(_is_number, fields if rating is None else fields[rating : rating + 1]))


def _is_number(field: str) -> bool:
    return MEANT_AS_NUMBER.fullmatch(field.strip()) is not None


def _are_numbers(*fields: str) -> bool:
    return all(map(_is_number, fields))
