"""How a ratings file is written: its compression, the separator of its fields, and whether it has a header."""

import bz2
import gzip
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from recsys.data.columns import REQUIRED, FoundBy, Role, named_by, recognise
from recsys.data.positions import by_position, looks_wide
from recsys.data.tokenizer import MAX_RECORD_BYTES, Record, first_records, line_too_long, normalise_line_ends
from recsys.data.wide import Matrix, has_header_of_ids, matrix
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from recsys.text import escaped, listed, quoted

BLOCK_BYTES = 8 * 2**20
"""Bytes that are unpacked and read at a time; memory is a small multiple of this."""

SAMPLED_ROWS = 5_000
"""First rows that tell which column holds what."""

MAX_RATIO, UNLIMITED_BYTES = 100, 64 * 2**20
"""An archive that unpacks to more than so many times its size, and to more than so many bytes, is refused: ratings
unpack to ten or twenty times their size, a zip bomb to a thousand times and more."""

# A text file may begin with "BZh" or "PAR1", so the signatures include bytes that text does not have there.
SIGNATURES = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06)"),
    "parquet": re.compile(rb"PAR1\x15"),
}
MEMBER_SUFFIXES = {".csv", ".tsv", ".dat", ".data", ".txt", ".inter"}

# Where two fit equally well, the earlier one wins: it is the one that is rarer inside fields.
SEPARATORS = {"double-colon": "::", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
BLANK = " "
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
AS_CSV = "export the table of ratings from it as CSV"
AS_PICKLE = "is a pickle, which can run any code when it is read; write it as CSV with one rating per line"
OTHER_FORMATS = {
    b"\xff\xfe\0\0": "is UTF-32 text; convert it to UTF-8",
    b"\0\0\xfe\xff": "is UTF-32 text; convert it to UTF-8",
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
    b"\x1f\x8b": "is packed twice; unpack it",
    b"\xfd7zXZ\0": "is packed with xz; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "is packed with 7-Zip; unpack it, or pack it as .zip",
    b"Rar!\x1a": "is packed with RAR; unpack it, or pack it as .zip",
    b"PAR1\x15": "is parquet inside an archive; unpack it",
    b"ARROW1\0\0": "is an Arrow (Feather) file; write it as parquet",
    b"ORC\x08": "is an ORC file; write it as parquet",
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

# Also what is meant as a number, such as 4,5 or nan: a line with it is a wrong rating rather than a header.
NUMBER = re.compile(
    r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class RatingsFile:
    """An open ratings file: its name for messages, its bytes, unpacked, and its size on disk in bytes.

    `compression` is "gzip", "bzip2", "zip", "parquet", or None for plain text, `member` the name of the file inside a
    zip archive, and `position` tells how many of the `size` bytes have been read.
    """

    name: str
    stream: IO[bytes]
    size: int
    compression: str | None
    member: str | None
    position: Callable[[], int]


@contextmanager
def open_ratings(path: Path) -> Iterator[RatingsFile]:
    """Open a ratings file; its first bytes tell its compression, not its name.

    Raises:
        BadRatings: there is no such file, it is no regular file, may not be read, is empty, is a damaged archive, or
            is an archive without exactly one ratings file.
    """
    name = escaped(path.name)
    with ExitStack() as stack:
        try:
            # Opening a pipe would wait for its writer for ever.
            if path.exists() and not path.is_file():
                what = "a folder" if path.is_dir() else "not a regular file"
                raise BadRatings(f"{escaped(str(path))} is {what}; give the path of a ratings file.")
            raw = stack.enter_context(path.open("rb", buffering=0))
            size = path.stat().st_size
            head = raw.read(16)
            raw.seek(0)
        except FileNotFoundError:
            raise BadRatings(f"{escaped(str(path))} does not exist; give the path of your ratings file.") from None
        except PermissionError:
            raise BadRatings(f"{escaped(str(path))} may not be read; give yourself permission to read it.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadRatings(f"{escaped(str(path))} cannot be opened ({reason}); give the path of a file.") from None
        if not head:
            raise BadRatings(f"{name} is empty; give a file with one rating per line.")
        compression = next((kind for kind, signature in SIGNATURES.items() if signature.match(head)), None)
        stream: IO[bytes] = raw
        member = None
        if compression == "gzip":
            stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif compression == "bzip2":
            stream = stack.enter_context(bz2.BZ2File(raw))
        elif compression == "zip":
            with _explained_damage(name, compression):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                member = _member(archive, name)
                stream = stack.enter_context(archive.open(member))
        yield RatingsFile(name, stream, size, compression, member, raw.tell)


def chunks(file: RatingsFile) -> Iterator[bytes]:
    """The unpacked bytes of a file, `BLOCK_BYTES` at a time.

    Raises BadRatings if the file is damaged or cut short, or unpacks to far more than its size.
    """
    unpacked = 0
    while True:
        with _explained_damage(file.name, file.compression):
            chunk = file.stream.read(BLOCK_BYTES)
        if not chunk:
            return
        unpacked += len(chunk)
        if file.compression:
            refuse_zip_bomb(file, unpacked)
        yield chunk


def refuse_zip_bomb(file: RatingsFile, unpacked: int) -> None:
    """Raise BadRatings if a file unpacks to far more bytes than ratings do."""
    if unpacked > max(UNLIMITED_BYTES, MAX_RATIO * file.size):
        raise BadRatings(
            f"{file.name} unpacks to more than {MAX_RATIO} times its size, which ratings do not; "
            "unpack it yourself and give the path of the file, if it is meant to."
        )


@contextmanager
def _explained_damage(name: str, compression: str | None) -> Iterator[None]:
    """Raise errors of unpacking as BadRatings."""
    try:
        yield
    except BadRatings:
        raise
    except (NotImplementedError, RuntimeError) as error:
        raise BadRatings(f"{name} cannot be unpacked ({error}); pack it again as an ordinary {compression}.") from None
    except Exception as error:  # zipfile raises any error on damaged bytes, IndexError included
        if compression is None:
            raise BadRatings(f"{name} cannot be read to its end ({error}); copy it anew.") from None
        raise BadRatings(
            f"{name} is damaged or cut short, it does not unpack as {compression}; download or pack it again."
        ) from None


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """The only file in the archive, or else the only one named like ratings."""
    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    if "xl/workbook.xml" in infos:
        raise BadRatings(f"{name} is an Excel workbook; save the sheet with the ratings as .csv and give that.")
    files = [file for file in infos if not file.startswith("__MACOSX/") and PurePosixPath(file).name[:1] != "."]
    ratings = [file for file in files if _like_ratings(PurePosixPath(file.lower()))]
    chosen = files if len(files) == 1 else ratings
    if not files:
        raise BadRatings(f"{name} holds no file; give an archive with a ratings file.")
    if len(chosen) != 1:
        count = "more than one file" if chosen else "no file"
        raise BadRatings(
            f"{name} holds {count} that looks like ratings (members: {listed(chosen or files)}); "
            "unpack it and give the path of the right one."
        )
    if infos[chosen[0]].flag_bits & 1:
        raise BadRatings(f"{name} is encrypted; unpack it and give the path of {listed(chosen)}.")
    return chosen[0]


def _like_ratings(file: PurePosixPath) -> bool:
    return file.name == "u.data" or ("rating" in file.name and file.suffix in MEMBER_SUFFIXES)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    `header_lines` counts the lines before the first row, blank ones included, 0 without a header; `names` are those of
    the columns or, without a header, their numbers from "1"; `roles` has the index of each role's column, and
    `found_by` how it was found. Of a wide table, `matrix` tells the rest.
    """

    separator: str
    header_lines: int
    names: list[str]
    roles: dict[Role, int]
    found_by: dict[Role, FoundBy]
    matrix: Matrix | None = None


def detect_dialect(head: bytes, settings: DataSettings, file: str, required: Sequence[Role] = REQUIRED) -> Dialect:
    """Detect what the settings leave open of the dialect of a file that begins with `head`, after its byte order mark.

    Raises BadRatings if this is no text, or no table with the columns `required`.
    """
    head = normalise_line_ends(head)
    _refuse_other_formats(head, file)
    separator = _separator(head, len(required)) if settings.separator == "auto" else SEPARATORS[settings.separator]
    rows = first_records(head, separator, SAMPLED_ROWS)
    if not rows or not head.strip():
        raise BadRatings(f"{file} holds only blank lines; give a file with one rating per line.")
    line, text, first = rows[0]
    sample = _of_most_fields(rows)
    wide = settings.layout == "wide" or (settings.layout == "auto" and _wide(sample, settings))
    if isinstance(first, str):
        if settings.header != "no":
            raise BadRatings(f"{file}, line {line}: {first}; correct the line, or say --header no if it is a rating.")
        header = False
    elif settings.header == "auto" and wide:
        header = has_header_of_ids(sample)
    elif settings.header == "auto":
        header = not any(NUMBER.fullmatch(field.strip()) for field in first)
    else:
        header = settings.header == "yes"
    widths = Counter(len(fields) for _, _, fields in rows if isinstance(fields, list))
    width = len(first) if header else widths.most_common(1)[0][0] if widths else 1
    if width < len(required):
        columns = "only one column" if width == 1 else "only two columns"
        what = "ratings need user, item and rating" if "rating" in required else "pairs need user and item"
        raise BadRatings(
            f"{file} has {columns}, {quoted(text)} is its first line; {what}: "
            "name the separator of the columns with --separator."
        )
    blank = {index for index in range(width) if not header and _is_blank(rows, index)}
    advice = ", or say --header no if its first line is a rating already" if header else ""
    names = [field.strip() for field in first] if header else [str(number + 1) for number in range(width)]
    header_lines = line + text.count("\n") if header else 0
    if wide and settings.layout == "wide":
        layout = matrix(sample[header:], names, settings, file)
        return Dialect(separator, header_lines, names, {}, {}, layout)
    try:
        roles = recognise(names, settings, file, header=header, advice=advice, blank=blank, required=required)
    except BadRatings as error:
        raise (_looks_wide(sample, text, file) if wide else error) from None
    if header:
        return Dialect(separator, header_lines, names, roles, named_by(roles, settings))
    if wide:
        raise _looks_wide(sample, text, file)
    found = by_position(roles, sample, settings, file, text)
    roles = {role: index for role, (index, _) in found.items()}
    return Dialect(separator, header_lines, names, roles, {role: how for role, (_, how) in found.items()})


def _of_most_fields(rows: list[Record]) -> list[list[str]]:
    """The fields of those rows that have as many as most have."""
    split = [fields for _, _, fields in rows if isinstance(fields, list)]
    width = Counter(map(len, split)).most_common(1)[0][0] if split else 0
    return [fields for fields in split if len(fields) == width]


def _wide(sample: list[list[str]], settings: DataSettings) -> bool:
    """Whether a table looks like one of users by items, and the settings name no columns of a list."""
    return not (settings.item_column and settings.user_column) and looks_wide(sample[1:])


def _looks_wide(sample: list[list[str]], first: str, file: str) -> BadRatings:
    cells = {value.strip() for row in sample[1:] for value in row[1:]}
    blank = "" if "" in cells else ", and --not-rated with the number that stands for no rating if there is one"
    return BadRatings(
        f"{file} looks like a table of users by items, with {len(sample[0])} columns of numbers of one scale "
        f"({quoted(first, 80)} is its first line): read it with --layout wide{blank}, or say --layout list and name "
        "the columns with --user-column, --item-column and --rating-column if it has one rating per line."
    )


def _is_blank(rows: list[Record], index: int) -> bool:
    """Whether a column is empty, as every other one is where two separators are between two fields."""
    return not any(isinstance(fields, list) and len(fields) > index and fields[index].strip() for _, _, fields in rows)


def _refuse_other_formats(head: bytes, file: str) -> None:
    """Raise BadRatings, with what to do, for what is not UTF-8 text with lines."""
    for signature, advice in OTHER_FORMATS.items():
        if head.startswith(signature):
            raise BadRatings(f"{file} {advice}.")
    start = head[:4096]
    if head[257:262] == b"ustar":
        raise BadRatings(f"{file} is a tar archive; unpack it and give the path of the ratings file.")
    if MARKUP.match(start):
        raise BadRatings(f"{file} is a web page or XML; {AS_CSV}.")
    if re.match(rb"\s*(?:\{|\[\s*[{\[])", start):
        raise BadRatings(f"{file} is JSON; write it as CSV with one rating per line.")
    if b"\0" in start:
        # In UTF-16, every other byte of Latin letters is 0; in binary files this is not so.
        zeros = max(start[0::2].count(0), start[1::2].count(0))
        if zeros > 0.9 * len(start) // 2 and start.count(0) < 0.6 * len(start):
            raise BadRatings(f"{file} is UTF-16 text; convert it to UTF-8.")
        if start.count(0) > max(1, MAX_NUL_SHARE * len(start)) or BINARY.search(start):
            raise BadRatings(f"{file} is not text, it holds NUL bytes; give a text file, or a parquet file.")
    if b"\n" not in head:
        if b"\r" in head:
            raise BadRatings(f"{file} has lines that end in CR alone; convert the line ends to LF.")
        if len(head) > MAX_RECORD_BYTES:
            raise line_too_long(file, 1)


def _separator(head: bytes, columns: int) -> str:
    """The separator for which most lines have the same number of fields, at least so many."""

    def fit(separator: str) -> tuple[bool, int, int]:
        widths = Counter(len(fields) for _, _, fields in first_records(head, separator) if isinstance(fields, list))
        width, lines = max(widths.items(), key=lambda item: (item[0] >= columns, item[0] > 1, item[1]), default=(0, 0))
        return width >= columns, lines if width > 1 else 0, width

    best = max(SEPARATORS.values(), key=fit)
    # Blanks occur inside fields, too: they are the separator only where nothing else is.
    return BLANK if not fit(best)[0] and fit(BLANK)[0] else best
