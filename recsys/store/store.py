"""The artefact store: folders named by the key of what made them, complete or absent, verified by digest."""

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

from recsys.errors import DamagedArtefact, NotEnoughMemory, StoreUnavailable
from recsys.memory import REMEDY, is_lack_of_memory
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
    placed,
    replacing,
    sealed,
    sha256_of,
    unsealed,
    write_atomically,
)
from recsys.store.fingerprint import Fingerprint
from recsys.store.prune import remove_leftovers
from recsys.store.remote import Mirror, place_of

__all__ = ["Facts", "FileEntry", "Manifest", "Store", "content", "only", "sha256_of", "write_atomically"]

SECONDS_BETWEEN_TOUCHES = 3600.0
"""How exactly the time of a file says when it was used last, which `recsys.store.prune` goes by."""

LEAST_FREE = 2**20
"""A disk with fewer bytes than these is full, as far as whole blocks of a file are concerned."""

log = logging.getLogger(__name__)


class Store:
    """A folder of artefacts, one layer (folder) a kind.

    Writers of the same key wait for each other on kernel locks, which vanish with their process.

    The folder of a store with a URL is this machine's working copy. What is made here is sent to the URL as well, and
    what is missing or damaged here is fetched from there when it is first verified; what could not be sent is kept
    and sent when it is next asked for. Checkpoints, locks and digests of inputs stay a machine's own: a training that
    was interrupted goes on only where it began.
    """

    def __init__(self, root: str | Path) -> None:
        """Open the store at `root`, a folder that need not exist, or the URL of one that fsspec can reach.

        Raises:
            BadSettings: nothing can be kept at such a URL.
        """
        self.root, remote = place_of(root)
        self.mirror = Mirror(self.root, remote) if remote else None

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
            fingerprint: what the artefact is made from; its digest is the key.
            build: writes the files into the (temporary) folder it is given and returns the facts.
            refresh: build anew, whatever is there.
            waiting: called about once a second while somebody else builds the same; may raise.

        Raises:
            StoreUnavailable: the store's folder cannot be written, or was changed by somebody else meanwhile, or its
                URL cannot be used.
            NotEnoughMemory: building it takes more memory than there is.
        """
        if not refresh and (found := self.find(fingerprint)):
            self.share(found)
            return found
        try:
            self._prepare()
            with locked(self.root, _folder(fingerprint), waiting):
                if not refresh and (found := self.find(fingerprint)):
                    self.share(found)
                    return found
                made = self._build(fingerprint, build)
                if self.mirror:
                    self.mirror.send(_folder(fingerprint))
                return made
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}:
                raise StoreUnavailable(
                    f"The store {self.root} cannot be written ({os.strerror(error.errno)}): "
                    "make room or permission there, or choose another place with --store."
                ) from error
            # Arrow sets no file name
            if isinstance(error, FileNotFoundError) and f"{self.root}{os.sep}" in str(error):
                raise self._changed(f"{error.filename or error} is missing") from error
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
            manifest = self.manifest(fingerprint)
            self.verify(manifest)
        except OSError:
            return None
        except DamagedArtefact as damage:
            log.warning("%s; it is made anew", damage)
            return None
        return manifest

    def manifest(self, fingerprint: Fingerprint) -> Manifest:
        """Return the manifest of the artefact that `fingerprint` names, whatever became of its files.

        Raises:
            FileNotFoundError: there is no such artefact.
            DamagedArtefact: its manifest is cut or changed.
        """
        folder = _folder(fingerprint)
        try:
            document = (self.root / folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            there = self.mirror.manifest(folder) if self.mirror else None
            if there is None:
                raise
            document = there
        return manifest_in(document, self.root / folder)

    def share(self, manifest: Manifest) -> None:
        """Have an artefact at the store's URL, if it has one, and not on this machine alone.

        Raises:
            StoreUnavailable: the URL cannot be used.
        """
        if self.mirror:
            self.mirror.share(manifest)

    def verify(self, manifest: Manifest) -> None:
        """Check every file of an artefact against its digest, reading each once per process, and note that it is used.

        Raises:
            DamagedArtefact: a file is missing, cut or changed.
        """
        for entry in manifest["files"]:
            self._verify(entry)
        for folder in {placed(entry)[0] for entry in manifest["files"]}:
            _note_use(self.root / folder / MANIFEST)

    def check(self, manifest: Manifest) -> None:
        """Check every file of an artefact as `verify` does, but fetch none that is elsewhere.

        Raises:
            DamagedArtefact: a file is missing, cut or changed.
        """
        absent = []
        for entry in manifest["files"]:
            try:
                self._verify_here(entry)
            except DamagedArtefact:
                if not self.mirror:
                    raise
                absent.append(entry)
        if self.mirror and not self.mirror.holds(absent):
            raise DamagedArtefact(f"{self.mirror.remote.url} has lost a file of {manifest['kind']} {manifest['key']}")

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

        Raises:
            OSError: there is no such file, it is no regular one, or it cannot be read.
        """
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe or a device may never end
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        seen = {
            "path": str(path.absolute()),
            "bytes": state.st_size,
            "mtime_ns": state.st_mtime_ns,
            "inode": state.st_ino,
        }
        note = self.root / "digests" / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}.json"
        try:
            known = unsealed(note.read_bytes(), note)
            if {name: known.get(name) for name in seen} == seen:
                _note_use(note)
                return str(known["sha256"])
        except (OSError, KeyError, DamagedArtefact):
            pass  # no note yet, or an unreadable one: the file itself is the truth
        sha256 = sha256_of(path)
        if time.time_ns() - state.st_mtime_ns > 2_000_000_000 and path.stat().st_mtime_ns == state.st_mtime_ns:
            self._prepare()
            with suppress(OSError):  # it saves time and can be done without
                write_atomically(note, sealed(seen | {"sha256": sha256}))
        return sha256

    def noted(self, name: str) -> bytes | None:
        """Return what is noted under a name, None if there is nothing."""
        note = self.root / "notes" / f"{name}.json"
        try:
            content = note.read_bytes()
        except OSError:
            return None
        _note_use(note)
        return content

    def note(self, name: str, content: bytes) -> None:
        """Note something that saves time and can be done without: where it cannot be written, it is not."""
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
        if self.mirror:
            documents += self.mirror.made_from(layer, besides=set(noted))
        found = []
        for document in documents:
            with suppress(DamagedArtefact, TypeError):  # TypeError: of a later or an earlier version
                found.append(Fingerprint(**unsealed(document, MADE_FROM)))
        return found

    def _prepare(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self.root} cannot be made ({error.strerror}): choose another place with --store."
            ) from error
        if self.root not in _SWEPT:
            _SWEPT.add(self.root)
            remove_leftovers(self.root)

    def _build(self, fingerprint: Fingerprint, build: Callable[[Path], Facts]) -> Manifest:
        folder = self.root / _folder(fingerprint)
        with replacing(folder) as temporary:
            start = time.perf_counter()
            with self._told(fingerprint.task, temporary):
                facts = build(temporary)
            seconds = time.perf_counter() - start
            manifest = Manifest(
                kind=fingerprint.task,
                key=fingerprint.key,
                files=[self._entry(path, temporary, folder) for path in sorted(temporary.rglob("*")) if path.is_file()],
                facts=facts,
                seconds=round(seconds, 3),
            )
            (temporary / MADE_FROM).write_bytes(sealed(asdict(fingerprint), indent=1))
            (temporary / MANIFEST).write_bytes(sealed(manifest, indent=1))
        return manifest

    @contextmanager
    def _told(self, task: str, temporary: Path) -> Iterator[None]:
        """Have what goes wrong with disk, memory and store while `temporary` is filled told in a sentence."""
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
            f"{what}: somebody has changed the store {self.root} while it was used; repeat the command, which makes "
            "anew what is lost."
        )

    def _entry(self, path: Path, temporary: Path, folder: Path) -> FileEntry:
        place = folder.relative_to(self.root) / path.relative_to(temporary)
        return FileEntry(path=place.as_posix(), sha256=sha256_of(path), bytes=path.stat().st_size)

    def _verify(self, entry: FileEntry) -> Path:
        try:
            return self._verify_here(entry)
        except DamagedArtefact as damage:
            if not self.mirror:
                raise
            folder, _ = placed(entry)
            if (self.root / folder).exists():
                log.warning("%s; it is fetched anew", damage)
        self._prepare()
        with locked(self.root, folder):
            try:
                return self._verify_here(entry)  # somebody else has fetched it by now
            except DamagedArtefact:
                self.mirror.fetch(folder)
        return self._verify_here(entry)

    def _verify_here(self, entry: FileEntry) -> Path:
        folder, place = placed(entry)  # a manifest may come from elsewhere
        path = self.root / folder / place
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


_SWEPT: set[Path] = set()
"""Stores that this process has rid of leftovers."""

_VERIFIED: dict[Path, tuple[int, int, int, str]] = {}


def _note_use(file: Path) -> None:
    """Have the time of a file say that it, or the artefact that it is the manifest of, is used."""
    with suppress(OSError):  # a store that may only be read is not pruned either
        if time.time() - file.stat().st_mtime > SECONDS_BETWEEN_TOUCHES:
            os.utime(file)


def _folder(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.layer}/{fingerprint.key}"
