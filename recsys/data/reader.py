"""Reading a ratings file in batches of text fields: with Arrow where all lines are regular, exactly where not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from recsys.data.columns import REQUIRED, ROLES, FoundBy, Role, named_by, recognise
from recsys.data.dialect import BYTE_ORDER_MARK, Dialect, RatingsFile, chunks, detect_dialect, refuse_zip_bomb
from recsys.data.tokenizer import Block, blocks, may_be_quoted, records
from recsys.data.values import Fields
from recsys.data.wide import BadLine, Matrix, cells
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from recsys.text import listed

BATCH_ROWS = 2**17
"""Rows of a parquet file that are read at a time."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its line in the file (its row in a parquet file), what is wrong, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class ExactBatch:
    """Fields, lines and whole texts of the rows that could be split into fields, and those that could not."""

    fields: Fields
    lines: Sequence[int]
    texts: Sequence[str]
    bad_rows: list[BadRow]


@dataclass(frozen=True)
class Batch:
    """Consecutive rows: the text of their fields, or None if they have to be read exactly.

    `read_exactly` reads at most so many of them (None for all); `bytes_read` counts the file's bytes up to their end.
    """

    fields: Fields | None
    read_exactly: Callable[[int | None], ExactBatch]
    bytes_read: int


@dataclass(frozen=True)
class Table:
    """A ratings file whose columns are known.

    `columns` has the name of each role's column, its number from "1" without a header, `found_by` how it was found, and
    `ignored` the names of the others. `separator` is None for parquet, `header` says whether the columns' names are
    written in the file, and `unit` what its rows are called, "line" or "row".
    """

    columns: dict[Role, str]
    found_by: dict[Role, FoundBy]
    ignored: list[str]
    separator: str | None
    header: bool
    unit: str
    batches: Iterator[Batch]


def open_table(file: RatingsFile, settings: DataSettings, required: Sequence[Role] = REQUIRED) -> Table:
    """Recognise the dialect and the columns of a file; its rows are read as `batches` is iterated over.

    Raises BadRatings if this is no table with the columns `required`, or (while reading) if it is damaged.
    """
    read = _parquet_table if file.compression == "parquet" else _text_table
    return read(file, settings, required)


def _text_table(file: RatingsFile, settings: DataSettings, required: Sequence[Role]) -> Table:
    stream = chunks(file)
    head = next(stream, b"").removeprefix(BYTE_ORDER_MARK)
    if not head:
        raise BadRatings(f"{file.name} is empty; give a file with one rating per line.")
    dialect = detect_dialect(head, settings, file.name, required)

    def batches() -> Iterator[Batch]:
        for block in blocks(chain([head], stream), dialect.separator, file.name, skip=dialect.header_lines):
            if layout := dialect.matrix:
                yield Batch(None, partial(read_cells, block, dialect.separator, layout), file.position())
            else:
                yield Batch(read_quickly(block, dialect), partial(read_exactly, block, dialect), file.position())

    columns = {role: dialect.names[index] for role, index in dialect.roles.items()}
    found_by, used = dialect.found_by, set(dialect.roles.values())
    if layout := dialect.matrix:
        columns, used = layout.described(dialect.names), layout.used
        found_by = dict.fromkeys(columns, "layout")
    ignored = [name for index, name in enumerate(dialect.names) if index not in used]
    return Table(columns, found_by, ignored, dialect.separator, dialect.header_lines > 0, "line", batches())


def read_cells(block: Block, separator: str, layout: Matrix, at_most: int | None = None) -> ExactBatch:
    """The cells of a block of a wide table as ratings, row by row; at most so many, good or bad."""
    fields: dict[Role, list[str]] = {"user": [], "item": [], "rating": []}
    lines: list[int] = []
    bad_rows: list[BadRow] = []
    other: Role = "item" if layout.rows == "user" else "user"
    for found in islice(cells(records(block, separator), layout), at_most):
        if isinstance(found, BadLine):
            bad_rows.append(BadRow(*found))
            continue
        lines.append(found.line)
        fields[layout.rows].append(found.row)
        fields[other].append(found.column)
        fields["rating"].append(found.text)
    texts = list(map(",".join, zip(*fields.values(), strict=True)))
    return ExactBatch({role: pa.array(text, pa.string()) for role, text in fields.items()}, lines, texts, bad_rows)


