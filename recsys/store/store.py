"""The artefact store: finds, makes and verifies artefacts, named by the key of what they are made from."""

import errno
import hashlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from recsys.energy import working
from recsys.errors import DamagedArtefact, NotEnoughMemory, StoreUnavailable
from recsys.memory import REMEDY, is_lack_of_memory, peak_memory
from recsys.parts import parts_of
from recsys.store.artifacts import (
    MADE_FROM,
    MANIFEST,
    Facts,
    FileEntry,
    Manifest,
    content,
    locked,
    manifest_in,
    only,
    replacing,
    sha256_of,
    sha256_of_parts,
    split_path,
    verified,
    with_checksum,
    write_atomically,
)
from recsys.store.fingerprint import SETTLED, Fingerprint
from recsys.store.prune import remove_unfinished
from recsys.store.remote import SharedCopy, place_of

__all__ = ["Facts", "FileEntry", "Manifest", "Store", "content", "only", "sha256_of", "write_atomically"]

SECONDS_BETWEEN_TOUCHES = 3600.0
"""How exactly the time of change of a file says when it was last used, which `recsys.store.prune` reads."""

LEAST_FREE = 2**20
"""A disk with fewer free bytes is full, as files take whole blocks."""

log = logging.getLogger(__name__)


class Store:
    """A folder of artefacts, one layer (folder) a kind.

    Writers of the same key wait for each other on kernel locks, which vanish with their process.

    The folder of a store with a URL is this machine's working copy. Artefacts made here are sent to the URL as well,
    at the latest when they are used next, and those missing or damaged here are fetched from there when first verified.
    Checkpoints, locks and digests of inputs are not shared: a training can be resumed only on its machine.
    """

    def __init__(self, root: str | Path) -> None:
        """Open the store at `root`, a folder that need not exist, or the URL of one that fsspec can reach."""
        self.root, remote = place_of(root)
        self.shared = SharedCopy(self.root, remote) if remote else None

    def make(
        self,
        fingerprint: Fingerprint,
        build: Callable[[Path], Facts],
        *,
        refresh: bool = False,
        waiting: Callable[[], None] = lambda: None,
    ) -> Manifest:
        """Return the artefact that `fingerprint` names, building it unless it is there and undamaged.

        Args:
            build: writes the files into the (temporary) folder it is given and returns the facts.
            refresh: build anew, whatever is there.
            waiting: called about once a second while another process builds the same; may raise.

        Raises:
            StoreUnavailable: the store's folder cannot be written, or was changed meanwhile, or its URL cannot be used.
            NotEnoughMemory: building it takes more memory than is available.
        """
        if found := self._found(fingerprint, refresh=refresh):
            return found
        try:
            self._prepare()
            with locked(self.root, _folder(fingerprint), waiting):
                if found := self._found(fingerprint, refresh=refresh):  # another process may have built it meanwhile
                    return found
                made = self._build(fingerprint, build)
                if self.shared:
                    self.shared.send(_folder(fingerprint))
                return made
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}:
                raise StoreUnavailable(
                    f"The store {self.root} cannot be written ({os.strerror(error.errno)}): "
                    "make room or get write access there, or choose another place with --store."
                ) from error
            # Arrow sets no file name
            if isinstance(error, FileNotFoundError) and f"{self.root}{os.sep}" in str(error):
                raise self._changed(f"{error.filename or error} is missing") from error
            raise

    def checkpoint(self, fingerprint: Fingerprint, *, fresh: bool = False) -> Path:
        """Return the folder for checkpoints of an artefact's training; with `fresh`, earlier ones are removed."""
        folder = self.root / "checkpoints" / fingerprint.key
        if fresh and folder.exists():
            shutil.rmtree(folder)
        return folder

    def find(self, fingerprint: Fingerprint) -> Manifest | None:
        """Return the artefact that `fingerprint` names, or None if it is absent or damaged."""
        try:
            manifest = self.manifest(fingerprint)
            self.verify(manifest)
        except OSError:
            return None
        except DamagedArtefact as damage:
            log.warning("%s; it is made anew", damage)
            return None
        return manifest

    def manifest(self, fingerprint: Fingerprint) -> Manifest:
        """Return the manifest of the artefact that `fingerprint` names, without looking at its files.

        Raises FileNotFoundError if there is no such artefact, DamagedArtefact if its manifest is cut or changed.
        """
        folder = _folder(fingerprint)
        try:
            document = (self.root / folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            shared = self.shared.manifest(folder) if self.shared else None
            if shared is None:
                raise
            document = shared
        return manifest_in(document, self.root / folder)

    def share(self, manifest: Manifest) -> None:
        """Send an artefact to the store's URL, if it has one, unless it is there."""
        if self.shared:
            self.shared.share(manifest)

    def verify(self, manifest: Manifest) -> None:
        """Check the digest of every file of an artefact, reading each once per process, and mark the artefact as used.

        Raises DamagedArtefact if a file is missing, cut or changed.
        """
        for entry in manifest["files"]:
            self._verify(entry)
        for folder in {split_path(entry)[0] for entry in manifest["files"]}:
            _mark_used(self.root / folder / MANIFEST)

    def check(self, manifest: Manifest) -> None:
        """Check every file of an artefact as `verify` does, but fetch none from the store's URL."""
        absent = []
        for entry in manifest["files"]:
            try:
                self._verify_here(entry)
            except DamagedArtefact:
                if not self.shared:
                    raise
                absent.append(entry)
        if self.shared and not self.shared.holds(absent):
            raise DamagedArtefact(f"{self.shared.remote.url} has lost a file of {manifest['kind']} {manifest['key']}")

    def path(self, manifest: Manifest, name: str) -> Path:
        """Return the verified path of the file `name` of an artefact; raises KeyError if the manifest has none."""
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
        """Return the SHA-256 of a file outside the store, saved by path, size, inode and times of change.

        These are the time of the content, which a copy sets as it likes, and that of the inode. The digest of a file
        changed within the last two seconds is not saved: its next change could leave all of them as they are. That of a
        folder of parts is made of their names and digests. Raises OSError if there is no such file, it is no regular
        one, or it cannot be read.
        """
        state = path.stat()
        if stat.S_ISDIR(state.st_mode) and (parts := parts_of(path)):
            return sha256_of_parts({part.name: self.digest(part) for part in parts})
        if not stat.S_ISREG(state.st_mode):  # reading a pipe or a device may never end
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        where = str(path.absolute())
        seen = {"path": where, "bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "inode": state.st_ino}
        seen["ctime_ns"] = state.st_ctime_ns
        note = self.root / "digests" / f"{hashlib.sha256(where.encode()).hexdigest()[:32]}.json"
        try:
            known = verified(note.read_bytes(), note)
            if {name: known.get(name) for name in seen} == seen:
                _mark_used(note)
                return str(known["sha256"])
        except (OSError, KeyError, DamagedArtefact):
            pass  # no note yet, or a damaged one
        sha256 = sha256_of(path)
        if time.time_ns() - state.st_mtime_ns > SETTLED and path.stat().st_mtime_ns == state.st_mtime_ns:
            self._prepare()
            with suppress(OSError):  # it only saves time
                write_atomically(note, with_checksum(seen | {"sha256": sha256}))
        return sha256

    def noted(self, name: str) -> bytes | None:
        """Return the note of that name, None if there is none."""
        note = self.root / "notes" / f"{name}.json"
        try:
            content = note.read_bytes()
        except OSError:
            return None
        _mark_used(note)
        return content

    def note(self, name: str, content: bytes) -> None:
        """Write a note that saves time and is not necessary: failure is ignored."""
        if self.root.exists():
            with suppress(OSError):
                write_atomically(self.root / "notes" / f"{name}.json", content)

    def fingerprints(self, layer: str) -> list[Fingerprint]:
        """Return what the artefacts of a layer were made from, newest first, leaving out what cannot be read."""
        noted: dict[str, tuple[int, bytes]] = {}
        for note in (self.root / layer).glob(f"[!.]*/{MADE_FROM}"):
            with suppress(FileNotFoundError):  # replaced or pruned meanwhile
                noted[f"{layer}/{note.parent.name}"] = note.stat().st_mtime_ns, note.read_bytes()
        documents = [document for _, document in sorted(noted.values(), key=lambda note: -note[0])]
        if self.shared:
            documents += self.shared.made_from(layer, besides=set(noted))
        found = []
        for document in documents:
            with suppress(DamagedArtefact, TypeError):  # TypeError: of another version
                found.append(Fingerprint(**verified(document, MADE_FROM)))
        return found

    def _found(self, fingerprint: Fingerprint, *, refresh: bool) -> Manifest | None:
        """The artefact, sent to the store's URL, or None if it has to be built."""
        if found := None if refresh else self.find(fingerprint):
            self.share(found)
        return found

    def _prepare(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self.root} cannot be made ({error.strerror}): choose another place with --store."
            ) from error
        if self.root not in _CLEANED:
            _CLEANED.add(self.root)
            remove_unfinished(self.root)

    def _build(self, fingerprint: Fingerprint, build: Callable[[Path], Facts]) -> Manifest:
        folder = _folder(fingerprint)
        with replacing(self.root / folder) as temporary:
            start = time.perf_counter()
            with self._with_explained_errors(fingerprint.task, temporary), working(), peak_memory() as peak:
                facts = build(temporary)
            seconds = round(time.perf_counter() - start, 3)
            files = [_entry(path, temporary, folder) for path in sorted(temporary.rglob("*")) if path.is_file()]
            manifest = Manifest(
                kind=fingerprint.task,
                key=fingerprint.key,
                files=files,
                facts=facts,
                seconds=seconds,
                peak_mb=round(peak.megabytes, 1),
            )
            (temporary / MADE_FROM).write_bytes(with_checksum(asdict(fingerprint), indent=1))
            (temporary / MANIFEST).write_bytes(with_checksum(manifest, indent=1))
        return manifest

    @contextmanager
    def _with_explained_errors(self, task: str, temporary: Path) -> Iterator[None]:
        """Explain errors of disk, memory and store while `temporary` is filled."""
        try:
            yield
        except DamagedArtefact as damage:
            raise self._changed(str(damage)) from damage
        except OSError as error:
            if not temporary.exists():
                raise self._changed(f"{temporary} is missing") from error
            if error.errno is None and shutil.disk_usage(self.root).free < LEAST_FREE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error  # NumPy does not say why
            raise
        except Exception as error:
            if not is_lack_of_memory(error):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise NotEnoughMemory(f"{task} has run out of memory ({reason}): {REMEDY}.") from error

    def _changed(self, what: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what}: the store {self.root} was changed from outside while it was used; repeat the command, which "
            "makes anew what is lost."
        )

    def _verify(self, entry: FileEntry) -> Path:
        try:
            return self._verify_here(entry)
        except DamagedArtefact as damage:
            if not self.shared:
                raise
            folder, _ = split_path(entry)
            if (self.root / folder).exists():
                log.warning("%s; it is fetched anew", damage)
        self._prepare()
        with locked(self.root, folder):
            try:
                return self._verify_here(entry)  # another process may have fetched it by now
            except DamagedArtefact:
                self.shared.fetch(folder)
        return self._verify_here(entry)

    def _verify_here(self, entry: FileEntry) -> Path:
        folder, inside = split_path(entry)  # a manifest may come from elsewhere
        path = self.root / folder / inside
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


_CLEANED: set[Path] = set()
"""Stores from which this process has removed unfinished files."""

_VERIFIED: dict[Path, tuple[int, int, int, str]] = {}


def _entry(path: Path, temporary: Path, folder: str) -> FileEntry:
    place = f"{folder}/{path.relative_to(temporary).as_posix()}"
    return FileEntry(path=place, sha256=sha256_of(path), bytes=path.stat().st_size)


def _mark_used(file: Path) -> None:
    """Record in the time of change of a file that it, or the artefact whose manifest it is, was used."""
    with suppress(OSError):  # a read-only store is not pruned either
        if time.time() - file.stat().st_mtime > SECONDS_BETWEEN_TOUCHES:
            os.utime(file)


def _folder(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.layer}/{fingerprint.key}"
