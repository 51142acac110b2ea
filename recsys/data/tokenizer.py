"""Splitting text into blocks of whole records, and records into fields, exactly.

A record is a line, except that a quoted field (RFC 4180) may contain line ends. A quote that is not closed, or closed
in the middle of a field, makes its own line invalid, and no other.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from recsys.errors import BadRatings

MAX_RECORD_BYTES = 2**20
"""A longer record is no rating, or a quote that is never closed."""

INVALID = re.compile("[\0\udc80-\udcff]")
"""NUL, and what "surrogateescape" decodes bytes that are not UTF-8 to."""
MISQUOTED = "a quote is opened and not closed, or closed inside a field"

Record = tuple[int, str, list[str] | str]
"""Line number, text, and the fields or why there are none."""


@dataclass(frozen=True)
class Block:
    """Consecutive whole records: their bytes, each line ending in LF, and the number of the first line, from 1.

    `regular` says that all quotes are well-formed.
    """

    data: bytes
    line: int
    regular: bool


@dataclass(frozen=True)
class _Grammar:
    """Regular expressions of records with one separator."""

    run: re.Pattern[bytes]  # up to 1000 well-formed records: repeating without end would cost memory
    unfinished: re.Pattern[bytes]  # a record that goes on after the end of the bytes
    one: re.Pattern[str]  # a well-formed record as group 1, or any line
    field: re.Pattern[str]  # a field, quoted as group 1 or plain as group 2

    def fields(self, record: str) -> list[str]:
        parts = self.field.finditer(record)
        return [part[2] if part[1] is None else part[1].replace('""', '"') for part in parts]


@functools.cache
def _grammar(separator: str) -> _Grammar:
    sep = re.escape(separator)
    text = '"[^"]*(?:""[^"]*)*'
    plain = f'[^"{sep}\n][^{sep}\n]*|'
    field = f'(?:{text}"|{plain})'
    record = f"{field}(?:{sep}{field})*\n"
    return _Grammar(
        run=re.compile(f"(?:{record}){{1,1000}}".encode()),
        unfinished=re.compile(rf'(?:{field}{sep})*(?:{text}"?|{plain})\Z'.encode()),
        one=re.compile(f"({record})|[^\n]*\n"),
        field=re.compile(f'(?:^|{sep})(?:"([^"]*(?:""[^"]*)*)"|([^{sep}]*))'),
    )


def blocks(chunks: Iterable[bytes], separator: str, file: str, *, skip: int = 0) -> Iterator[Block]:
    """Split bytes, in chunks of any size, into blocks of whole records; with the separator "::", quotes mean nothing.

    The first `skip` lines are left out; they are in the first chunk. `file` is the file's name, for messages.

    Raises:
        BadRatings: a line is longer than `MAX_RECORD_BYTES`.
    """
    rest, line = b"", 1
    for chunk in chain(chunks, [b""]):
        data = normalise_line_ends(rest + chunk)
        if not chunk and data and not data.endswith(b"\n"):
            data += b"\n"
        if skip:
            data, line, skip = b"".join(data.split(b"\n", skip)[skip:]), skip + 1, 0
        end, regular = _cut(data, separator, last=not chunk)
        rest = data[end:]
        if len(rest) > MAX_RECORD_BYTES:
            raise line_too_long(file, line + data.count(b"\n", 0, end))
        if end:
            yield Block(data[:end], line, regular)
            line += data.count(b"\n", 0, end)


def line_too_long(file: str, line: int) -> BadRatings:
    """The error for a line longer than `MAX_RECORD_BYTES`."""
    return BadRatings(f"{file}, line {line}: the line is longer than 1 MiB; give a file with one rating per line.")


def normalise_line_ends(data: bytes) -> bytes:
    """`data` with CRLF as LF."""
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


def records(block: Block, separator: str) -> Iterator[Record]:
    """The records of `block` in their order, without blank lines."""
    data = block.data.decode(errors="surrogateescape")
    any_invalid = INVALID.search(data) is not None
    grammar = _grammar(separator) if may_be_quoted(block.data, separator) else None
    line = block.line
    if grammar is None:
        for text in data.split("\n")[:-1]:
            if text.strip() or separator in text:
                fault = _invalid(text) if any_invalid else None
                yield line, _escaped(text) if fault else text, fault or text.split(separator)
            line += 1
        return
    for match in grammar.one.finditer(data):
        text = match[0][:-1]
        if text.strip() or separator in text:
            fault = _invalid(text) or (MISQUOTED if match[1] is None else None)
            yield line, _escaped(text) if fault else text, fault or grammar.fields(text)
        line += match[0].count("\n")


def _invalid(text: str) -> str | None:
    if (found := INVALID.search(text)) is None:
        return None
    if found[0] == "\0":
        return "it holds a NUL byte"
    return f"it is not UTF-8 text (byte {ord(found[0]) - 0xDC00:#04x}), convert the file to UTF-8"


def _escaped(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def first_records(head: bytes, separator: str, at_most: int = 100) -> list[Record]:
    """The first records of a file that begins with `head`."""
    head = head[:MAX_RECORD_BYTES]
    cut, _ = _cut(head, separator, last=False)
    return list(islice(records(Block(head[:cut] or head + b"\n", 1, False), separator), at_most))


def may_be_quoted(data: bytes, separator: str) -> bool:
    """Whether fields of `data` may be quoted."""
    return len(separator) == 1 and b'"' in data


def _cut(data: bytes, separator: str, *, last: bool) -> tuple[int, bool]:
    """Where the last whole record ends, and whether all quotes up to there are well-formed."""
    if not may_be_quoted(data, separator):
        return data.rfind(b"\n") + 1, True
    grammar = _grammar(separator)
    position, regular = 0, True
    while position < len(data):
        if run := grammar.run.match(data, position):
            position = run.end()
            continue
        short = len(data) - position <= MAX_RECORD_BYTES
        end = data.find(b"\n", position) + 1
        if not end or (short and not last and grammar.unfinished.match(data, position)):
            break
        position, regular = end, False
    return position, regular
