"""Reading a ratings file of any format in batches of text fields."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recsys.data.columns import REQUIRED, ROLES, Role, named_by, recognise
from recsys.data.dialect import SEPARATORS
from recsys.data.encodings import open_text
from recsys.data.json_lines import is_json_lines, json_table
from recsys.data.opening import RatingsFile, open_ratings, refuse_zip_bomb
from recsys.data.settings import DataSettings
from recsys.data.table import Batch, ExactBatch, LineCount, Table
from recsys.data.text_table import text_table
from recsys.data.values import Fields
from recsys.errors import BadRatings
from recsys.text import listed

BATCH_ROWS = 2**17
"""Rows of a parquet file that are read at a time."""


def open_table(file: RatingsFile, settings: DataSettings, required: Sequence[Role] = REQUIRED) -> Table:
    """Recognise the dialect and the columns of a file; its rows are read as `batches` is iterated over.

    Raises BadRatings if this is no table with the columns `required`, or (while reading) if it is damaged.
    """
    if file.parts:
        return _table_of_parts(file, settings, required)
    return _table_of_file(file, settings, required, LineCount())


def _table_of_file(file: RatingsFile, settings: DataSettings, required: Sequence[Role], count: LineCount) -> Table:
    if file.compression == "parquet":
        return _parquet_table(file, settings, required, count)
    text = open_text(file, settings.encoding)
    read = json_table if is_json_lines(text.head, settings, file.name) else text_table
    return read(text, settings, required, count)


def _table_of_parts(file: RatingsFile, settings: DataSettings, required: Sequence[Role]) -> Table:
    """The parts of a folder one after the other; each has to be written like the first."""
    count = LineCount()
    with _open_part(file, 0) as part:
        first = _table_of_file(part, settings, required, LineCount())
    separator = next((name for name, text in SEPARATORS.items() if text == first.separator), settings.separator)
    alike = settings.model_copy(update={"separator": separator, "header": "yes" if first.header else "no"})

    def batches() -> Iterator[Batch]:
        before = 0
        for number in range(len(file.parts)):
            with _open_part(file, number) as part:
                table = _table_of_file(part, alike, required, count)
                if _layout(table) != _layout(first):
                    raise BadRatings(
                        f"{part.name} is not written as the first part of {file.name} is, with the columns "
                        f"{listed(first.columns.values())}; give a folder of one table."
                    )
                for batch in table.batches:
                    yield Batch(batch.fields, batch.read_exactly, before + batch.bytes_read)
                before += part.size

    return replace(first, batches=batches(), count=count)


@contextmanager
def _open_part(file: RatingsFile, number: int) -> Iterator[RatingsFile]:
    with open_ratings(file.parts[number]) as part:
        yield replace(part, name=f"{file.name}/{part.name}")


def _layout(table: Table) -> tuple[str, str | None, dict[Role, str], list[str]]:
    """What has to be the same in all parts; values with names of their own may have others beside them."""
    return table.unit, table.separator, table.columns, [] if table.separator is None else table.ignored


def _parquet_table(file: RatingsFile, settings: DataSettings, required: Sequence[Role], count: LineCount) -> Table:
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
        before = count.lines
        count.lines += parquet.metadata.num_rows
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
            first, rows = before + rows + 1, rows + batch.num_rows
            count.blocks[first] = batch.num_rows, batch.num_rows
            yield Batch(fields, partial(_numbered, fields, first), file.size * rows // parquet.metadata.num_rows)

    ignored = [name for name in names if name not in wanted.values()]
    return Table(wanted, named_by(roles, settings), ignored, None, True, "row", batches(), count)


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
    return any(test(kind) for test in (*numbers, *texts, types.is_timestamp, types.is_date, types.is_null))


def _as_text(column: pa.Array) -> pa.StringArray:
    """The values as a text file would hold them; a missing one, and NaN, as an empty text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # as `convert` reads it fastest
    return pc.fill_null(column.cast(pa.string()), "")
