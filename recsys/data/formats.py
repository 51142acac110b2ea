"""Files that are no table of text, recognised by their first bytes, and what to do about each."""

import re

from recsys.data.tokenizer import MAX_RECORD_BYTES, line_too_long
from recsys.errors import BadRatings

AS_CSV = "export the table of ratings from it as CSV"
AS_PICKLE = "is a pickle, which can run any code when it is read; write it as CSV with one rating per line"
TWICE = "is packed twice; unpack it"
OTHER_FORMATS = {
    b"\x1f\x8b": TWICE,
    b"\xfd7zXZ\0": TWICE,
    b"\x28\xb5\x2f\xfd": TWICE,
    b"\x04\x22\x4d\x18": "is packed with LZ4; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "is packed with 7-Zip; unpack it, or pack it as .zip",
    b"Rar!\x1a": "is packed with RAR; unpack it, or pack it as .zip",
    b"PAR1\x15": "is parquet inside an archive; unpack it",
    b"ARROW1\0\0": "is an Arrow (Feather) file; write it as parquet",
    b"ORC\x08": "is an ORC file; write it as parquet",
    b"Obj\x01": "is an Avro file; write it as parquet",
    b"\x93NUMPY": "is a NumPy array; write it as CSV with one rating per line",
    b"\x80\x03": AS_PICKLE,
    b"\x80\x04\x95": AS_PICKLE,
    b"\x80\x05\x95": AS_PICKLE,
    b"SQLite format 3\0": f"is an SQLite database; {AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"is a document of an old Office, such as Excel's .xls; {AS_CSV}",
    b"%PDF-": f"is a PDF document; {AS_CSV}",
    b"version https://git-lfs.github.com/": "is a pointer to a file that Git LFS keeps; fetch that with git lfs pull",
}
MARKUP = re.compile(rb"\s*<(?:\?xml|!doctype|!--|[a-z]+[\s>])", re.IGNORECASE)
BINARY = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
MAX_NUL_SHARE = 0.01
"""Up to this share of NUL bytes, a file without other control characters is text of which some lines are damaged."""

BEGINNING = 4096
"""Bytes by which a file is judged."""


def refuse_other_formats(head: bytes, file: str) -> None:
    """Raise BadRatings, with what to do, if a file that begins with `head` is of a format that is not read."""
    for signature, advice in OTHER_FORMATS.items():
        if head.startswith(signature):
            raise BadRatings(f"{file} {advice}.")
    if head[257:262] == b"ustar":
        raise BadRatings(f"{file} is a tar archive; unpack it and give the path of the ratings file.")


def refuse_no_table(head: bytes, file: str) -> None:
    """Raise BadRatings, with what to do, for what is no text with lines; `head` is decoded to UTF-8 already."""
    start = head[:BEGINNING]
    if MARKUP.match(start):
        raise BadRatings(f"{file} is a web page or XML; {AS_CSV}.")
    if b"\0" in start and (start.count(0) > max(1, MAX_NUL_SHARE * len(start)) or BINARY.search(start)):
        raise BadRatings(f"{file} is not text, it holds NUL bytes; give a text file, or a parquet file.")
    if b"\n" not in head:
        if b"\r" in head:
            raise BadRatings(f"{file} has lines that end in CR alone; convert the line ends to LF.")
        if len(head) > MAX_RECORD_BYTES:
            raise line_too_long(file, 1)
