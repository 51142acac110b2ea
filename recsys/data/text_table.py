"""Reading lines of text: with Arrow where all lines are regular, exactly where not."""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.csv

from recsys.data.columns import Role
from recsys.data.dialect import Dialect, detect_dialect
from recsys.data.encodings import Text
from recsys.data.quoting import quotes_of, refuse_swallowed_rows
from recsys.data.settings import DataSettings
from recsys.data.table import BadRow, Batch, ExactBatch, LineCount, Table
from recsys.data.tokenizer import Block, blank_lines, blocks, records
from recsys.data.values import Fields
from recsys.data.wide import BadLine, Matrix, cells

logger = logging.getLogger(__name__)


def text_table(text: Text, settings: DataSettings, required: Sequence[Role], count: LineCount) -> Table:
    """Recognise the dialect and the columns of a text; its lines are counted as they are read.

    Raises BadRatings if this is no table with the columns `required`.
    """
    file = text.file
    dialect = detect_dialect(text.head, settings, file.name, required, text.encoding)
    if above := dialect.skipped_lines - dialect.header:
        logger.info("%s: %d lines above the table were left out", file.name, above)

    def batches() -> Iterator[Batch]:
        before = count.lines
        count.skipped += dialect.skipped_lines
        count.promised = dialect.rows
        rewritten = dialect.rewritten(count.counted(text.chunks()))
        quotes = quotes_of(dialect.separator, dialect.quoting)
        for block in blocks(
            rewritten, dialect.separator, file.name, skip=dialect.skipped_lines, first_line=before + 1, quotes=quotes
        ):
            if block.long and dialect.quoting == "auto":
                rating = dialect.roles.get("rating")
                refuse_swallowed_rows(block, dialect.separator, len(dialect.names), rating, file.name)
            if dialect.matrix:
                yield Batch(None, partial(read_cells, block, dialect, dialect.matrix, count), file.position())
                continue
            fields = read_quickly(block, dialect)
            if fields is not None:
                count.blocks[block.line] = block.lines, len(next(iter(fields.values())))
            yield Batch(fields, partial(read_exactly, block, dialect, count), file.position())

    columns = {role: dialect.names[index] for role, index in dialect.roles.items()}
    found_by, used = dialect.found_by, set(dialect.roles.values())
    if layout := dialect.matrix:
        columns, used = layout.described(dialect.names), layout.used
        found_by = dict.fromkeys(columns, "layout")
    ignored = [name for index, name in enumerate(dialect.names) if index not in used]
    return Table(columns, found_by, ignored, dialect.separator, dialect.header, "line", batches(), count)


def read_quickly(block: Block, dialect: Dialect) -> Fields | None:
    """The fields of a block whose lines are all regular; None if `read_exactly` has to decide."""
    data, separator = block.data, dialect.separator
    if not block.regular or b"\0" in data or b"\r" in data:
        return None
    if len(separator) > 1:  # Arrow splits at one character: use one that does not occur
        if b"\x1f" in data:
            return None
        data, separator = data.replace(separator.encode(), b"\x1f"), "\x1f"
    numbers = [str(number) for number in range(len(dialect.names))]
    wanted = {role: numbers[index] for role, index in dialect.roles.items()}
    texts = dict.fromkeys(numbers, pa.string())
    whole = pa.csv.ReadOptions(column_names=numbers, block_size=len(data) + 1)
    parse = pa.csv.ParseOptions(
        delimiter=separator, quote_char='"' if block.quoted else False, newlines_in_values=block.quoted
    )
    keep = pa.csv.ConvertOptions(include_columns=list(wanted.values()), column_types=texts)
    try:
        data.decode()  # Arrow checks only the columns that it keeps
        read = pa.csv.read_csv(pa.BufferReader(data), whole, parse, keep)
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    if read.num_rows != _count_rows(block, read.num_rows):
        return None
    return {role: read[number].combine_chunks() for role, number in wanted.items()}


def _count_rows(block: Block, expected: int) -> int:
    """The rows of a regular block by its line ends: those of lines that are not empty and not inside of quotes.

    Empty lines are looked for only if there are more lines than the `expected` rows.
    """
    inside = sum(block.data.count(b"\n", start, end) - 1 for start, end in block.long)
    if block.lines - inside == expected:
        return expected
    ends = np.frombuffer(block.data, np.uint8) == ord("\n")
    empty = np.flatnonzero(ends & np.append(True, ends[:-1]))
    if block.long:
        starts, afters = np.array(block.long).T
        empty = empty[np.searchsorted(starts, empty, "right") == np.searchsorted(afters, empty, "right")]
    return block.lines - inside - len(empty)


def read_exactly(block: Block, dialect: Dialect, count: LineCount, at_most: int | None = None) -> ExactBatch:
    """The fields of a block of which some lines may be bad; at most so many rows, good or bad."""
    # Strings in few long lists: a list or tuple for each row would keep the garbage collector busy.
    columns: dict[Role, list[str]] = {role: [] for role in dialect.roles}
    kept = [(columns[role].append, index) for role, index in dialect.roles.items()]
    width = len(dialect.names)
    lines: list[int] = []
    texts: list[str] = []
    bad_rows: list[BadRow] = []
    seen = 0
    for line, text, fields in islice(records(block, dialect.separator, dialect.encoding), at_most):
        seen += 1 + text.count("\n")
        if isinstance(fields, str):
            bad_rows.append(BadRow(line, fields, text))
        elif len(fields) != width:
            number = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            bad_rows.append(BadRow(line, f"it has {number} instead of {width}", text))
        else:
            lines.append(line)
            texts.append(text)
            for keep, index in kept:
                keep(fields[index])
    rows = len(lines) + len(bad_rows)
    if at_most is None or rows < at_most:
        count.blocks[block.line] = seen + blank_lines(block, dialect.separator), rows
    return ExactBatch({role: pa.array(column, pa.string()) for role, column in columns.items()}, lines, texts, bad_rows)


def read_cells(
    block: Block, dialect: Dialect, layout: Matrix, count: LineCount, at_most: int | None = None
) -> ExactBatch:
    """The cells of a block of a wide table as ratings, row by row; at most so many, good or bad."""
    fields: dict[Role, list[str]] = {"user": [], "item": [], "rating": []}
    lines: list[int] = []
    bad_rows: list[BadRow] = []
    other: Role = "item" if layout.rows == "user" else "user"
    seen = list(records(block, dialect.separator, dialect.encoding))
    for found in islice(cells(seen, layout), at_most):
        if isinstance(found, BadLine):
            bad_rows.append(BadRow(*found))
            continue
        lines.append(found.line)
        fields[layout.rows].append(found.row)
        fields[other].append(found.column)
        fields["rating"].append(found.text)
    texts = list(map(",".join, zip(*fields.values(), strict=True)))
    rows = len(lines) + len(bad_rows)
    if at_most is None or rows < at_most:
        of_records = sum(1 + text.count("\n") for _, text, _ in seen)
        count.blocks[block.line] = of_records + blank_lines(block, dialect.separator), rows
    return ExactBatch({role: pa.array(text, pa.string()) for role, text in fields.items()}, lines, texts, bad_rows)
