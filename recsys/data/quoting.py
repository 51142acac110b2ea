"""Whether the quotes in a file enclose fields, or are characters like any other.

Most tab separated files are written without quoting. A field that begins with a quote, and a later one that ends with
one, would then pass for a single field over many lines, and all rows between them would be lost.
"""

import re

import numpy as np

from recsys.data.columns import REQUIRED
from recsys.data.numerals import MEANT_AS_NUMBER
from recsys.data.settings import Quoting
from recsys.data.tokenizer import Block, Quotes, always, one_line_record
from recsys.errors import BadRatings
from recsys.text import quoted

MAX_FIELD_LINES = 500
"""Reviews are shorter."""


def quotes_of(separator: str, quoting: Quoting) -> Quotes:
    """Return what tells whether quotes enclose fields: as the settings say or, in a tab separated file, as it shows."""
    if quoting == "auto" and separator == "\t":
        return _QuotesBetweenTabs()
    return never if quoting == "none" else always


def never(_: bytes) -> bool:
    """Quotes enclose no fields."""
    return False


class _QuotesBetweenTabs:
    """Decides at the first bytes in which a field begins with a quote; before them, both readings are the same."""

    def __init__(self) -> None:
        self._decided: bool | None = None

    def __call__(self, data: bytes) -> bool:
        whole = data[: data.rfind(b"\n") + 1]
        if self._decided is None and _field_begins_with_quote(whole, "\t"):
            self._decided = not is_unquoted(whole, "\t")
        return bool(self._decided)


def _field_begins_with_quote(data: bytes, separator: str) -> bool:
    before = re.escape(separator.encode())
    return b'"' in data and re.search(rb'(?:^|%b)"' % before, data, re.MULTILINE) is not None


def is_unquoted(data: bytes, separator: str) -> bool:
    """Whether whole lines were evidently written without quoting.

    They were if a quote is opened and not closed on its line, all lines have the same number of separators none the
    less, and nothing shows a writer that quotes: neither doubled quotes nor quotes on every other line.
    """
    lines = [line for line in data.decode(errors="surrogateescape").split("\n") if line.strip()]
    if len({line.count(separator) for line in lines}) != 1 or separator not in lines[0]:
        return False
    well_formed = one_line_record(separator)
    enclosed = unclosed = 0
    for number, line in enumerate(lines, 1):
        if '"' not in line:
            continue
        if not well_formed.fullmatch(line):
            unclosed += number < len(lines)  # the last one may go on after these bytes
        elif _field_begins_with_quote(line.encode(errors="surrogateescape"), separator):
            enclosed += 1
            if '""' in line:
                return False
    return unclosed > 0 and 2 * enclosed < len(lines)


def refuse_swallowed_rows(block: Block, separator: str, width: int, number: int | None, file: str) -> None:
    """Check that no quoted field of a block holds rows of the table, which has `width` columns.

    `number` is the index of a column that holds numbers, None if no column has to.

    Raises:
        BadRatings: a record has more lines than `MAX_FIELD_LINES`; half of its lines or more, two at least, look like
            rows of the table; or all of them look like rows of another one.
    """
    for start, end in _long_or_like_rows(block, separator, width):
        text = block.data[start : end - 1].decode(errors="surrogateescape")
        if what := _too_long(text, separator, width, number):
            raise _suspicious(block.line + block.data.count(b"\n", 0, start), text, separator, what, file)


def _long_or_like_rows(block: Block, separator: str, width: int) -> list[tuple[int, int]]:
    """Start and end of the records of which half of the lines or more have as many separators as a row.

    Those of more than `MAX_FIELD_LINES`, and those whose lines have all the same number of separators, are among them.
    """
    characters = np.frombuffer(block.data, np.uint8)
    line_ends = np.flatnonzero(characters == ord("\n"))
    separators = np.diff(np.searchsorted(np.flatnonzero(characters == ord(separator)), line_ends), prepend=0)
    alike = np.append(0, np.cumsum(separators == width - 1))
    changed = np.append(0, np.cumsum(np.diff(separators) != 0))
    first, after = np.searchsorted(line_ends, np.array(block.long).T)
    suspicious = (2 * (alike[after] - alike[first]) >= after - first) | (after - first > MAX_FIELD_LINES)
    suspicious |= changed[after - 1] == changed[first]
    return [block.long[at] for at in np.flatnonzero(suspicious)]


def refuse_rows_in_header(line: int, text: str, separator: str, width: int, file: str) -> None:
    """The same for a header, which begins on a line of the file."""
    if what := _too_long(text, separator, width, None):
        raise _suspicious(line, text, separator, what, file)


def _too_long(text: str, separator: str, width: int, number: int | None) -> str | None:
    """Over how many lines a record runs that may be several, and whether they look like rows."""
    lines = text.split("\n")
    # One line may look like a row in any record: the first or the last, where the field is the last or the first.
    rows = sum(_like_a_row(line, separator, width, number) for line in lines)
    if (rows > 1 and 2 * rows >= len(lines)) or _have_a_column_of_numbers(lines, separator):
        return f"{len(lines):,} lines, which look like rows"
    return f"{len(lines):,} lines" if len(lines) > MAX_FIELD_LINES else None


def _have_a_column_of_numbers(lines: list[str], separator: str) -> bool:
    """Whether lines are a table of ratings of their own: of as many columns, three at least, one of them of numbers."""
    rows = [[field.strip().strip('"') for field in line.split(separator)] for line in lines]
    return (
        len(rows[0]) >= len(REQUIRED)
        and len({len(row) for row in rows}) == 1
        and any(all(MEANT_AS_NUMBER.fullmatch(field) for field in column) for column in zip(*rows, strict=True))
    )


def _suspicious(line: int, text: str, separator: str, what: str, file: str) -> BadRatings:
    first = text.partition("\n")[0]
    begins = re.search(f'(?:^|{re.escape(separator)})("[^"]*)$', first)
    return BadRatings(
        f"{file}, line {line}: the quoted field that begins with {quoted(begins[1] if begins else first)} runs over "
        f"{what}; say --quoting none if quotes are ordinary characters in this file, or --quoting standard if the "
        "field is meant."
    )


def _like_a_row(line: str, separator: str, width: int, number: int | None) -> bool:
    if line.count(separator) != width - 1:
        return False
    if number is None:
        return width > 1 or " " not in line
    first, field = (line.split(separator)[at].strip().strip('"') for at in (0, number))
    return MEANT_AS_NUMBER.fullmatch(field) is not None or (not field and bool(first))
