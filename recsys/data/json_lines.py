"""Reading JSON lines, one object with the values of a rating on each line: with Arrow, or exactly where not all fit."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from recsys.data.columns import Role, named_by, recognise
from recsys.data.encodings import Text
from recsys.data.quoting import never
from recsys.data.settings import DataSettings
from recsys.data.table import BadRow, Batch, ExactBatch, LineCount, Table
from recsys.data.tokenizer import Block, blank_lines, blocks, first_records, normalise_line_ends, records, without_lines
from recsys.data.values import ID_ROLES, Fields
from recsys.errors import BadRatings
from recsys.text import is_unicode, quoted

LINE = "\n"
"""What the tokenizer takes for a separator, so that each line is a record with one field."""

ONE_OBJECT = "write each rating as an object on a line of its own (JSON lines)"
BEGIN = re.compile(rb"\s*(\{|\[\s*[{\[])")
NO_OBJECT = "it is no JSON object"


def is_json_lines(head: bytes, settings: DataSettings, file: str) -> bool:
    """Whether a file that begins with `head` has an object on each line.

    Raises BadRatings if it is JSON of another kind.
    """
    head = without_lines(normalise_line_ends(head), settings.skip_lines or 0)
    begin = BEGIN.match(head)
    if begin is None:
        return False
    if begin[1] != b"{":
        raise BadRatings(f"{file} is a JSON array; {ONE_OBJECT}, as jq -c '.[]' does.")
    if not any(_is_flat(_parsed(text)) for _, text, _ in first_records(head, LINE, 10, quotes=never)):
        raise BadRatings(f"{file} is JSON, but has no object on each line; {ONE_OBJECT}, or as CSV.")
    return True


def _is_flat(value: Any) -> bool:
    """Whether this is an object with a value that is neither object nor list."""
    return isinstance(value, dict) and any(not isinstance(part, dict | list) for part in value.values())


def _parsed(text: str) -> Any:
    """What a line stands for, with numbers as they are written; None if it is not JSON."""
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except (ValueError, RecursionError):
        return None


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def json_table(text: Text, settings: DataSettings, required: Sequence[Role], count: LineCount) -> Table:
    """Find the columns of JSON lines; the lines are counted as they are read.

    Raises BadRatings if the first of them have not all columns `required`.
    """
    file = text.file
    skip = settings.skip_lines or 0
    sample = first_records(without_lines(normalise_line_ends(text.head), skip), LINE, quotes=never)
    objects = [value for value in (_parsed(line) for _, line, _ in sample) if isinstance(value, dict)]
    names = list(dict.fromkeys(name for value in objects for name in value))
    roles = recognise(names, settings, file.name, header=True, required=required)
    wanted = {role: names[index] for role, index in roles.items()}
    types = {role: _type(role, [value[name] for value in objects if name in value]) for role, name in wanted.items()}

    def batches() -> Iterator[Batch]:
        before = count.lines
        count.skipped += skip
        lines = count.counted(text.chunks())
        for block in blocks(lines, LINE, file.name, skip=skip, first_line=before + 1, quotes=never):
            fields = read_quickly(block, wanted, types)
            if fields is not None:
                count.blocks[block.line] = block.lines, len(next(iter(fields.values())))
            yield Batch(fields, partial(read_exactly, block, wanted, text.encoding, count), file.position())

    ignored = [name for name in names if name not in wanted.values()]
    return Table(wanted, named_by(roles, settings), ignored, None, True, "line", batches(), count)


def _type(role: Role, values: list[Any]) -> pa.DataType | None:
    """The type with which Arrow reads the values of a column exactly; None if there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {str}:
        return pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if kinds != {_Number}:
        return None
    if role in ID_ROLES or (role == "timestamp" and all(str(value).lstrip("-").isdigit() for value in values if value)):
        return pa.int64()
    return pa.float64()


def read_quickly(block: Block, wanted: dict[Role, str], types: dict[Role, pa.DataType | None]) -> Fields | None:
    """The values, as text, of a block whose lines all have values of these types; None if they have not."""
    if None in types.values() or b"\0" in block.data or b"\\u0000" in block.data:
        return None
    schema = pa.schema([(name, types[role]) for role, name in wanted.items()])
    whole = pa.json.ReadOptions(block_size=len(block.data) + 1)
    parse = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        block.data.decode()
        read = pa.json.read_json(pa.BufferReader(block.data), whole, parse)
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    if read.num_rows != block.lines - blank_lines(block, LINE):
        return None
    return {role: pc.fill_null(read[name].combine_chunks().cast(pa.string()), "") for role, name in wanted.items()}


def read_exactly(
    block: Block, wanted: dict[Role, str], encoding: str, count: LineCount, at_most: int | None = None
) -> ExactBatch:
    """The values, as text, of a block of which some lines may be bad; at most so many rows, good or bad."""
    columns: dict[Role, list[str]] = {role: [] for role in wanted}
    lines: list[int] = []
    texts: list[str] = []
    bad_rows: list[BadRow] = []
    for line, text, fields in islice(records(block, LINE, encoding), at_most):
        value = _parsed(text)
        if fault := fields if isinstance(fields, str) else _fault(value, wanted):
            bad_rows.append(BadRow(line, fault, text))
            continue
        lines.append(line)
        texts.append(text)
        for role, name in wanted.items():
            columns[role].append(_text(value.get(name)))
    rows = len(lines) + len(bad_rows)
    if at_most is None or rows < at_most:
        count.blocks[block.line] = rows + blank_lines(block, LINE), rows
    return ExactBatch({role: pa.array(column, pa.string()) for role, column in columns.items()}, lines, texts, bad_rows)


def _fault(value: Any, wanted: dict[Role, str]) -> str | None:
    """What is wrong with the value of a line."""
    if not isinstance(value, dict):
        return NO_OBJECT
    for role, name in wanted.items():
        found = value.get(name)
        if isinstance(found, dict | list):
            return f"{quoted(name)} holds {'a list' if isinstance(found, list) else 'an object'}, which is no {role}"
        if isinstance(found, str) and ("\0" in found or not is_unicode(found)):
            return f"{quoted(name)} holds {quoted(found)}, which is no text"
    return None


def _text(value: Any) -> str:
    """A value as a text file would hold it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
