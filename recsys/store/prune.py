"""Removing from a store what has not been used for a while, and what killed processes left unfinished.

What is used is touched, at most once an hour: an artefact's manifest, a note, the digest of an input. So its time of
change says when it was last used; that of a checkpoint is the time of its newest epoch.

An artefact or checkpoint whose lock is held is being made, and stays. Prefect's record of an artefact is removed
first, then the artefact is renamed, then its files are removed, so that nothing incomplete is taken for complete if
pruning is killed; the next pruning or run removes the rest. A run whose artefacts are removed under it says so and
makes them anew the next time; as nothing is removed that was used within a day, that takes a run of a day.

Only what the store itself has named is removed: files and folders named by a key, and not reached through a link. The
run history, the last comparison and reports stay; so do locks, empty files that another process may be about to take.
"""

import fnmatch
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from recsys.errors import BadSettings
from recsys.store.artifacts import MANIFEST, NEW, OLD, TEMPORARY, lock_of

MIN_AGE = 86_400.0
"""Seconds; a run may be about to read what it has found."""

SECONDS_TO_WRITE = 3600.0
"""A small file that is not in its place after so long never will be, even by the clock of another machine."""

CHECKPOINTS = "checkpoints"
NOTES = "notes", "digests"
RECORDS = "results/keys", "results/values"

KEY = re.compile(r"[0-9a-f]{32}")
"""Names of artefacts, their checkpoints and their records."""


@dataclass
class Pruned:
    """What was removed, its bytes, and how many old artefacts and checkpoints stayed because they are in use."""

    artefacts: int = 0
    checkpoints: int = 0
    bytes: int = 0
    busy: int = 0


def prune(root: Path, older_than: float, *, only_count: bool = False) -> Pruned:
    """Remove from the store at `root` what was last used more than `older_than` seconds ago, a day or more.

    Of a store with a URL, only the working copy is pruned. With `only_count`, what would be removed is only counted.

    Raises:
        BadSettings: this is no store, or `older_than` is less than a day.
        OSError: something cannot be removed.
    """
    if older_than < MIN_AGE:
        raise BadSettings("What was used within a day stays: a run may be about to read it. Say 1d or more.")
    if not (root / "locks").is_dir():
        raise BadSettings(f"{root} is no store: give the folder that runs were told with --store.")
    if not only_count:
        remove_unfinished(root)
    pruning = _Pruning(root, time.time() - older_than, only_count)
    pruning.artefacts()
    pruning.checkpoints()
    pruning.notes()
    return pruning.pruned


def remove_unfinished(root: Path) -> None:
    """Remove small files that are older than any writer takes, and unfinished artefacts whose lock nobody holds."""
    for folder, _, names in os.walk(root):  # skips what vanishes meanwhile, at which rglob fails
        for name in fnmatch.filter(names, TEMPORARY):
            file = Path(folder, name)
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > SECONDS_TO_WRITE:
                    file.unlink()
    for suffix in (NEW, OLD):
        for unfinished in root.glob(f"*/.*{suffix}"):
            key = unfinished.name.removeprefix(".").removesuffix(suffix)
            lock = FileLock(lock_of(root, f"{unfinished.parent.name}/{key}"))
            with suppress(Timeout, OSError), lock.acquire(blocking=False):
                shutil.rmtree(unfinished)


@dataclass
class _Pruning:
    root: Path
    latest: float
    only_count: bool
    pruned: Pruned = field(default_factory=Pruned)

    def artefacts(self) -> None:
        """Remove unused artefacts, and records of artefacts that are gone."""
        folders = [manifest.parent for manifest in self.root.glob(f"[!.]*/*/{MANIFEST}")]
        for folder in sorted(filter(self._ours, folders)):
            if self._remove(folder, [lock_of(self.root, f"{folder.parent.name}/{folder.name}")]):
                self.pruned.artefacts += 1
        present = {folder.name for folder in folders}
        for record in self._files(RECORDS, "*"):
            if KEY.fullmatch(record.name) and record.name not in present and self._unused(record):
                self._unlink(record)

    def checkpoints(self) -> None:
        for folder in sorted(filter(self._ours, (self.root / CHECKPOINTS).glob("*/"))):
            if self._remove(folder, [*(self.root / "locks").glob(f"*-{folder.name}.lock")]):
                self.pruned.checkpoints += 1

    def notes(self) -> None:
        for note in self._files(NOTES, "[!.]*.json"):
            if self._unused(note):
                self._unlink(note)

    def _remove(self, folder: Path, locks: list[Path]) -> bool:
        if not self._unused(folder):
            return False
        with ExitStack() as held:
            try:
                for lock in locks:
                    held.enter_context(FileLock(lock).acquire(blocking=False))
            except Timeout:
                self.pruned.busy += 1
                return False
            if not self._unused(folder):  # used or removed before the lock was ours
                return False
            if folder.parent.name != CHECKPOINTS:
                for record in self._files(RECORDS, folder.name):
                    self._unlink(record)
            self.pruned.bytes += sum(file.stat().st_size for file in _inside(folder))
            if not self.only_count:
                gone = folder.with_name(f".{folder.name}{OLD}")
                folder.rename(gone)
                with suppress(FileNotFoundError):  # `remove_unfinished` may have come first
                    shutil.rmtree(gone)
        return True

    def _unlink(self, file: Path) -> None:
        with suppress(FileNotFoundError):
            size = file.lstat().st_size
            if not self.only_count:
                file.unlink()
            self.pruned.bytes += size

    def _unused(self, path: Path) -> bool:
        """Whether an artefact, a checkpoint or a file was last used so long ago; what is gone counts as used."""
        try:
            manifest = path / MANIFEST
            used = [manifest] if manifest.exists() else [*_inside(path)] or [path]
            return max(file.stat().st_mtime for file in used) < self.latest
        except FileNotFoundError:
            return False

    def _files(self, folders: tuple[str, ...], names: str) -> list[Path]:
        places = [self.root / folder for folder in folders if self._in_store(self.root / folder)]
        return [file for place in places for file in place.glob(names) if file.is_file() and not file.is_symlink()]

    def _ours(self, folder: Path) -> bool:
        """Whether a folder is named by a key, as those of a store are, and not reached through a link."""
        return bool(KEY.fullmatch(folder.name)) and self._in_store(folder)

    def _in_store(self, folder: Path) -> bool:
        return folder.resolve() == self.root.resolve() / folder.relative_to(self.root)


def _inside(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
