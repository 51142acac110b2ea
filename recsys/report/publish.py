"""Putting a finished report where people look for it."""

import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from recsys.errors import BadSettings, StoreUnavailable

SIGN = "comparison.json"
"""The file by which a folder is known as a report that may be replaced."""

NEWEST = "latest"
"""The link to the newest report."""


def publish(files: Mapping[str, Path], reports: Path, name: str) -> Path:
    """Copy a report's files to `reports/name`, replacing an older report, and point `reports/latest` at it.

    The copy is made beside its place and renamed, so that whoever looks finds the old report or the
    new one, whole.

    Args:
        files: path inside the report -> where the file is.
        reports: folder of the reports.
        name: folder of this report.

    Returns:
        The report's folder.

    Raises:
        BadSettings: a folder of that name holds something else, or the name is that of the link.
        StoreUnavailable: the folder cannot be written.
    """
    target = reports / name
    if name == NEWEST:
        raise BadSettings(f"{target} leads to the newest report; choose another --name.")
    try:
        reports.mkdir(parents=True, exist_ok=True)
        with FileLock(reports / ".lock"):
            if target.exists() and not (target / SIGN).is_file():
                raise BadSettings(
                    f"{target} exists and is no report: it is left alone; choose another --name or --reports."
                )
            if not _same(files, target):
                _replace(files, target)
            _point(reports / NEWEST, name)
    except OSError as error:
        raise StoreUnavailable(
            f"The report cannot be written to {target} ({error.strerror or error}): "
            "make room or permission there, or choose another place with --reports."
        ) from error
    return target


def _same(files: Mapping[str, Path], target: Path) -> bool:
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    return there == set(files) and all(_equal(source, target / name) for name, source in files.items())


def _equal(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _replace(files: Mapping[str, Path], target: Path) -> None:
    for leftover in target.parent.glob(".*.tmp"):
        _remove(leftover)  # of a writer that died: the lock is ours
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        for name, source in files.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
        if target.exists():
            target.rename(fresh.with_name(f".{target.name}.old.tmp"))
        fresh.rename(target)
    finally:
        for leftover in target.parent.glob(".*.tmp"):
            with suppress(OSError):
                _remove(leftover)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def _point(link: Path, name: str) -> None:
    if link.is_symlink() and os.readlink(link) == name:
        return
    if link.exists() and not link.is_symlink():
        return  # somebody's own folder; the report itself is in its place
    fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex}.tmp")
    fresh.symlink_to(name, target_is_directory=True)
    fresh.replace(link)
