"""Cutting text into blocks of whole records, and records into fields, exactly.

A record is a line, except that a quoted field (RFC 4180) may hold line ends. A quote that is not closed, or closed in
the middle of a field, spoils its own line only: the next line is read afresh.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from recsys.errors import BadRatings

LONGEST = 2**20
"""Bytes of the longest record: what is longer is no ratings file, or a quote that is never closed."""

SPOILT = re.compile("[\0\udc80-\udcff]")
"""A NUL, or what a byte that is not UTF-8 is decoded to by "surrogateescape"."""
MISQUOTED = "a quote is opened and not closed, or closed inside a field"

Record = tuple[int, str, list[str] | str]
"""Line number, text, and the fields; or, in place of the fields, why there are none."""


@dataclass(frozen=True)
class Block:
    """Some whole records.

    Attributes:
        data: their bytes, each line ending in LF.
        line: number of the first line, from 1.
        regular: whether all quotes are well placed.
    """

    data: bytes
    line: int
    regular: bool


@dataclass(frozen=True)
class _Grammar:
    """What records look like for one separator."""

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
    """Cut a stream of bytes into blocks of whole records.

    Args:
        chunks: the bytes, in pieces of any size.
        separator: what stands between two fields; "::" knows no quotes.
        file: the file's name, for messages.
        skip: lines of the first chunk that are left out.

    Raises:
        BadRatings: a line is longer than `LONGEST`.
    """
    rest, line = b"", 1
    for chunk in chain(chunks, [b""]):
        data = unified(rest + chunk)
        if not chunk and data and not data.endswith(b"\n"):
            data += b"\n"
        if skip:
            data, line, skip = b"".join(data.split(b"\n", skip)[skip:]), skip + 1, 0
        end, regular = _cut(data, separator, last=not chunk)
        rest = data[end:]
        if len(rest) > LONGEST:
            raise too_long(file, line + data.count(b"\n", 0, end))
        if end:
            yield Block(data[:end], line, regular)
            line += data.count(b"\n", 0, end)


def too_long(file: str, line: int) -> BadRatings:
    """The error for a line longer than `LONGEST`."""
    return BadRatings(f"{file}, line {line}: the line is longer than 1 MiB; give a file with one rating per line.")


def unified(data: bytes) -> bytes:
    """`data` with CRLF as LF."""
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


def records(block: Block, separator: str) -> Iterator[Record]:
    """The records of `block` in their order, without blank lines."""
    data = block.data.decode(errors="surrogateescape")
    spoilt = SPOILT.search(data) is not None
    grammar = _grammar(separator) if quotes(block.data, separator) else None
    line = block.line
    if grammar is None:
        for text in data.split("\n")[:-1]:
            if text.strip() or separator in text:
                fault = _spoilt(text) if spoilt else None
                yield line, _legible(text) if fault else text, fault or text.split(separator)
            line += 1
        return
    for match in grammar.one.finditer(data):
        text = match[0][:-1]
        if text.strip() or separator in text:
            fault = _spoilt(text) or (MISQUOTED if match[1] is None else None)
            yield line, _legible(text) if fault else text, fault or grammar.fields(text)
        line += match[0].count("\n")


def _spoilt(text: str) -> str | None:
    found = SPOILT.search(text)
    if found is None:
        return None
    if found[0] == "\0":
        return "it holds a NUL byte"
    return f"it is not UTF-8 text (byte {ord(found[0]) - 0xDC00:#04x}), convert the file to UTF-8"


def _legible(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def sample(head: bytes, separator: str, most: int = 100) -> list[Record]:
    """The first records of a file that begins with `head`."""
    head = head[:LONGEST]
    cut, _ = _cut(head, separator, last=False)
    return list(islice(records(Block(head[:cut] or head + b"\n", 1, False), separator), most))


def quotes(data: bytes, separator: str) -> bool:
    """Whether a quote may mean something in `data`."""
    return len(separator) == 1 and b'"' in data


def _cut(data: bytes, separator: str, *, last: bool) -> tuple[int, bool]:
    """Where the last whole record ends, and whether all quotes up to there are well placed."""
    if not quotes(data, separator):
        return data.rfind(b"\n") + 1, True
    grammar = _grammar(separator)
    position, regular = 0, True
    while position < len(data):
        if run := grammar.run.match(data, position):
            position = run.end()
            continue
        short = len(data) - position <= LONGEST
        end = data.find(b"\n", position) + 1
        if not end or (short and not last and grammar.unfinished.match(data, position)):
            break
        position, regular = end, False
    return position, regular
