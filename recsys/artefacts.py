"""What an artefact is: a folder that is complete or absent, and the manifest that travels instead of it."""

import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from filelock import FileLock

from recsys.errors import DamagedArtefact

MANIFEST, MADE_FROM = "artefact.json", "made_from.json"
"""What an artefact's folder holds beside its files; without the first it is no artefact."""

Facts = dict[str, Any]
"""What an artefact is about, as JSON: rows, users, losses, …"""


class FileEntry(TypedDict):
    """A file of an artefact; `path` is relative to the store."""

    path: str
    sha256: str
    bytes: int


class Manifest(TypedDict):
    """What travels between tasks instead of data."""

    kind: str
    key: str
    files: list[FileEntry]
    facts: Facts
    seconds: float


def content(manifest: Manifest) -> dict[str, str]:
    """Return file name -> digest: all that a task's result may depend on of the artefact it reads."""
    return {Path(entry["path"]).name: entry["sha256"] for entry in manifest["files"]}


def only(manifest: Manifest, *names: str) -> Manifest:
    """Return the manifest without all files but `names`."""
    files = [entry for entry in manifest["files"] if Path(entry["path"]).name in names]
    return Manifest(
        kind=manifest["kind"], key=manifest["key"], files=files, facts=manifest["facts"], seconds=manifest["seconds"]
    )


def placed(entry: FileEntry) -> tuple[str, PurePosixPath]:
    """Return the folder of the artefact that a file belongs to, relative to the store, and its place in that.

    Raises:
        DamagedArtefact: the file's path leads out of every artefact.
    """
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
        raise DamagedArtefact(f"{path} is no path in a store")
    layer, key, *place = path.parts
    return f"{layer}/{key}", PurePosixPath(*place)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(root: Path, folder: str) -> Iterator[None]:
    """Hold the lock of an artefact of the store at `root`; a thread that holds it may take it once more."""
    path = root / "locks" / f"{folder.replace('/', '-')}.lock"
    held: set[Path] = _HELD.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    with FileLock(path):
        held.add(path)
        try:
            yield
        finally:
            held.discard(path)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes the place of `folder` unless that fails; the artefact's lock must be held."""
    folder.parent.mkdir(exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover)  # of a writer that died: the lock is ours
    temporary = folder.with_name(f".{folder.name}.new")
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.rglob("*"):
            _flush(path)
        _flush(temporary)
        if folder.exists():
            folder.rename(folder.with_name(f".{folder.name}.old"))
        temporary.rename(folder)
        _flush(folder.parent)
    finally:
        for leftover in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)


_HELD = threading.local()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
