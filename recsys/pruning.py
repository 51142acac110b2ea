"""Removing from a store what nobody has used for a while.

An artefact's manifest is touched when it is used, at most once an hour, so that its time says when that was last. What
is removed is forgotten first (Prefect's record of it, then the artefact by its name, then its files), so that a
pruning that is killed leaves nothing that is taken for whole. An artefact, or a checkpoint, whose lock is held is being
made, and stays. A run that goes on with what was removed under it says so in a sentence and makes it anew the next
time; as nothing is removed that was used within a day, that takes a run of a day.

The history of runs, the notes on what was compared, and reports stay; so do locks, which are empty files.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from recsys.artefacts import MANIFEST, OLD, lock_of
from recsys.errors import BadSettings

LEAST_AGE = 86_400.0
"""Seconds; a run may be about to read what it found before."""

CHECKPOINTS, DIGESTS = "checkpoints", "digests"
RECORDS = "results/keys", "results/values"


@dataclass
class Pruned:
    """What was removed, and what was left alone though it is old."""

    artefacts: int = 0
    checkpoints: int = 0
    bytes: int = 0
    busy: int = 0


def prune(root: Path, older_than: float, *, only_count: bool = False) -> Pruned:
    """Remove from the store at `root` what was last used more than `older_than` seconds ago.

    Args:
        root: the store's folder, or a working copy of a store with a URL, which keeps everything.
        older_than: seconds, a day or more.
        only_count: remove nothing, and return what would be removed.

    Raises:
        BadSettings: this is no store, or `older_than` is less than a day.
        OSError: something cannot be removed.
    """
    if older_than < LEAST_AGE:
        raise BadSettings("What was used within a day stays: a run may be about to read it. Say 1d or more.")
    if not (root / "locks").is_dir():
        raise BadSettings(f"{root} is no store: give the folder that runs were told with --store.")
    latest, pruned = time.time() - older_than, Pruned()
    for manifest in sorted(root.glob(f"[!.]*/[!.]*/{MANIFEST}")):
        folder = manifest.parent
        if not _links(folder, root) and _unused_since(manifest, latest):
            locks = [lock_of(root, f"{folder.parent.name}/{folder.name}")]
            _remove(root, folder, manifest, latest, locks, pruned, only_count)
    for folder in sorted((root / CHECKPOINTS).glob("[!.]*")):
        newest = max(_files(folder), key=lambda file: file.stat().st_mtime, default=folder)
        if folder.is_dir() and not _links(folder, root) and _unused_since(newest, latest):
            locks = [*(root / "locks").glob(f"*-{folder.name}.lock")]
            _remove(root, folder, newest, latest, locks, pruned, only_count)
    for note in (root / DIGESTS).glob("*.json"):
        if not only_count and _unused_since(note, latest):
            note.unlink(missing_ok=True)
    return pruned


def _remove(
    root: Path, folder: Path, used: Path, latest: float, locks: list[Path], pruned: Pruned, only_count: bool
) -> None:
    with ExitStack() as held:
        try:
            for lock in locks:
                held.enter_context(FileLock(lock).acquire(blocking=False))
        except Timeout:
            pruned.busy += 1
            return
        if not _unused_since(used, latest):
            return  # somebody has come before us
        size = sum(file.stat().st_size for file in _files(folder))
        if not only_count:
            for records in RECORDS:
                (root / records / folder.name).unlink(missing_ok=True)
            gone = folder.with_name(f".{folder.name}{OLD}")
            folder.rename(gone)
            shutil.rmtree(gone)
        pruned.bytes += size
        pruned.checkpoints += folder.parent.name == CHECKPOINTS
        pruned.artefacts += folder.parent.name != CHECKPOINTS


def _unused_since(path: Path, latest: float) -> bool:
    try:
        return path.lstat().st_mtime < latest
    except FileNotFoundError:
        return False


def _links(folder: Path, root: Path) -> bool:
    """Whether a link leads to the folder: what it leads to is not ours."""
    return folder.is_symlink() or folder.parent.is_symlink() or not folder.resolve().is_relative_to(root.resolve())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
