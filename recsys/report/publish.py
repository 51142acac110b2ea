"""Writing the pages of a report, and putting it where people look for it."""

import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from recsys.errors import BadManifest, BadSettings, StoreUnavailable
from recsys.evaluation.results import Comparison
from recsys.report.card import model_card
from recsys.report.checks import with_muted
from recsys.report.contents import report_of
from recsys.report.html import html_page
from recsys.report.manifest import RunManifest
from recsys.report.markdown import markdown_report
from recsys.report.sections.use import Winner
from recsys.report.svg import PLOTS_INDEX, load_plots
from recsys.winner.about import ABOUT, EXAMPLES, About, read_examples

SIGN = "comparison.json"  # the file by which a folder is known as a report that may be replaced
WINNER = "winner"  # the folder of the model to use, inside of a report
NEWEST = "latest"  # the link to the newest report


def pages(files: Mapping[str, Path], winner: Winner | None = None, folder: str = "") -> dict[str, bytes]:
    """Return report.html and report.md; the same comparison.json and plots with their index give the same bytes.

    `folder` is where they will be, as commands name it.
    """
    return _pages(Comparison.model_validate_json(files[SIGN].read_bytes()), files, winner, folder)


def _pages(comparison: Comparison, files: Mapping[str, Path], winner: Winner | None, folder: str) -> dict[str, bytes]:
    report = report_of(comparison, load_plots(files), winner, folder)
    return {"report.html": html_page(report).encode(), "report.md": markdown_report(report).encode()}


def publish_report(
    files: Mapping[str, Path],
    reports: Path,
    name: str,
    winner: Mapping[str, Path] | None = None,
    muted: Collection[str] = (),
) -> Path:
    """Publish what `build_report` made, the pages of it, and the files of the model to use; see `publish`.

    `muted` are ids or names of checks.
    """
    winner = winner or {}
    shown = {path: source for path, source in files.items() if path != PLOTS_INDEX}
    used = {f"{WINNER}/{path}": source for path, source in winner.items()}
    folder = f"{reports.name}/{name}"
    comparison = with_muted(Comparison.model_validate_json(files[SIGN].read_bytes()), muted)
    made = _pages(comparison, files, _winner(winner, f"{folder}/{WINNER}"), folder) | card_files(files, winner)
    if muted:
        made[SIGN] = (comparison.model_dump_json(indent=2) + "\n").encode()
    return publish({**shown, **used, **made}, reports, name)


def _winner(files: Mapping[str, Path], folder: str) -> Winner | None:
    if not files:
        return None
    return Winner(folder, About.model_validate_json(files[ABOUT].read_bytes()), read_examples(files[EXAMPLES]))


def model_used(report: Path) -> str | None:
    """Return the row of a published report's model to use, None if there is no such model.

    Raises:
        BadManifest: its winner.json is damaged.
    """
    path = report / WINNER / ABOUT
    if not path.exists():
        return None
    try:
        return About.model_validate_json(path.read_bytes()).name
    except (OSError, ValueError) as error:
        raise BadManifest(f"{path} cannot be read, or is damaged: repeat the run, which writes it anew.") from error


def card_files(files: Mapping[str, Path], winner: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the model card of the model to use, as path inside the report -> content; none without a model."""
    if not winner:
        return {}
    comparison = Comparison.model_validate_json(files["comparison.json"].read_bytes())
    manifest = files["manifest.json"].read_bytes()
    about = About.model_validate_json(winner[ABOUT].read_bytes())
    card = model_card(comparison, about, RunManifest.model_validate_json(manifest), manifest)
    return {f"{WINNER}/card.json": card.as_json(), f"{WINNER}/card.md": card.as_markdown()}


def publish(
    files: Mapping[str, Path | bytes], reports: Path, name: str, sign: str = SIGN, *, newest: bool = True
) -> Path:
    """Write a report's files to `reports/name`, replacing an older report, and point `reports/latest` at it.

    The copy is made beside its place and renamed, so that whoever looks finds the old report or the new one, whole.
    `files` are path inside the report -> where the file is, or its content. Returns the report's folder.

    Args:
        sign: the file by which an older folder is known as one that may be replaced.
        newest: whether `reports/latest` is to lead to it.

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
            if target.exists() and not (target / sign).is_file():
                raise BadSettings(
                    f"{target} exists and is no report: it is left alone; choose another --name or --reports."
                )
            if not _same(files, target):
                _replace(files, target)
            if newest:
                _point(reports / NEWEST, name)
    except OSError as error:
        raise StoreUnavailable(
            f"The report cannot be written to {target} ({error.strerror or error}): "
            "make room or permission there, or choose another place with --reports."
        ) from error
    return target


def _same(files: Mapping[str, Path | bytes], target: Path) -> bool:
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    return there == set(files) and all(_equal(source, target / name) for name, source in files.items())


def _equal(one: Path | bytes, other: Path) -> bool:
    if isinstance(one, bytes):
        return one == other.read_bytes()
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _replace(files: Mapping[str, Path | bytes], target: Path) -> None:
    for leftover in target.parent.glob(".*.tmp"):
        _remove(leftover)  # of a writer that died: the lock is ours
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        for name, source in files.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, bytes):
                place.write_bytes(source)
            else:
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
