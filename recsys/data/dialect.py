"""How a text file is written: what is above its table, the separator of its fields, and whether it has a header."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recsys.data.columns import REQUIRED, FoundBy, Role, named_by, recognise
from recsys.data.formats import refuse_no_table
from recsys.data.layouts import BLOCK_COLUMNS, has_item_blocks, with_items, without_padding
from recsys.data.numerals import MEANT_AS_NUMBER
from recsys.data.positions import by_position, looks_wide
from recsys.data.preamble import BLANK, Preamble, count_notes, names_in_comment, read_preamble, refuse_commented_row
from recsys.data.quoting import quotes_of, refuse_rows_in_header
from recsys.data.settings import DataSettings, Quoting
from recsys.data.tokenizer import (
    MAX_RECORD_BYTES,
    Record,
    first_records,
    normalise_line_ends,
    without_lines,
)
from recsys.data.wide import Matrix, has_header_of_ids, matrix
from recsys.errors import BadRatings
from recsys.text import count, quoted

SAMPLED_ROWS = 5_000
"""First rows that tell which column holds what."""

# Where two fit equally well, the earlier one wins: it is the one that is rarer inside fields.
SEPARATORS = {"double-colon": "::", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "blank": BLANK}


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    `skipped_lines` counts those before the first row, blank ones included; `names` are those of the columns or, where
    neither a `header` nor the format names them, their numbers from "1"; `roles` has the index of each role's column,
    and `found_by` how it was found, unless `matrix` says how a wide table is laid out. `rows` is how many the file says
    that it has, if it does; `item_blocks` are explained at `rewritten`.
    """

    separator: str
    skipped_lines: int
    names: list[str]
    roles: dict[Role, int]
    found_by: dict[Role, FoundBy]
    matrix: Matrix | None = None
    header: bool = False
    quoting: Quoting = "auto"
    encoding: str = "UTF-8"
    item_blocks: bool = False
    rows: int | None = None

    def rewritten(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """The text of the file with one record per line and one separator between two fields, lines as they are."""
        if self.item_blocks:
            chunks = with_items(chunks, self.separator)
        return _one_separator(chunks, self.separator, self.quoting)


def _one_separator(chunks: Iterable[bytes], separator: str, quoting: Quoting) -> Iterable[bytes]:
    return without_padding(chunks, quoted=quoting != "none") if separator == BLANK else chunks


def detect_dialect(
    head: bytes, settings: DataSettings, file: str, required: Sequence[Role] = REQUIRED, encoding: str = "UTF-8"
) -> Dialect:
    """Detect what the settings leave open of the dialect of a file that begins with `head`, after its byte order mark.

    `head` is UTF-8, whatever the `encoding` of the file.

    Raises BadRatings if this is no text, or no table with the columns `required`.
    """
    head = normalise_line_ends(head)
    refuse_no_table(head, file)
    above = read_preamble(head, settings, file, required)
    head = without_lines(head, above.lines)[:MAX_RECORD_BYTES]
    item_blocks = has_item_blocks(head)
    separator = _separator(head, len(required) - (1 if item_blocks else 0), settings, above)
    detection = _Detection(settings, file, required, above, separator, item_blocks)
    rows = detection.first_rows(head, encoding)
    wide = detection.looks_wide(rows)
    columns = detection.columns(rows, wide)
    found, layout = detection.roles(columns, wide)
    line, text, _ = columns.rows[0]
    return Dialect(
        separator=separator,
        skipped_lines=line + text.count("\n") if columns.written else line - 1,
        names=columns.names,
        roles={role: index for role, (index, _) in found.items()},
        found_by={role: how for role, (_, how) in found.items()},
        matrix=layout,
        header=columns.written,
        quoting=settings.quoting,
        encoding=encoding,
        item_blocks=item_blocks,
        rows=above.rows,
    )


@dataclass(frozen=True)
class _Columns:
    """The names of the columns, whether they are `written` in the first of the `rows`, or `known` otherwise."""

    rows: list[Record]
    names: list[str]
    written: bool
    known: bool

    @property
    def sample(self) -> list[list[str]]:
        """The fields of the rows below the header that have as many as most have."""
        return _of_most_fields(self.rows[1:] if self.written else self.rows)


@dataclass(frozen=True)
class _Detection:
    """What is known of a file before its columns are, and how they are found."""

    settings: DataSettings
    file: str
    required: Sequence[Role]
    above: Preamble
    separator: str
    item_blocks: bool

    def first_rows(self, head: bytes, encoding: str) -> list[Record]:
        """The first records below what is above the table."""
        if self.item_blocks:
            head = b"".join(with_items([head], self.separator))
        head = b"".join(_one_separator([head], self.separator, self.settings.quoting))
        quotes, line = quotes_of(self.separator, self.settings.quoting), self.above.lines + 1
        rows = first_records(head, self.separator, SAMPLED_ROWS, line=line, quotes=quotes, encoding=encoding)
        if not rows or not head.strip():
            raise BadRatings(f"{self.file} holds only blank lines; give a file with one rating per line.")
        return rows

    @property
    def _names_of_format(self) -> Sequence[str] | None:
        return BLOCK_COLUMNS if self.item_blocks else self.above.names

    def looks_wide(self, rows: list[Record]) -> bool:
        """Whether the table is to be read as one of users by items, or looks like one and no columns are named."""
        if self._names_of_format is not None:
            return False
        if self.settings.layout == "auto":
            named = self.settings.item_column and self.settings.user_column
            return not named and looks_wide(_of_most_fields(rows)[1:])
        return self.settings.layout == "wide"

    def columns(self, rows: list[Record], wide: bool) -> _Columns:
        """The columns of the table, below notes and a header."""
        known, written, asked = self._names_of_format, False, self.settings.header
        if known is None:
            sample, width = _of_most_fields(rows), _common_width(rows, len(self.required))
            rows = rows[count_notes(rows, width, asked, self.separator, self._named) :]
            ids_above = wide and asked == "auto" and bool(sample) and has_header_of_ids(sample)
            written = ids_above or _has_header(rows[0], asked, self.file)
        _, text, first = rows[0]
        if known is None and not written and isinstance(first, list):
            commented = names_in_comment(self.above, self.separator, self._named) if asked == "auto" else None
            known = commented if commented and len(commented) == len(first) else None
            if known is None:
                refuse_commented_row(self.above, first, self.separator, self.file)
        if self.settings.quoting == "auto" and "\n" in text and isinstance(first, list):
            refuse_rows_in_header(rows[0][0], text, self.separator, len(first), self.file)
        width = len(first) if written else _common_width(rows)
        if width < len(self.required):
            raise _too_few_columns(width, text, self.settings.separator, self.file, self.required)
        names = [field.strip() for field in first] if written else [str(number + 1) for number in range(width)]
        names[: len(known or ())] = list(known or ())[:width]
        return _Columns(rows, names, written, known is not None)

    def _named(self, fields: list[str]) -> dict[Role, int] | None:
        """The roles of columns with known names; None if there are not all that are required."""
        names = [field.strip() for field in fields]
        try:
            return recognise(names, self.settings, self.file, header=True, required=self.required)
        except BadRatings:
            return None

    def roles(self, columns: _Columns, wide: bool) -> tuple[dict[Role, tuple[int, FoundBy]], Matrix | None]:
        """The index of each role's column and how it was found or, of a table of users by items, its layout."""
        names, sample, text = columns.names, columns.sample, columns.rows[0][1]
        if self.settings.layout == "wide":
            if not sample:
                found = "a header but no ratings" if columns.written else "no ratings"
                raise BadRatings(f"{self.file} holds {found}; give a line for each user.")
            if len(sample[0]) != len(names):
                raise BadRatings(
                    f"{self.file} has {count(len(names), 'column')} in its header and {len(sample[0])} in most of its "
                    "lines; name each column in the header, also that of the ids."
                )
            return {}, matrix(sample, names, self.settings, self.file)
        header = columns.written or columns.known
        blank = {index for index in range(len(names)) if not header and _is_blank(columns.rows, index)}
        advice = ", or say --header no if its first line is a rating already" if columns.written else ""
        try:
            roles = recognise(
                names, self.settings, self.file, header=header, advice=advice, blank=blank, required=self.required
            )
        except BadRatings as error:
            raise (_looks_wide(sample, text, self.file) if wide else error) from None
        if wide and not header:
            raise _looks_wide(sample, text, self.file)
        if not header:
            return by_position(roles, sample, self.settings, self.file, text), None
        how = named_by(roles, self.settings)
        return {role: (index, how[role]) for role, index in roles.items()}, None


def _of_most_fields(rows: list[Record]) -> list[list[str]]:
    """The fields of those rows that have as many as most have."""
    width = _common_width(rows)
    return [fields for *_, fields in rows if isinstance(fields, list) and len(fields) == width]


def _looks_wide(sample: list[list[str]], first: str, file: str) -> BadRatings:
    cells = {value.strip() for row in sample for value in row[1:]}
    blank = "" if "" in cells else ", and --not-rated with the number that stands for no rating if there is one"
    return BadRatings(
        f"{file} looks like a table of users by items, with {len(sample[0])} columns of numbers of one scale "
        f"({quoted(first, 80)} is its first line): read it with --layout wide{blank}, or say --layout list and name "
        "the columns with --user-column, --item-column and --rating-column if it has one rating per line."
    )


def _has_header(first: Record, asked: str, file: str) -> bool:
    """Whether the first record is a header; raises BadRatings if it cannot be read and may be one."""
    line, _, fields = first
    if isinstance(fields, list):
        return (
            not any(MEANT_AS_NUMBER.fullmatch(field.strip()) for field in fields) if asked == "auto" else asked == "yes"
        )
    if asked != "no":
        raise BadRatings(f"{file}, line {line}: {fields}; correct the line, or say --header no if it is a rating.")
    return False


def _too_few_columns(width: int, first: str, asked: str, file: str, required: Sequence[Role]) -> BadRatings:
    """The error for a table whose first line is `first`, with the separator `asked` for."""
    columns = "only one column" if width == 1 else "only two columns"
    what = "ratings need user, item and rating" if "rating" in required else "pairs need user and item"
    if asked == "auto":
        advice = (
            "with commas, tabs, semicolons, pipes, double colons or blanks between them: write it so, or leave out "
            "lines above the table with --skip-lines"
        )
        return BadRatings(f"{file} has {columns}, {quoted(first)} is its first line; {what}, {advice}.")
    return BadRatings(
        f"{file} has {columns} with --separator {asked}, {quoted(first)} is its first line; {what}: name another "
        "separator, or leave --separator out to have it recognised."
    )


def _is_blank(rows: list[Record], index: int) -> bool:
    """Whether a column is empty, as every other one is where two separators are between two fields."""
    return not any(isinstance(fields, list) and len(fields) > index and fields[index].strip() for _, _, fields in rows)


def _common_width(rows: list[Record], at_least: int = 1) -> int:
    """The number of fields that most records have, of those with so many fields at least if there are any."""
    widths = Counter(len(fields) for *_, fields in rows if isinstance(fields, list))
    return max(widths, key=lambda width: (width >= at_least, widths[width]), default=1)


def _separator(head: bytes, columns: int, settings: DataSettings, above: Preamble) -> str:
    """The separator that is given, or the one for which most lines have the same number of fields, at least so many.

    `head` begins below what is above the table.
    """
    if settings.separator != "auto":
        return SEPARATORS[settings.separator]
    if above.separator is not None:
        return above.separator

    def fit(separator: str) -> tuple[bool, int, int]:
        text = b"".join(_one_separator([head], separator, settings.quoting))
        rows = first_records(text, separator, quotes=quotes_of(separator, settings.quoting))
        widths = Counter(len(fields) for *_, fields in rows if isinstance(fields, list))
        width, lines = max(widths.items(), key=lambda item: (item[0] >= columns, item[0] > 1, item[1]), default=(0, 0))
        return width >= columns, lines if width > 1 else 0, width

    best = max((separator for separator in SEPARATORS.values() if separator != BLANK), key=fit)
    # Blanks occur inside fields, too: they are the separator only where nothing else is.
    return BLANK if not fit(best)[0] and fit(BLANK)[0] else best
