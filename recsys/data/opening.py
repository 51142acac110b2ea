"""Opening a ratings file, and unpacking it."""

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, cast

from recsys.errors import BadRatings
from recsys.parts import parts_of, require_complete
from recsys.text import escaped, listed

BLOCK_BYTES = 8 * 2**20
"""Bytes that are unpacked and read at a time; memory is a small multiple of this."""

MAX_RATIO, UNLIMITED_BYTES = 100, 64 * 2**20
"""An archive that unpacks to more than so many times its size, and to more than so many bytes, is refused: ratings
unpack to ten or twenty times their size, a zip bomb to a thousand times and more."""

# A text file may begin with "BZh" or "PAR1", so the signatures include bytes that text does not have there.
SIGNATURES = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06)"),
    "parquet": re.compile(rb"PAR1\x15"),
}
MEMBER_SUFFIXES = {".csv", ".tsv", ".dat", ".data", ".txt", ".inter", ".json", ".jsonl", ".ndjson"}


@dataclass(frozen=True)
class RatingsFile:
    """An open ratings file: its name for messages, its bytes, unpacked, and its size on disk in bytes.

    `compression` is "gzip", "bzip2", "xz", "zstd", "zip", "parquet", or None for plain text, `member` the name of the
    file inside a zip archive, and `position` tells how many of the `size` bytes have been read. Of a folder, `parts`
    are its files, `stream` is the first of them, and `size` is that of all.
    """

    name: str
    stream: IO[bytes]
    size: int
    compression: str | None
    member: str | None
    position: Callable[[], int]
    parts: tuple[Path, ...] = ()


@contextmanager
def open_ratings(path: Path) -> Iterator[RatingsFile]:
    """Open a ratings file, or a folder of parts; its first bytes tell its compression, not its name.

    Raises:
        BadRatings: there is no such file, it is no regular file, may not be read, is empty, is a damaged archive, or
            is an archive without exactly one ratings file.
    """
    name = escaped(path.name)
    if parts := parts_of(path):
        require_complete(path)
        with open_ratings(parts[0]) as first:
            size = sum(part.stat().st_size for part in parts)
            yield replace(first, name=name, size=size, member=None, parts=tuple(parts))
        return
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
        elif compression == "xz":
            stream = stack.enter_context(lzma.LZMAFile(raw))
        elif compression == "zstd":
            import pyarrow as pa  # here, so that whoever looks for a file need not load it

            stream = cast(IO[bytes], stack.enter_context(pa.CompressedInputStream(raw, "zstd")))
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
