"""Artefacts on disk: folders that are complete or absent, manifests, checksums, locks and atomic writes."""

import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NotRequired, TypedDict, cast

from filelock import FileLock, Timeout

from recsys.errors import DamagedArtefact
from recsys.parts import parts_of

MANIFEST, MADE_FROM = "artefact.json", "made_from.json"
"""What an artefact's folder holds beside its files; without the first it is no artefact."""

CHECKSUM = "seal"
"""The field of a JSON document that holds the SHA-256 of all others."""

NEW, OLD = ".new", ".old"
"""Suffixes of hidden folders: an artefact that is being made, and one that is being replaced."""

TEMPORARY = ".*.tmp"
"""The names of small files that are being written."""

SECONDS_BETWEEN_ATTEMPTS = 1.0

Facts = dict[str, Any]
"""What a task found out about its artefact, as JSON: rows, users, losses, …"""


class FileEntry(TypedDict):
    """A file of an artefact; `path` is relative to the store."""

    path: str
    sha256: str
    bytes: int


class Manifest(TypedDict):
    """What tasks pass to each other instead of data.

    `seconds` is how long the artefact took to make, `peak_mb` the most memory in 10⁶ bytes that the process held
    meanwhile, other work included; older ones lack it.
    """

    kind: str
    key: str
    files: list[FileEntry]
    facts: Facts
    seconds: float
    peak_mb: NotRequired[float]


def content(manifest: Manifest) -> dict[str, str]:
    """Return file name -> digest, which is all of an artefact that the result of a task may depend on."""
    return {Path(entry["path"]).name: entry["sha256"] for entry in manifest["files"]}


def only(manifest: Manifest, *names: str) -> Manifest:
    """Return the manifest without all files but `names`."""
    return {**manifest, "files": [entry for entry in manifest["files"] if Path(entry["path"]).name in names]}


def manifest_in(document: bytes, folder: object) -> Manifest:
    """Return the manifest of the artefact in `folder` from its file; raises DamagedArtefact if it is cut or changed."""
    return cast(Manifest, verified(document, f"{folder}/{MANIFEST}"))


def split_path(entry: FileEntry) -> tuple[str, PurePosixPath]:
    """Return the folder of a file's artefact, relative to the store, and the file's path inside it.

    Raises DamagedArtefact if the file's path is outside of every artefact.
    """
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
        raise DamagedArtefact(f"{path} is no path in a store")
    layer, key, *inside = path.parts
    return f"{layer}/{key}", PurePosixPath(*inside)


def with_checksum(document: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Return a document as JSON, with a checksum of its fields."""
    return json.dumps({**document, CHECKSUM: _checksum(document)}, indent=indent).encode()


def verified(content: bytes, name: object) -> dict[str, Any]:
    """Return the document that `with_checksum` wrote, without its checksum; an error calls it `name`.

    Raises DamagedArtefact if it is cut or changed.
    """
    try:
        document = json.loads(content)
        checksum = document.pop(CHECKSUM)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedArtefact(f"{name} cannot be read ({type(error).__name__})") from error
    if checksum != _checksum(document):
        raise DamagedArtefact(f"{name} has changed since it was written")
    return dict(document)


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, or that of the names and digests of the parts of a folder."""
    if path.is_dir() and (parts := parts_of(path)):
        return sha256_of_parts({part.name: sha256_of(part) for part in parts})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_parts(digests: Mapping[str, str]) -> str:
    """Return the hexadecimal SHA-256 of a folder of parts from those of the parts, by their names."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, completely or not at all."""
    with _replacing(path) as file:
        file.write(data)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file to `path`, completely or not at all."""
    with source.open("rb") as data, _replacing(path) as file:
        shutil.copyfileobj(data, file)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def lock_of(root: Path, folder: str) -> Path:
    """Return the file that is locked while an artefact of the store at `root` is made."""
    return root / "locks" / f"{folder.replace('/', '-')}.lock"


@contextmanager
def locked(root: Path, folder: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of the artefact in `folder` (layer/key) of the store; a thread that holds it may take it again.

    `waiting` is called about once a second while another process or thread holds it, and may raise.
    """
    path = lock_of(root, folder)
    held: set[Path] = _HELD.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=SECONDS_BETWEEN_ATTEMPTS)
        except Timeout:
            waiting()
    held.add(path)
    try:
        yield
    finally:
        held.discard(path)
        lock.release()


_HELD = threading.local()


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `folder` when the block succeeds; the artefact's lock must be held."""
    folder.parent.mkdir(exist_ok=True)
    for unfinished in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(unfinished)  # of a writer that died: the lock is ours
    temporary = folder.with_name(f".{folder.name}{NEW}")
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.rglob("*"):
            _flush(path)
        _flush(temporary)
        if folder.exists():
            folder.rename(folder.with_name(f".{folder.name}{OLD}"))
        temporary.rename(folder)
        _flush(folder.parent)
    finally:
        for unfinished in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(unfinished, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
