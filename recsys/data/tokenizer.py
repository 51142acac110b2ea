"""Splitting text into blocks of whole records, and records into fields, exactly.

A record is a line, except that a quoted field (RFC 4180) may contain line ends. A quote that is not closed, or closed
in the middle of a field, makes its own line invalid, and no other.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np

from recsys.errors import BadRatings

MAX_RECORD_BYTES = 2**20
"""A longer record is no rating, or a quote that is never closed."""

UNREADABLE = re.compile("[\0\udc80-\udcff]")
"""NUL, and what "surrogateescape" decodes bytes that are not UTF-8 to."""
MISQUOTED = (
    "a quote is opened and not closed, or closed inside a field (--quoting none reads quotes as any other character)"
)


Record = tuple[int, str, list[str] | str]
"""Line number, text, and the fields or why there are none."""

Quotes = Callable[[bytes], bool]
"""Whether quotes enclose fields in the bytes that come next."""


@dataclass(frozen=True)
class Block:
    """Consecutive whole records: their bytes, each line ending in LF, the number of the first line, and how many.

    `quoted` says that fields may be quoted, `regular` that all quotes are well-formed; `long` has start and end of
    each record of more than one line.
    """

    data: bytes
    line: int
    lines: int
    quoted: bool = False
    regular: bool = True
    long: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class _Grammar:
    """Regular expressions of records with one separator."""

    lines: re.Pattern[bytes]  # up to 1000 well-formed records of one line: repeating without end would cost memory
    long: re.Pattern[bytes]  # a well-formed record, of any number of lines
    unfinished: re.Pattern[bytes]  # a record that goes on after the end of the bytes
    record: re.Pattern[str]  # a well-formed record without its last line end
    field: re.Pattern[str]  # a field, quoted as group 1 or plain as group 2

    def fields(self, record: str) -> list[str]:
        parts = self.field.finditer(record)
        return [part[2] if part[1] is None else part[1].replace('""', '"') for part in parts]


@functools.cache
def _grammar(separator: str) -> _Grammar:
    sep = re.escape(separator)
    plain = f'[^"{sep}\n][^{sep}\n]*|'
    text, text_of_one_line = ('"' + inside + '*(?:""' + inside + "*)*" for inside in ('[^"]', r'[^"\n]'))
    field, field_of_one_line = f'(?:{text}"|{plain})', f'(?:{text_of_one_line}"|{plain})'
    record, line = (f"{one}(?:{sep}{one})*" for one in (field, field_of_one_line))
    return _Grammar(
        lines=re.compile(f"(?:{line}\n){{1,1000}}".encode()),
        long=re.compile(f"{record}\n".encode()),
        unfinished=re.compile(rf'(?:{field}{sep})*(?:{text}"?|{plain})\Z'.encode()),
        record=re.compile(record),
        field=re.compile(f'(?:^|{sep})(?:"([^"]*(?:""[^"]*)*)"|([^{sep}]*))'),
    )


def one_line_record(separator: str) -> re.Pattern[str]:
    """A regular expression of a line that is a well-formed record, without its line end."""
    return _grammar(separator).record


def always(_: bytes) -> bool:
    """Quotes enclose fields wherever there are some."""
    return True


def blocks(
    chunks: Iterable[bytes],
    separator: str,
    file: str,
    *,
    skip: int = 0,
    first_line: int = 1,
    quotes: Quotes = always,
) -> Iterator[Block]:
    """Split bytes, in chunks of any size, into blocks of whole records; with the separator "::", quotes mean nothing.

    Args:
        chunks: the bytes of a file.
        file: its name, for messages.
        skip: lines at the beginning that are left out; they are in the first chunk.
        first_line: the number of the first line.
        quotes: asked for all bytes in their order.

    Raises:
        BadRatings: a line is longer than `MAX_RECORD_BYTES`.
    """
    rest, line = b"", first_line
    for chunk in chain(chunks, [b""]):
        data = normalise_line_ends(rest + chunk)
        if not chunk and data and not data.endswith(b"\n"):
            data += b"\n"
        if skip:
            data, line, skip = without_lines(data, skip), line + skip, 0
        block, end = _cut(data, separator, line, quoted=may_be_quoted(data, separator) and quotes(data), last=not chunk)
        rest = data[end:]
        if len(rest) > MAX_RECORD_BYTES:
            raise line_too_long(file, line + block.lines)
        if end:
            yield block
            line += block.lines


def line_too_long(file: str, line: int) -> BadRatings:
    """The error for a line longer than `MAX_RECORD_BYTES`."""
    return BadRatings(f"{file}, line {line}: the line is longer than 1 MiB; give a file with one rating per line.")


def normalise_line_ends(data: bytes) -> bytes:
    """`data` with CRLF as LF."""
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


def count_line_ends(data: bytes) -> int:
    """Return how often LF occurs; three times as fast as `bytes.count`, where it occurs often."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def without_lines(data: bytes, count: int) -> bytes:
    """`data` without its first lines."""
    if not count:
        return data
    return b"".join(data.split(b"\n", count)[count:])


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at line ends, with CRLF as LF; nothing is kept that is longer than any line may be."""
    rest = b""
    for chunk in chain(chunks, [b""]):
        data = normalise_line_ends(rest + chunk)
        end = data.rfind(b"\n") + 1
        if not chunk or len(data) - end > MAX_RECORD_BYTES:
            end = len(data)
        rest = data[end:]
        if end:
            yield data[:end]


def records(block: Block, separator: str, encoding: str = "UTF-8") -> Iterator[Record]:
    """The records of `block` in their order, without blank lines; `encoding` is that of the file, for messages."""
    any_unreadable = b"\0" in block.data or not _is_utf_8(block.data)
    line = block.line
    for short, long in _pieces(block):
        for text in short:
            if not _is_blank(text, separator):
                fields = _fields(text, separator, quoted=block.quoted)
                yield _checked(line, text, fields, encoding) if any_unreadable else (line, text, fields)
            line += 1
        if long:
            yield _checked(line, long, _grammar(separator).fields(long), encoding)
            line += long.count("\n") + 1


def blank_lines(block: Block, separator: str) -> int:
    """Return how many lines of `block` are blank, but for those of records of more than one line."""
    return sum(_is_blank(text, separator) for short, _ in _pieces(block) for text in short)


def _pieces(block: Block) -> Iterator[tuple[list[str], str]]:
    """Lines, and the record of more than one line that follows them, if there is one, until the end of `block`."""
    for (_, start), (end, after) in pairwise([(0, 0), *block.long, (len(block.data),) * 2]):
        lines = block.data[start:end].decode(errors="surrogateescape").split("\n")[:-1]
        yield lines, block.data[end : max(end, after - 1)].decode(errors="surrogateescape")


def _is_blank(text: str, separator: str) -> bool:
    return not text.strip() and separator not in text


def _fields(text: str, separator: str, *, quoted: bool) -> list[str] | str:
    if not quoted or '"' not in text:
        return text.split(separator)
    grammar = _grammar(separator)
    return grammar.fields(text) if grammar.record.fullmatch(text) else MISQUOTED


def _checked(line: int, text: str, fields: list[str] | str, encoding: str) -> Record:
    """The record, or why it has no fields if it holds what is no text."""
    if (found := UNREADABLE.search(text)) is None:
        return line, text, fields
    if found[0] == "\0":
        fault = "it holds a NUL byte"
    elif encoding == "UTF-8":
        byte = ord(found[0]) - 0xDC00
        fault = f"it is not UTF-8 text (byte {byte:#04x}), name the file's encoding, such as --encoding latin-1"
    else:
        fault = f"it is not {encoding} text"
    return line, text.encode(errors="surrogateescape").decode(errors="backslashreplace"), fault


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def first_records(
    head: bytes, separator: str, at_most: int = 100, *, line: int = 1, quotes: Quotes = always, encoding: str = "UTF-8"
) -> list[Record]:
    """The first records of a file, or of its lines from `line` on, which begin with `head`."""
    head = head[:MAX_RECORD_BYTES]
    block, end = _cut(head, separator, line, quoted=may_be_quoted(head, separator) and quotes(head), last=False)
    if not end:  # not even one is whole
        block, _ = _cut(head + b"\n", separator, line, quoted=block.quoted, last=True)
    return list(islice(records(block, separator, encoding), at_most))


def may_be_quoted(data: bytes, separator: str) -> bool:
    """Whether fields of `data` may be quoted."""
    return len(separator) == 1 and b'"' in data


def _cut(data: bytes, separator: str, line: int, *, quoted: bool, last: bool) -> tuple[Block, int]:
    """The block up to the last whole record, and where that ends."""
    if not quoted:
        end = data.rfind(b"\n") + 1
        return Block(data[:end], line, count_line_ends(data)), end
    grammar = _grammar(separator)
    position, regular = 0, True
    long: list[tuple[int, int]] = []
    while position < len(data):
        if run := grammar.lines.match(data, position):
            position = run.end()
            continue
        if (record := grammar.long.match(data, position)) and record.end() - position <= MAX_RECORD_BYTES:
            long.append(record.span())
            position = record.end()
            continue
        short = len(data) - position <= MAX_RECORD_BYTES
        end = data.find(b"\n", position) + 1
        if not end or (short and not last and grammar.unfinished.match(data, position)):
            break
        position, regular = end, False
    whole = data[:position]
    return Block(whole, line, count_line_ends(whole), True, regular, tuple(long)), position
