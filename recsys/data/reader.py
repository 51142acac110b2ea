"""Reading a ratings file a block at a time, as text: quickly where all is well, exactly where it is not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from recsys.data.columns import ROLES, Role, recognise
from recsys.data.dialect import BYTE_ORDER_MARK, Layout, Source, chunks, layout, refuse_bomb
from recsys.data.tokenizer import Block, blocks, quotes, records
from recsys.data.values import Fields
from recsys.errors import BadRatings, BadRow
from recsys.settings import DataSettings
from recsys.text import listed

BATCH_ROWS = 2**17
"""Rows of a parquet file that are read at a time."""


@dataclass(frozen=True)
class Placed:
    """Rows of which it is known where they stand.

    Attributes:
        fields: text of the rows that could be cut into fields.
        lines: line of each of them (of a parquet file, its row).
        texts: whole text of each of them.
        broken: the rows that could not.
    """

    fields: Fields
    lines: Sequence[int]
    texts: Sequence[str]
    broken: list[BadRow]


@dataclass(frozen=True)
class Piece:
    """Consecutive rows.

    Attributes:
        fields: their text, or None if they have to be read exactly.
        placed: reads the rows exactly, at most as many as it is told (None for all).
        done: bytes of the file that have been read when these rows are.
    """

    fields: Fields | None
    placed: Callable[[int | None], Placed]
    done: int


@dataclass(frozen=True)
class Table:
    """A ratings file, ready to be read.

    Attributes:
        names: its columns, in the file's order.
        roles: index of each role's column.
        separator: what stands between two fields, None for parquet.
        header: whether the columns' names are written in the file.
        unit: what its rows are called, "line" or "row".
        pieces: the rows.
    """

    names: list[str]
    roles: dict[Role, int]
    separator: str | None
    header: bool
    unit: str
    pieces: Iterator[Piece]


def table(source: Source, settings: DataSettings) -> Table:
    """Recognise the layout and the columns of `source`; its rows are read as `pieces` is iterated over.

    Raises:
        BadRatings: this is no table of ratings, or (while reading) it is damaged.
    """
    return _parquet_table(source, settings) if source.packing == "parquet" else _text_table(source, settings)


def _text_table(source: Source, settings: DataSettings) -> Table:
    stream = chunks(source)
    head = next(stream, b"").removeprefix(BYTE_ORDER_MARK)
    if not head:
        raise BadRatings(f"{source.name} is empty; give a file with one rating per line.")
    shape = layout(head, settings, source.name)

    def pieces() -> Iterator[Piece]:
        for block in blocks(chain([head], stream), shape.separator, source.name, skip=shape.header_lines):
            yield Piece(read_quickly(block, shape), partial(read_exactly, block, shape), source.position())

    return Table(shape.names, shape.roles, shape.separator, shape.header_lines > 0, "line", pieces())


def read_quickly(block: Block, shape: Layout) -> Fields | None:
    """The fields of a block in which every line is in order; None leaves the judgement to `read_exactly`."""
    data, separator = block.data, shape.separator
    quoted = quotes(data, separator)
    if not block.regular or b"\0" in data or b"\r" in data:
        return None
    if len(separator) > 1:  # Arrow separates at one character: use one that nobody writes
        if b"\x1f" in data:
            return None
        data, separator = data.replace(separator.encode(), b"\x1f"), "\x1f"
    numbers = [str(number) for number in range(len(shape.names))]
    wanted = {role: numbers[index] for role, index in shape.roles.items()}
    try:
        data.decode()  # Arrow looks at the columns that it keeps only
        read = pa.csv.read_csv(
            pa.BufferReader(data),
            read_options=pa.csv.ReadOptions(column_names=numbers, block_size=len(data) + 1),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(wanted.values()), column_types=dict.fromkeys(numbers, pa.string())
            ),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    return {role: read[number].combine_chunks() for role, number in wanted.items()}


def read_exactly(block: Block, shape: Layout, most: int | None = None) -> Placed:
    """The fields of a block in which some lines may be broken; at most `most` rows, good or bad."""
    # Strings in few long lists: a list or tuple for each row would keep the garbage collector busy.
    columns: dict[Role, list[str]] = {role: [] for role in shape.roles}
    kept = [(columns[role].append, index) for role, index in shape.roles.items()]
    width = len(shape.names)
    lines: list[int] = []
    texts: list[str] = []
    broken: list[BadRow] = []
    for line, text, fields in islice(records(block, shape.separator), most):
        if isinstance(fields, str):
            broken.append(BadRow(line, fields, text))
        elif len(fields) != width:
            count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            broken.append(BadRow(line, f"it has {count} instead of {width}", text))
        else:
            lines.append(line)
            texts.append(text)
            for keep, index in kept:
                keep(fields[index])
    return Placed({role: pa.array(column, pa.string()) for role, column in columns.items()}, lines, texts, broken)


def _parquet_table(source: Source, settings: DataSettings) -> Table:
    damaged = BadRatings(f"{source.name} is a damaged or cut parquet file; write or download it again.")
    try:
        file = pa.parquet.ParquetFile(source.stream, buffer_size=2**20, page_checksum_verification=True)
        names = list(file.schema_arrow.names)
        unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise damaged from None
    values = file.metadata.num_rows * file.metadata.num_columns  # which run-length encoding keeps in no bytes at all
    refuse_bomb(source, max(unpacked, values))
    roles = recognise(names, settings, source.name, header=True)
    for role, index in roles.items():
        kind = file.schema_arrow.field(index).type
        if not _readable(kind):
            raise BadRatings(
                f"{source.name}: column {listed([names[index]])} holds {kind} values, "
                f"which are no {role}; write it as numbers or text."
            )
    wanted = {role: names[index] for role, index in roles.items()}

    def pieces() -> Iterator[Piece]:
        batches = file.iter_batches(BATCH_ROWS, columns=list(wanted.values()))
        rows = 0
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                batch.validate(full=True)
                fields = {role: _as_text(batch.column(name)) for role, name in wanted.items()}
            except (pa.ArrowException, OSError):
                raise damaged from None
            first, rows = rows + 1, rows + batch.num_rows
            yield Piece(fields, partial(_numbered, fields, first), source.size * rows // file.metadata.num_rows)

    return Table(names, roles, None, True, "row", pieces())


def _numbered(fields: Fields, first: int, most: int | None) -> Placed:
    fields = {role: column[:most] for role, column in fields.items()}
    rows = zip(*(fields[role].to_pylist() for role in ROLES if role in fields), strict=True)
    texts = [",".join(values) for values in rows]
    return Placed(fields, range(first, first + len(texts)), texts, [])


def _readable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    accepted = (types.is_integer, types.is_floating, types.is_decimal, types.is_string, types.is_large_string)
    return any(test(kind) for test in (*accepted, types.is_string_view, types.is_timestamp, types.is_date))


def _as_text(column: pa.Array) -> pa.StringArray:
    """The values as a text file would hold them; a missing one, and NaN, as no text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # as `convert` reads it fastest
    return pc.fill_null(column.cast(pa.string()), "")
