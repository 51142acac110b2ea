"""The last comparison under some settings, so that unchanged ratings are not compared again."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys.errors import DamagedArtefact
from recsys.settings import Settings
from recsys.store.artifacts import sealed, unsealed
from recsys.store.store import Store, write_atomically

NOT_IDENTIFYING = {"refresh", "scaling"}
"""Settings that do not change the result of a comparison."""


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Attributes:
        ratings: path of the file.
        sha256: digest of its content.
        report: folder of the report.
    """

    ratings: str
    sha256: str
    report: str


def last_compared(settings: Settings) -> Compared | None:
    """Return the last comparison under these settings; None if there is none, or if its report is gone."""
    try:
        note = _note(settings)
        compared = Compared(**unsealed(note.read_bytes(), note))
    except (OSError, TypeError, DamagedArtefact):
        return None  # no note, or none that can be read: comparing again makes a good one
    return compared if (Path(compared.report) / "report.html").is_file() else None


def remember(settings: Settings, compared: Compared) -> None:
    """Record a finished comparison under these settings."""
    write_atomically(_note(settings), sealed(asdict(compared), indent=1))


def _note(settings: Settings) -> Path:
    """The path of the record; different settings have different ones."""
    name = hashlib.sha256(settings.model_dump_json(exclude=NOT_IDENTIFYING).encode()).hexdigest()[:32]
    return Store(settings.output.store).root / "compared" / f"{name}.json"
