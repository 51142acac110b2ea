"""Finished comparisons, noted with all that they hang on, so that one of which nothing has changed is shown at once.

To plan a comparison takes the import of Prefect and a look at each of its tasks, which is seconds; to compare a note's
digests takes a fraction of one.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import DamagedArtefact
from recsys.settings import Settings
from recsys.store.artifacts import Manifest, sha256_of, verified, with_checksum
from recsys.store.run_history import read, results
from recsys.store.store import Store


@dataclass(frozen=True)
class Answer:
    """A comparison whose every task was in the store, undamaged.

    Attributes:
        made_from: what `made_from` returned.
        artefacts: manifests of what its tasks made, without their facts.
        folder: of its report.
        published: path inside that folder -> SHA-256, of each file.
        latest: name of the report that the link to the newest one led to.
        past: digest of the results of the runs in the store's history, which reports show.
        tasks: how many there are.
        columns: which column of the ratings holds what, in words.
    """

    made_from: Mapping[str, Any]
    artefacts: Sequence[Manifest]
    folder: str
    published: Mapping[str, str]
    latest: str
    past: str
    tasks: int
    columns: str


def made_from(store: Store, settings: Settings, inputs: Iterable[Path], packages: Iterable[Path]) -> dict[str, Any]:
    """Return what a comparison hangs on: settings, the content of its input files, code, and libraries.

    Raises OSError if a file cannot be read.
    """
    return {
        "settings": settings.anchored.model_dump(mode="json"),
        "inputs": {str(path.absolute()): store.digest(path) for path in inputs},
        "code": _digest({f"{path}": sha256_of(path) for package in packages for path in _code(package)}),
        "libraries": _digest([sys.version, *_installed()]),
    }


def answer_of(
    store: Store, made: Mapping[str, Any], manifests: Iterable[Manifest], folder: Path, *, tasks: int, columns: str
) -> Answer:
    """Return what is to be noted of a comparison, whose report is in `folder`."""
    artefacts: list[Manifest] = [{**manifest, "facts": {}} for manifest in manifests]
    return Answer(made, artefacts, str(folder), _published(folder), _latest(folder), _past(store), tasks, columns)


def note_answer(store: Store, answer: Answer) -> None:
    """Write an answer down in its store; a store with a URL keeps none, as other machines may change what it has."""
    if not store.shared:
        store.note(_name(answer.made_from), with_checksum(asdict(answer)))


def noted_answer(store: Store, made: Mapping[str, Any]) -> Answer | None:
    """Return the answer to a comparison, None if there is none, or if anything that it hangs on has changed.

    Its artefacts are verified and marked as used, and its report is there as it was published.
    """
    if store.shared or (document := store.noted(_name(made))) is None:
        return None
    try:
        answer = Answer(**verified(document, "the note of an answer"))
        if answer.made_from != made or answer.past != _past(store):
            return None
        folder = Path(answer.folder)
        if answer.published != _published(folder) or answer.latest != _latest(folder):
            return None
        for manifest in answer.artefacts:
            store.verify(manifest)
    except (DamagedArtefact, OSError, TypeError, KeyError):  # TypeError, KeyError: of another version
        return None
    return answer


def _name(made: Mapping[str, Any]) -> str:
    """Of the note: one for each choice of settings, whatever the ratings and the code."""
    return f"answer-{_digest(made['settings'])[:32]}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _code(package: Path) -> list[Path]:
    """Without what Python and Numba compile of it, which appears while other processes run."""
    return sorted(path for path in package.rglob("*") if path.is_file() and path.parent.name != "__pycache__")


def _installed() -> list[str]:
    """Name and version of each installed library, as the names of their metadata's folders have them."""
    found: set[str] = set()
    for place in sys.path:
        with suppress(OSError):
            found.update(name for name in os.listdir(place or ".") if name.endswith(".dist-info"))
    return sorted(found)


def _published(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _latest(folder: Path) -> str:
    try:
        return os.readlink(folder.parent / "latest")
    except OSError:
        return ""


def _past(store: Store) -> str:
    runs = sorted(read(store), key=lambda run: run.series)
    return _digest([run.model_dump(mode="json", exclude={"when"}) for run in results(runs)])
