"""Telling from a file's first lines what separates its fields and whether it has a header."""

import re
from collections import Counter
from dataclasses import dataclass

from recsys.data.columns import Role, recognise
from recsys.data.lines import LONGEST, Record, sample, too_long, unified
from recsys.data.sentences import shown
from recsys.errors import BadRatings
from recsys.settings import DataSettings

# Where two explain the lines equally well, the earlier one wins: it is the one that is rarer inside of fields.
SEPARATORS = {"double-colon": "::", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
BLANK = " "
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
AS_CSV = "export the table of ratings from it as CSV"
FOREIGN = {
    b"\xff\xfe\0\0": "is UTF-32 text; convert it to UTF-8",
    b"\0\0\xfe\xff": "is UTF-32 text; convert it to UTF-8",
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
    b"\x1f\x8b": "is packed twice; unpack it",
    b"\xfd7zXZ\0": "is packed with xz; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "is packed with 7-Zip; unpack it, or pack it as .zip",
    b"Rar!\x1a": "is packed with RAR; unpack it, or pack it as .zip",
    b"PAR1\x15": "is parquet inside of an archive; unpack it",
    b"ARROW1\0\0": "is an Arrow (Feather) file; write it as parquet",
    b"ORC\x08": "is an ORC file; write it as parquet",
    b"\x93NUMPY": "is a NumPy array; write it as CSV with one rating per line",
    b"\x80\x03": "is a pickle, which runs what it likes when it is read; write it as CSV with one rating per line",
    b"\x80\x04\x95": "is a pickle, which runs what it likes when it is read; write it as CSV with one rating per line",
    b"\x80\x05\x95": "is a pickle, which runs what it likes when it is read; write it as CSV with one rating per line",
    b"SQLite format 3\0": f"is an SQLite database; {AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"is a document of an old Office, such as Excel's .xls; {AS_CSV}",
    b"%PDF-": f"is a PDF document; {AS_CSV}",
    b"version https://git-lfs.github.com/": "is a pointer to a file that Git LFS keeps; fetch that with git lfs pull",
}
MARKUP = re.compile(rb"\s*<(?:\?xml|!doctype|!--|[a-z]+[\s>])", re.IGNORECASE)
TAR = slice(257, 262), b"ustar"
NO_TEXT = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
FEW = 0.01
"""Share of NUL bytes up to which a file without other such bytes is text of which some lines have gone wrong."""
# Also what is meant to be a number: such a line is a wrong rating rather than a header.
MEANT_AS_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out.

    Attributes:
        separator: what stands between two fields.
        header_lines: lines before the first row, blank ones included; 0 without a header.
        names: the columns' names; without a header, their numbers from "1".
        roles: index of each role's column.
    """

    separator: str
    header_lines: int
    names: list[str]
    roles: dict[Role, int]


def layout(head: bytes, settings: DataSettings, file: str) -> Layout:
    """Tell the layout of the file that begins with `head`.

    Args:
        head: the first bytes, without a byte order mark; the more lines, the surer.
        settings: what the user said of the layout.
        file: the file's name, for messages.

    Raises:
        BadRatings: this is no text, or no table of ratings.
    """
    head = unified(head)
    _refuse_foreign(head, file)
    separator = _separator(head) if settings.separator == "auto" else SEPARATORS[settings.separator]
    rows = sample(head, separator)
    if not rows or not head.strip():
        raise BadRatings(f"{file} holds only blank lines; give a file with one rating per line.")
    line, text, first = rows[0]
    if isinstance(first, str):
        if settings.header != "no":
            raise BadRatings(f"{file}, line {line}: {first}; correct the line, or say --header no if it is a rating.")
        header = False
    elif settings.header == "auto":
        header = not any(MEANT_AS_NUMBER.fullmatch(field.strip()) for field in first)
    else:
        header = settings.header == "yes"
    widths = Counter(len(fields) for _, _, fields in rows if isinstance(fields, list))
    width = len(first) if header else widths.most_common(1)[0][0] if widths else 1
    if width < 3:
        columns = "only one column" if width == 1 else "only two columns"
        raise BadRatings(
            f"{file} has {columns}, {shown(text)} is its first line; ratings need user, item and rating: "
            "name what stands between them with --separator."
        )
    blank = {index for index in range(width) if not header and _is_blank(rows, index)}
    advice = ", or say --header no if its first line is a rating already" if header else ""
    names = [field.strip() for field in first] if header else [str(number + 1) for number in range(width)]
    header_lines = line + text.count("\n") if header else 0
    return Layout(
        separator, header_lines, names, recognise(names, settings, file, header=header, advice=advice, blank=blank)
    )


def _is_blank(rows: list[Record], index: int) -> bool:
    """Whether a column holds nothing, as every other one does where two separators stand between two fields."""
    return not any(isinstance(fields, list) and len(fields) > index and fields[index].strip() for _, _, fields in rows)


def _refuse_foreign(head: bytes, file: str) -> None:
    for signature, advice in FOREIGN.items():
        if head.startswith(signature):
            raise BadRatings(f"{file} {advice}.")
    start = head[:4096]
    place, signature = TAR
    if head[place] == signature:
        raise BadRatings(f"{file} is a tar archive; unpack it and give the path of the ratings file.")
    if MARKUP.match(start):
        raise BadRatings(f"{file} is a web page or XML; {AS_CSV}.")
    if re.match(rb"\s*(?:\{|\[\s*[{\[])", start):
        raise BadRatings(f"{file} is JSON; write it as CSV with one rating per line.")
    if b"\0" in start:
        # Latin letters in UTF-16 are every other byte; in binary files there is no such rhythm.
        zeros = max(start[0::2].count(0), start[1::2].count(0))
        if zeros > 0.9 * len(start) // 2 and start.count(0) < 0.6 * len(start):
            raise BadRatings(f"{file} is UTF-16 text; convert it to UTF-8.")
        if start.count(0) > max(1, FEW * len(start)) or NO_TEXT.search(start):
            raise BadRatings(f"{file} is not text, it holds NUL bytes; give a text file, or a parquet file.")
    if b"\n" not in head:
        if b"\r" in head:
            raise BadRatings(f"{file} has lines that end in CR alone; convert the line ends to LF.")
        if len(head) > LONGEST:
            raise too_long(file, 1)


def _separator(head: bytes) -> str:
    """The separator for which most lines have the same number of fields, three or more."""

    def fit(separator: str) -> tuple[bool, int, int]:
        widths = Counter(len(fields) for _, _, fields in sample(head, separator) if isinstance(fields, list))
        width, lines = max(widths.items(), key=lambda item: (item[0] >= 3, item[0] > 1, item[1]), default=(0, 0))
        return width >= 3, lines if width > 1 else 0, width

    best = max(SEPARATORS.values(), key=fit)
    # Blanks stand inside of fields, too: they separate where nothing else does.
    return BLANK if not fit(best)[0] and fit(BLANK)[0] else best
