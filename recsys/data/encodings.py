"""Which characters the bytes of a text file stand for, and the same text as UTF-8."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from recsys.data.formats import BEGINNING, BINARY, refuse_other_formats
from recsys.data.opening import RatingsFile, chunks
from recsys.errors import BadRatings

BYTE_ORDER_MARK = codecs.BOM_UTF8
UTF_8 = "UTF-8"

# Those of UTF-32 first, as one of them begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
INVALID = "recsys-invalid"
"""How Python's codecs call the function that marks what cannot be decoded."""


@dataclass(frozen=True)
class Text:
    """The text of a file as UTF-8: its beginning, and what follows; `encoding` is that of the file."""

    file: RatingsFile
    head: bytes
    following: Iterator[bytes]
    encoding: str

    def chunks(self) -> Iterator[bytes]:
        """The whole text, once."""
        return chain([self.head], self.following)


def open_text(file: RatingsFile, asked: str) -> Text:
    """Decode a file, in the encoding `asked` for or, if that is auto, the one that its first bytes show.

    Raises BadRatings if it is empty, of another format, or plainly in another encoding.
    """
    stream = chunks(file)
    head = next(stream, b"")
    refuse_other_formats(head, file.name)
    encoding = encoding_of(head, asked, file.name)
    stream = as_utf_8(chain([head], stream), encoding)
    head = next(stream, b"").removeprefix(BYTE_ORDER_MARK)
    if not head:
        raise BadRatings(f"{file.name} is empty; give a file with one rating per line.")
    return Text(file, head, stream, encoding)


def encoding_of(head: bytes, asked: str, file: str) -> str:
    """Return the encoding of a text file that begins with `head`: `asked`, or what its bytes look like if that is auto.

    Raises BadRatings if it is plainly another one than `asked`.
    """
    found = next((name for mark, name in MARKS.items() if head.startswith(mark)), None) or _utf_16_without_mark(head)
    if asked == "auto":
        return found or UTF_8
    if found and _plain(found)[:5] != _plain(asked)[:5]:
        raise BadRatings(f"{file} is {found[:6]} text, and --encoding {asked} was given; leave --encoding out.")
    plain = codecs.lookup(asked).name
    if plain in ("utf-8", "utf-8-sig"):
        return UTF_8
    if plain in ("utf-16", "utf-32") and not head.startswith(tuple(MARKS)):
        return found or f"{plain}-le"
    return asked


def as_utf_8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the same text as UTF-8, with the byte 0xff, which no UTF-8 holds, in place of what cannot be decoded."""
    if encoding == UTF_8:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(INVALID)
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text.encode(errors=INVALID)
    if text := decoder.decode(b"", final=True):
        yield text.encode(errors=INVALID)


def _mark(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeDecodeError):
        return "\udcff" * (error.end - error.start), error.end
    if isinstance(error, UnicodeEncodeError):
        return b"\xff" * (error.end - error.start), error.end
    raise error


codecs.register_error(INVALID, _mark)


def _utf_16_without_mark(head: bytes) -> str | None:
    """The kind of UTF-16 in which every other byte of `head` is 0, as those of Latin letters are."""
    start = head[: min(BEGINNING, len(head) // 2 * 2)]
    zeros = {"UTF-16-BE": start[0::2].count(0), "UTF-16-LE": start[1::2].count(0)}
    name = max(zeros, key=lambda name: zeros[name])
    if not zeros[name] > 0.25 * len(start) or min(zeros.values()) > 0.025 * len(start):
        return None
    # Numbers of two bytes look the same, but for what they are as characters.
    text = start.decode(name, errors="replace")
    return None if BINARY.search(text.encode(errors="replace")) or "\0" in text else name


def _plain(encoding: str) -> str:
    return codecs.lookup(encoding).name.replace("-", "")
