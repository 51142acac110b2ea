"""The artefact store: folders named by the key of what made them, complete or absent, verified by digest."""

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from filelock import FileLock

from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.fingerprint import Fingerprint

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


def content(manifest: Manifest) -> dict[str, str]:
    """Return file name -> digest: all that a task's result may depend on of the artefact it reads."""
    return {Path(entry["path"]).name: entry["sha256"] for entry in manifest["files"]}


def only(manifest: Manifest, *names: str) -> Manifest:
    """Return the manifest without all files but `names`."""
    files = [entry for entry in manifest["files"] if Path(entry["path"]).name in names]
    return Manifest(
        kind=manifest["kind"], key=manifest["key"], files=files, facts=manifest["facts"], seconds=manifest["seconds"]
    )


class Store:
    """A folder of artefacts, one layer (folder) a kind.

    Writers of the same key wait for each other on kernel locks, which vanish with their process.
    """

    def __init__(self, root: str | Path) -> None:
        """Open the store at `root`; the folder need not exist."""
        self.root = Path(root).expanduser().absolute()

    def make(
        self,
        fingerprint: Fingerprint,
        build: Callable[[Path], Facts],
        *,
        refresh: bool = False,
    ) -> Manifest:
        """Return the artefact that `fingerprint` names, building it unless it is there and undamaged.

        Args:
            fingerprint: what the artefact is made from; its digest is the key.
            build: writes the files into the (temporary) folder it is given and returns the facts.
            refresh: build anew, whatever is there.

        Raises:
            StoreUnavailable: the store's folder cannot be written.
        """
        if not refresh and (found := self.find(fingerprint)):
            return found
        try:
            self._prepare()
            with FileLock(self.root / "locks" / f"{fingerprint.layer}-{fingerprint.key}.lock"):
                if not refresh and (found := self.find(fingerprint)):
                    return found
                return self._build(fingerprint, build)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}:
                raise StoreUnavailable(
                    f"The store {self.root} cannot be written ({error.strerror}): "
                    "make room or permission there, or choose another place with --store."
                ) from error
            raise

    def checkpoint(self, fingerprint: Fingerprint, *, fresh: bool = False) -> Path:
        """Return the folder for unfinished work on an artefact; with `fresh`, what was there is removed."""
        folder = self.root / "checkpoints" / fingerprint.key
        if fresh and folder.exists():
            shutil.rmtree(folder)
        return folder

    def find(self, fingerprint: Fingerprint) -> Manifest | None:
        """Return the artefact that `fingerprint` names, or None if it is absent or damaged."""
        try:
            manifest: Manifest = json.loads((self._folder(fingerprint) / "artefact.json").read_bytes())
            self.verify(manifest)
        except (OSError, ValueError, KeyError, DamagedArtefact):
            return None
        return manifest

    def verify(self, manifest: Manifest) -> None:
        """Check every file of an artefact against its digest, reading each once per process.

        Raises:
            DamagedArtefact: a file is missing, cut or changed.
        """
        for entry in manifest["files"]:
            self._verify(entry)

    def path(self, manifest: Manifest, name: str) -> Path:
        """Return the verified path of the file `name` of an artefact.

        Raises:
            KeyError: the manifest has no such file.
            DamagedArtefact: the file is missing, cut or changed.
        """
        for entry in manifest["files"]:
            if Path(entry["path"]).name == name:
                return self._verify(entry)
        raise KeyError(f"{manifest['kind']} {manifest['key']} has no file {name}")

    def files(self, manifest: Manifest) -> dict[str, Path]:
        """Return path inside the artefact -> verified path, of each of its files."""
        return {"/".join(Path(entry["path"]).parts[2:]): self._verify(entry) for entry in manifest["files"]}

    def paths(self, *manifests: Manifest) -> dict[str, Path]:
        """Return name without ending -> verified path, of all files of some artefacts."""
        return {Path(entry["path"]).stem: self._verify(entry) for manifest in manifests for entry in manifest["files"]}

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file outside the store, remembered by path, size, time and inode.

        A file changed within the last two seconds is not remembered: its next change could leave
        all four as they are.
        """
        state = path.stat()
        seen = {
            "path": str(path.absolute()),
            "bytes": state.st_size,
            "mtime_ns": state.st_mtime_ns,
            "inode": state.st_ino,
        }
        note = self.root / "digests" / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}.json"
        try:
            known = json.loads(note.read_bytes())
            if {name: known.get(name) for name in seen} == seen:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError):
            pass  # no note yet, or an unreadable one: the file itself is the truth
        sha256 = sha256_of(path)
        if time.time_ns() - state.st_mtime_ns > 2_000_000_000 and path.stat().st_mtime_ns == state.st_mtime_ns:
            self._prepare()
            write_atomically(note, json.dumps(seen | {"sha256": sha256}).encode())
        return sha256

    def fingerprints(self, layer: str) -> list[Fingerprint]:
        """Return what the artefacts of a layer were made from, newest first."""
        notes = sorted((self.root / layer).glob("*/made_from.json"), key=lambda note: -note.stat().st_mtime_ns)
        return [Fingerprint.from_json(note.read_text()) for note in notes]

    def _folder(self, fingerprint: Fingerprint) -> Path:
        return self.root / fingerprint.layer / fingerprint.key

    def _prepare(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self.root} cannot be made ({error.strerror}): choose another place with --store."
            ) from error

    def _build(self, fingerprint: Fingerprint, build: Callable[[Path], Facts]) -> Manifest:
        folder = self._folder(fingerprint)
        folder.parent.mkdir(exist_ok=True)
        for leftover in folder.parent.glob(f".{fingerprint.key}.*"):
            shutil.rmtree(leftover)  # of a writer that died: the lock is ours
        temporary = folder.with_name(f".{fingerprint.key}.new")
        temporary.mkdir()
        try:
            start = time.perf_counter()
            facts = build(temporary)
            seconds = time.perf_counter() - start
            manifest = Manifest(
                kind=fingerprint.task,
                key=fingerprint.key,
                files=[self._entry(path, temporary, folder) for path in sorted(temporary.rglob("*")) if path.is_file()],
                facts=facts,
                seconds=round(seconds, 3),
            )
            (temporary / "made_from.json").write_text(fingerprint.to_json())
            (temporary / "artefact.json").write_text(json.dumps(manifest, indent=1))
            for path in temporary.rglob("*"):
                _flush(path)
            _flush(temporary)
            if folder.exists():
                folder.rename(folder.with_name(f".{fingerprint.key}.old"))
            temporary.rename(folder)
            _flush(folder.parent)
        finally:
            for leftover in folder.parent.glob(f".{fingerprint.key}.*"):
                shutil.rmtree(leftover, ignore_errors=True)
        return manifest

    def _entry(self, path: Path, temporary: Path, folder: Path) -> FileEntry:
        place = folder.relative_to(self.root) / path.relative_to(temporary)
        return FileEntry(path=place.as_posix(), sha256=sha256_of(path), bytes=path.stat().st_size)

    def _verify(self, entry: FileEntry) -> Path:
        path = self.root / entry["path"]
        try:
            state = path.stat()
            seen = (state.st_size, state.st_mtime_ns, state.st_ino, entry["sha256"])
            if _VERIFIED.get(path) == seen:
                return path
            if state.st_size == entry["bytes"] and sha256_of(path) == entry["sha256"]:
                _VERIFIED[path] = seen
                return path
        except FileNotFoundError:
            raise DamagedArtefact(f"{path} is missing") from None
        raise DamagedArtefact(f"{path} has changed since it was written")


_VERIFIED: dict[Path, tuple[int, int, int, str]] = {}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
