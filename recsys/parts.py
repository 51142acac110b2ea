"""A folder of parts: one table in several files, as Spark and Hadoop write it."""

from pathlib import Path

from recsys.errors import BadRatings
from recsys.text import escaped

PART = "part-"
"""How the name of each part begins."""

UNFINISHED, VERSIONED = "_temporary", "_delta_log"
"""What a folder holds while its job runs, and what the folder of a Delta table holds."""


def parts_of(folder: Path) -> list[Path]:
    """Return the parts of a folder in the order of their names, without empty ones.

    A folder has parts if it holds files named part-*, and besides only what begins with "." or "_", such as _SUCCESS
    and checksums; of any other path the list is empty.
    """
    try:
        shown = [path for path in folder.iterdir() if path.name[0] not in "._"]
        whole = all(path.name.startswith(PART) and path.is_file() for path in shown)
        return sorted(path for path in shown if path.stat().st_size) if whole else []
    except (OSError, ValueError):  # no folder, or one that may not be read: whoever opens it says so
        return []


def require_complete(folder: Path) -> None:
    """Raise BadRatings if the parts of a folder are not the whole table, or hold more than the table."""
    name = escaped(str(folder))
    if (folder / UNFINISHED).exists():
        raise BadRatings(
            f"{name} is still being written, or its job has failed, as it holds {UNFINISHED}; wait for the job to end, "
            "or run it again."
        )
    if (folder / VERSIONED).exists():
        raise BadRatings(
            f"{name} is a Delta table, whose parts may hold rows that were deleted; write the table as parquet and "
            "give that."
        )
