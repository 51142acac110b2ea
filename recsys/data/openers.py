"""Opening a ratings file, whatever it is compressed with."""

import bz2
import gzip
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from recsys.data.sentences import listed
from recsys.errors import BadRatings
from recsys.legible import escaped

BLOCK_BYTES = 8 * 2**20
"""Bytes that are unpacked and read at a time; memory is a small multiple of this."""

MOST_TIMES, ALWAYS_UNPACKED = 100, 64 * 2**20
"""An archive that unpacks to more than so many times its own bytes, and to more than so many bytes, is refused: ratings
come to ten or twenty times, and what was made to fill a disk comes to a thousand and more."""

# A text file may begin with "BZh" or "PAR1", so the signatures go on into bytes that text does not hold there.
SIGNATURES = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06)"),
    "parquet": re.compile(rb"PAR1\x15"),
}
MEMBER_SUFFIXES = {".csv", ".tsv", ".dat", ".data", ".txt", ".inter"}


@dataclass(frozen=True)
class Source:
    """An open ratings file.

    Attributes:
        name: the file's name, for messages.
        stream: its bytes, unpacked.
        size: bytes on disk.
        packing: "gzip", "bzip2", "zip", "parquet", or None for plain text.
        member: name of the file inside a zip archive.
        position: tells how many of the `size` bytes have been read.
    """

    name: str
    stream: IO[bytes]
    size: int
    packing: str | None
    member: str | None
    position: Callable[[], int]


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open `path`; how it is packed is told from its first bytes, not from its name.

    Raises:
        BadRatings: there is no such file, it is no regular file, may not be read, is empty, is a damaged archive, or
            is an archive in which no ratings file stands out.
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
        packing = next((kind for kind, signature in SIGNATURES.items() if signature.match(head)), None)
        stream: IO[bytes] = raw
        member = None
        if packing == "gzip":
            stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif packing == "bzip2":
            stream = stack.enter_context(bz2.BZ2File(raw))
        elif packing == "zip":
            with _damage_told(name, packing):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                member = _member(archive, name)
                stream = stack.enter_context(archive.open(member))
        yield Source(name, stream, size, packing, member, raw.tell)


def chunks(source: Source) -> Iterator[bytes]:
    """The unpacked bytes of `source`, `BLOCK_BYTES` at a time.

    Raises:
        BadRatings: the file is damaged or cut short, or unpacks to far more than its size.
    """
    unpacked = 0
    while True:
        with _damage_told(source.name, source.packing):
            chunk = source.stream.read(BLOCK_BYTES)
        if not chunk:
            return
        unpacked += len(chunk)
        if source.packing:
            refuse_bomb(source, unpacked)
        yield chunk


def refuse_bomb(source: Source, unpacked: int) -> None:
    """Look whether so many bytes may come of a file.

    Raises:
        BadRatings: they are far more than ratings come to.
    """
    if unpacked > max(ALWAYS_UNPACKED, MOST_TIMES * source.size):
        raise BadRatings(
            f"{source.name} unpacks to more than {MOST_TIMES} times its size, which ratings do not; "
            "unpack it yourself and give the path of the file, if it is meant to."
        )


@contextmanager
def _damage_told(name: str, packing: str | None) -> Iterator[None]:
    try:
        yield
    except BadRatings:
        raise
    except (NotImplementedError, RuntimeError) as error:
        raise BadRatings(f"{name} cannot be unpacked ({error}); pack it again as an ordinary {packing}.") from None
    except Exception as error:  # zipfile raises whatever a wrong byte leads it to, IndexError included
        if packing is None:
            raise BadRatings(f"{name} cannot be read to its end ({error}); copy it anew.") from None
        raise BadRatings(
            f"{name} is damaged or cut short, it does not unpack as {packing}; download or pack it again."
        ) from None


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """The only file in the archive, or else the only one that is called like ratings."""
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
