"""Folders into which files of ratings are delivered."""

import time
from pathlib import Path

from recsys.data.sources import ENDINGS

SETTLING = 60.0
"""Seconds without a change after which a file counts as complete."""


def newest(folder: Path) -> Path | None:
    """Return the ratings file of a folder that was changed last; of several, the one whose name comes last.

    The time of the change decides, not the name: names need not follow a calendar. Hidden files and those without
    a known ending (.part, .tmp) are passed over, and folders inside as well.

    Returns:
        Its path; None if the folder holds none.
    """
    found = [
        path
        for path in folder.iterdir()
        if ENDINGS.search(path.name) and not path.name.startswith(".") and path.is_file()
    ]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def may_be_growing(path: Path) -> bool:
    """Return whether a file was changed so lately that its writer may not be done.

    A time in the future says nothing about that: it is another clock's.
    """
    return 0 <= time.time() - path.stat().st_mtime < SETTLING