def read_quickly(block: Block, dialect: Dialect) -> Fields | None:
    """The fields of a block whose lines are all regular; None if `read_exactly` has to decide."""
    data, separator = block.data, dialect.separator
    quoted = may_be_quoted(data, separator)
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
    parse = pa.csv.ParseOptions(delimiter=separator, quote_char='"' if quoted else False, newlines_in_values=quoted)
    keep = pa.csv.ConvertOptions(include_columns=list(wanted.values()), column_types=texts)
    try:
        data.decode()  # Arrow checks only the columns that it keeps
        read = pa.csv.read_csv(pa.BufferReader(data), whole, parse, keep)
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    return {role: read[number].combine_chunks() for role, number in wanted.items()}


def read_exactly(block: Block, dialect: Dialect, at_most: int | None = None) -> ExactBatch:
    """The fields of a block of which some lines may be bad; at most so many rows, good or bad."""
    # Strings in few long lists: a list or tuple for each row would keep the garbage collector busy.
    columns: dict[Role, list[str]] = {role: [] for role in dialect.roles}
    kept = [(columns[role].append, index) for role, index in dialect.roles.items()]
    width = len(dialect.names)
    lines: list[int] = []
    texts: list[str] = []
    bad_rows: list[BadRow] = []
    for line, text, fields in islice(records(block, dialect.separator), at_most):
        if isinstance(fields, str):
            bad_rows.append(BadRow(line, fields, text))
        elif len(fields) != width:
            count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            bad_rows.append(BadRow(line, f"it has {count} instead of {width}", text))
        else:
            lines.append(line)
            texts.append(text)
            for keep, index in kept:
                keep(fields[index])
    return ExactBatch({role: pa.array(column, pa.string()) for role, column in columns.items()}, lines, texts, bad_rows)


def _parquet_table(file: RatingsFile, settings: DataSettings, required: Sequence[Role]) -> Table:
    damaged = BadRatings(f"{file.name} is a damaged or cut parquet file; write or download it again.")
    try:
        parquet = pa.parquet.ParquetFile(file.stream, buffer_size=2**20, page_checksum_verification=True)
        names = list(parquet.schema_arrow.names)
        unpacked = sum(parquet.metadata.row_group(group).total_byte_size for group in range(parquet.num_row_groups))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise damaged from None
    # Values count, too: run-length encoding may keep them in no bytes at all.
    refuse_zip_bomb(file, max(unpacked, parquet.metadata.num_rows * parquet.metadata.num_columns))
    roles = recognise(names, settings, file.name, header=True, required=required)
    for role, index in roles.items():
        kind = parquet.schema_arrow.field(index).type
        if not _readable(kind):
            raise BadRatings(
                f"{file.name}: column {listed([names[index]])} holds {kind} values, "
                f"which are no {role}; write it as numbers or text."
            )
    wanted = {role: names[index] for role, index in roles.items()}

    def batches() -> Iterator[Batch]:
        record_batches = parquet.iter_batches(BATCH_ROWS, columns=list(wanted.values()))
        rows = 0
        while True:
            try:
                batch = next(record_batches, None)
                if batch is None:
                    return
                batch.validate(full=True)
                fields = {role: _as_text(batch.column(name)) for role, name in wanted.items()}
            except (pa.ArrowException, OSError):
                raise damaged from None
            first, rows = rows + 1, rows + batch.num_rows
            yield Batch(fields, partial(_numbered, fields, first), file.size * rows // parquet.metadata.num_rows)

    ignored = [name for index, name in enumerate(names) if index not in roles.values()]
    return Table(wanted, named_by(roles, settings), ignored, None, True, "row", batches())


def _numbered(fields: Fields, first: int, at_most: int | None) -> ExactBatch:
    fields = {role: column[:at_most] for role, column in fields.items()}
    rows = zip(*(fields[role].to_pylist() for role in ROLES if role in fields), strict=True)
    texts = [",".join(values) for values in rows]
    return ExactBatch(fields, range(first, first + len(texts)), texts, [])


def _readable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(kind) for test in (*numbers, *texts, types.is_timestamp, types.is_date))


def _as_text(column: pa.Array) -> pa.StringArray:
    """The values as a text file would hold them; a missing one, and NaN, as an empty text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # as `convert` reads it fastest
    return pc.fill_null(column.cast(pa.string()), "")
