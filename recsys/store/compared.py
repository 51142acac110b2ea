"""What was compared under some settings: the last ratings, and of a folder all that were delivered so far.

A delivery is known by its content. Its time says nothing about when it came, as copies keep that of the original.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from recsys.errors import DamagedArtefact
from recsys.settings import Settings
from recsys.store.artifacts import verified, with_checksum
from recsys.store.store import Store, write_atomically

NOT_IDENTIFYING = {"refresh", "scaling"}
"""Settings that do not change the result of a comparison."""

MOST_DELIVERIES = 10_000
"""Deliveries of a folder that are remembered, the last ones."""


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Attributes:
        ratings: path of the ratings file.
        sha256: digest of its content.
        report: folder of the report.
        delivered: of a folder of ratings files, the digests of those that have had their turn; None of a single file.
        failed: digests of deliveries whose comparison failed.
    """

    ratings: str
    sha256: str
    report: str
    delivered: list[str] | None = None
    failed: list[str] | None = None

    def after(self, last: "Compared | None", present: Mapping[Path, str]) -> "Compared":
        """Return the same as a comparison of a file of a folder, which has had these files and a `last` comparison.

        Files that are `present` at the first comparison are not compared later: they came before it.
        """
        before = last.delivered if last else None
        if before is None:
            before = [digest for digest in present.values() if digest]
        delivered = list(dict.fromkeys([*before, self.sha256]))[-MOST_DELIVERIES:]
        failed = [] if last is None else [digest for digest in last.failed or () if digest != self.sha256]
        return replace(self, delivered=delivered, failed=failed)

    def but_failed(self, digest: str) -> "Compared":
        """Return the same, with one more delivery whose comparison failed: others have their turn first."""
        return replace(self, failed=list(dict.fromkeys([*(self.failed or ()), digest]))[-MOST_DELIVERIES:])


def digests(store: Store, files: Sequence[Path]) -> dict[Path, str]:
    """Return the digest of each file that is still there, empty of one that cannot be read."""
    found = {}
    for file in files:
        try:
            found[file] = store.digest(file)
        except FileNotFoundError:
            continue
        except OSError:  # comparing it says what is wrong
            found[file] = ""
    return found


def outstanding(present: Mapping[Path, str], last: Compared | None) -> list[Path]:
    """Return the files of a folder that are to be compared, in their order.

    That is the newest at first, and later whatever has another content than those before, the oldest first; what has
    failed comes last.

    Args:
        present: the files of the folder, the oldest first, and their `digests`.
        last: the last comparison under the same settings.
    """
    if last is None or last.delivered is None:
        newest = list(present.items())[-1:]
        return [file for file, digest in newest if last is None or digest != last.sha256]
    new = {file: digest for file, digest in present.items() if digest not in last.delivered}
    return sorted(new, key=lambda file: new[file] in (last.failed or ()))


def last_compared(settings: Settings) -> Compared | None:
    """Return the last comparison under these settings; None if there is none, or if its report is gone."""
    try:
        note = _note(settings)
        compared = Compared(**verified(note.read_bytes(), note))
    except (OSError, TypeError, DamagedArtefact):
        return None  # no note, or none that can be read: comparing again makes a good one
    return compared if (Path(compared.report) / "report.html").is_file() else None


def remember(settings: Settings, compared: Compared) -> None:
    """Record a finished comparison under these settings, so that unchanged ratings are not compared again."""
    write_atomically(_note(settings), with_checksum(asdict(compared), indent=1))


def _note(settings: Settings) -> Path:
    """The path of the record of the last comparison; different settings have different ones."""
    name = sha256(settings.model_dump_json(exclude=NOT_IDENTIFYING).encode()).hexdigest()[:32]
    return Store(settings.output.store).root / "compared" / f"{name}.json"
