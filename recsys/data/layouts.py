"""Layouts that are read as one record per line with a separator, by rewriting their lines: padded columns, item blocks.

No line is added or lost, so that its number is that in the file.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from recsys.data.numerals import MEANT_AS_NUMBER
from recsys.data.tokenizer import whole_lines

BLOCK_COLUMNS = ("item", "user", "rating", "timestamp")
"""The columns of a file with item blocks, once each line has its item."""

BLOCK_END = re.compile(rb":[ \t]*(?:\n|\Z)")
BLOCK_ID = re.compile(rb"[^\s,;|:]+")
PADDED = re.compile(rb"[ \t\n][ \t]|^[ \t]|\t")
QUOTED_OR_PADDING = re.compile(rb'("[^"\n]*")|[ \t]+')


def has_item_blocks(head: bytes) -> bool:
    """Whether a file that begins with `head` has the ratings of each item below a line of its id and a colon.

    Netflix wrote its ratings so. Where the id is no number, there have to be two blocks at least.
    """
    first, *others = [line for line in head[: 2**16].split(b"\n") if line.strip()] or [b""]
    ids = {item for item, *_ in _blocks(head[: 2**16])}
    if not others or not any(_blocks(first)) or not (len(ids) > 1 or first.rstrip()[:-1].isdigit()):
        return False
    fields = re.split(rb"[,;|\t]", others[0])
    return len(fields) > 1 and any(
        MEANT_AS_NUMBER.fullmatch(field.decode(errors="replace").strip()) for field in fields
    )


def with_items(chunks: Iterable[bytes], separator: str) -> Iterator[bytes]:
    """Yield the lines with the item of their block as first field; the lines with ids alone become blank.

    What is above the first block stays as it is.
    """
    prefix = b""
    for data in whole_lines(chunks):
        position = 0
        parts: list[bytes] = []
        for item, start, end in _blocks(data):
            parts += [_prefixed(data[position:start], prefix), b"\n"]
            prefix, position = item + separator.encode(), end
        yield b"".join([*parts, _prefixed(data[position:], prefix)])


def _blocks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The id of each line that begins a block, and its start and end."""
    for found in BLOCK_END.finditer(data):
        start = data.rfind(b"\n", 0, found.start()) + 1
        if BLOCK_ID.fullmatch(data, start, found.start()):
            yield data[start : found.start()], start, found.end()


def _prefixed(lines: bytes, prefix: bytes) -> bytes:
    """Lines with `prefix` before each that is not blank."""
    if not lines or not prefix:
        return lines
    if b"\n\n" in lines or lines[:1] == b"\n":
        return re.sub(rb"^(?=.)", lambda _: prefix, lines, flags=re.MULTILINE)
    return prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + lines[-1:]


def without_padding(chunks: Iterable[bytes], *, quoted: bool) -> Iterator[bytes]:
    """Yield the lines with one blank for any number of blanks and tabs between two fields, and none around them.

    What is in quotes stays as it is, if fields may be `quoted`.
    """
    for data in whole_lines(chunks):
        if quoted and b'"' in data:
            data = QUOTED_OR_PADDING.sub(lambda found: found[1] or b" ", data).replace(b"\n ", b"\n").lstrip(b" ")
        elif PADDED.search(data):
            data = _first_of_each_gap(data)
        lines = data.replace(b" \n", b"\n").rstrip(b" ")
        # A last line of blanks alone, without an end, is a line still.
        yield lines if data.endswith(b"\n") or lines[-1:] not in (b"", b"\n") else lines + b"\n"


def _first_of_each_gap(data: bytes) -> bytes:
    """Text with a blank for each run of blanks and tabs, and none at the beginning of lines."""
    characters = np.frombuffer(data, np.uint8)
    gap = (characters == ord(" ")) | (characters == ord("\t"))
    surplus = gap.copy()
    surplus[1:] &= gap[:-1] | (characters[:-1] == ord("\n"))
    kept = characters[~surplus]
    kept[kept == ord("\t")] = ord(" ")
    return bytes(kept)
