"""What writers that were killed leave in a store, and how it goes."""

import fnmatch
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recsys.artefacts import NEW, OLD, TEMPORARY, lock_of

SECONDS_TO_WRITE = 3600.0
"""A small file that is not in its place after so long never will be, even by the clock of another machine."""


def remove_leftovers(root: Path) -> None:
    """Remove from the store at `root` what no living writer will put in its place.

    Small files that are older than any writer takes, and folders of artefacts whose lock nobody holds.
    """
    for folder, _, names in os.walk(root):  # passes over what vanishes meanwhile, at which rglob fails
        for name in fnmatch.filter(names, TEMPORARY):
            file = Path(folder, name)
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > SECONDS_TO_WRITE:
                    file.unlink()
    for ending in (NEW, OLD):
        for left in root.glob(f"*/.*{ending}"):
            key = left.name.removeprefix(".").removesuffix(ending)
            lock = FileLock(lock_of(root, f"{left.parent.name}/{key}"))
            with suppress(Timeout, OSError), lock.acquire(blocking=False):
                shutil.rmtree(left)
