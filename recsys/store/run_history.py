"""The history of runs, a file in the store with a line of JSON for each run.

Machines that share a store by its URL share the history: each keeps a copy, and appending a run merges this copy with
the shared one. A line lost when two machines write at once comes back with the next run of its machine.

Runs that can be compared over time form a series: the same data set or file, protocol and kind of split.
Settings, code and the ratings themselves may change within one; the history shows what such changes do.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from recsys.errors import DamagedArtefact
from recsys.store.artifacts import verified, with_checksum
from recsys.store.store import Store, write_atomically

Side = Literal["network", "factorisation", "tie"]
"""Which side predicts better."""

TABLE = "history/runs.jsonl"
"""Path of the file in the store."""

MAX_KEPT = 200
"""Runs of a series that are kept; a stretch of equal results counts as two at most."""

Line = tuple[bytes, "PastRun"]
"""A line as it is written, so that what a later version added to it is kept, and as it is read."""

log = logging.getLogger(__name__)


class PastScore(BaseModel):
    """The score of a model, combination or baseline in a run.

    `mse` is in squared rating units, the mean over `seeds` seeds; `sd` is their standard deviation, None for one seed.
    `chosen` is whether the search of its family chose the model, None where there was none.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    kind: Literal["model", "combination", "baseline"]
    mse: float
    seeds: int = 1
    sd: float | None = None
    chosen: bool | None = None


class PastRun(BaseModel):
    """The record of a run.

    `series` names the runs that it can be compared with. `ratings` and `test` are digests: of the ratings after
    duplicates were handled, and of which of them were held out. `headline` is the report's answer, `side` the better
    side and `winner` the title of its model; both None where there is no answer, `winner` also in a tie.
    `rating_mean`, `rating_sd`, `rating_min` and `rating_max` are in rating units. `settings` has those that are not
    the defaults, by dotted name, `code` is a digest of the library's code, and `versions` are those of its libraries.
    """

    model_config = ConfigDict(frozen=True)

    when: AwareDatetime
    report: str
    series: str
    ratings: str
    test: str
    rows: int
    users: int
    items: int
    test_rows: int
    cold_test_rows: int
    rating_mean: float
    rating_sd: float
    rating_min: float
    rating_max: float
    headline: str
    side: Side | None
    winner: str | None
    scores: tuple[PastScore, ...]
    settings: dict[str, Any] = {}
    code: str = ""
    versions: dict[str, str] = {}

    def score(self, name: str) -> PastScore | None:
        """The score of this name, if there is one."""
        return next((score for score in self.scores if score.name == name), None)


def same_result(one: PastRun, other: PastRun) -> bool:
    """Whether two runs have the same scores on the same ratings, so that the second is no further evidence."""
    result = ("ratings", "test", "headline", "side", "scores")
    return all(getattr(one, name) == getattr(other, name) for name in result)


def results(runs: Iterable[PastRun]) -> list[PastRun]:
    """The runs of a series, oldest first, without those that have the same result as the run before."""
    runs = list(runs)
    return [run for at, run in enumerate(runs) if not at or not same_result(runs[at - 1], run)]


def in_series(runs: Iterable[PastRun], run: PastRun) -> list[PastRun]:
    """The runs of the same series as `run`."""
    return [other for other in runs if other.series == run.series]


def verdict_changed(before: PastRun, now: PastRun) -> str | None:
    """A sentence on how the verdict changed between two runs; None where the same side is better."""
    if before.side == now.side:
        return None
    return f"The verdict has changed: on {moment(before)} it was “{before.headline}”, and now it is “{now.headline}”."


def minute(run: PastRun) -> str:
    """The time of a run in UTC, to the minute."""
    return f"{run.when.astimezone(UTC):%Y-%m-%d %H:%M}"


def moment(run: PastRun) -> str:
    """The same with the time zone, for sentences."""
    return f"{minute(run)} UTC"


def read(store: Store) -> list[PastRun]:
    """Return all runs of the history, oldest first; lines that cannot be read are skipped, and logged by `append`.

    Raises StoreUnavailable if the store's URL cannot be used.
    """
    return [run for _, run in _known(_content(store.root / TABLE) + _shared(store))]


def append(store: Store, run: PastRun) -> None:
    """Add a run to the history.

    Writers wait for each other. Of a stretch of runs with the same result, the first and the last are kept, and of a
    series the last MAX_KEPT. Of a file with lines that cannot be read, a copy is kept beside it, with a warning, and
    the other lines stay.

    Raises:
        OSError: the store, which need not exist, cannot be written.
        StoreUnavailable: the store's URL cannot be used; the run is in this machine's copy nevertheless.
    """
    table = store.root / TABLE
    store.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    (store.root / "locks").mkdir(exist_ok=True)
    with FileLock(store.root / "locks" / "history.lock"):
        here = _content(table)
        _set_aside_if_damaged(table, here)
        write_atomically(table, _remembering(here, run))
        if store.shared:
            there = _shared(store)
            _set_aside_if_damaged(table, there)
            united = _remembering(here + there, run)
            write_atomically(table, united)
            store.shared.remote.write(TABLE, united)


def _content(table: Path) -> bytes:
    return table.read_bytes() if table.exists() else b""


def _shared(store: Store) -> bytes:
    """The shared file, for a store that has a URL."""
    return (store.shared.remote.read(TABLE) or b"") if store.shared else b""


def _known(content: bytes) -> list[Line]:
    lines: list[Line] = []
    for line in dict.fromkeys(content.splitlines()):
        try:
            lines.append((line, PastRun.model_validate(verified(line, TABLE))))
        except (DamagedArtefact, ValidationError):
            continue  # one bad line must not cost the others
    return sorted(lines, key=lambda known: known[1].when)


def _remembering(content: bytes, run: PastRun) -> bytes:
    lines = [*_known(content), (with_checksum(run.model_dump(mode="json")), run)]
    return b"".join(line + b"\n" for line in _worth_keeping(lines))


def _set_aside_if_damaged(table: Path, content: bytes) -> None:
    lines, readable = len(content.splitlines()), len(_known(content))
    if lines == readable:
        return
    aside = table.with_name(f"runs-damaged-{sha256(content).hexdigest()[:12]}.jsonl")
    write_atomically(aside, content)
    log.warning(
        "%s is damaged: %d of its %d lines cannot be read; it is kept as %s, and the history goes on without them",
        *(table, lines - readable, lines, aside.name),
    )


def _worth_keeping(lines: Sequence[Line]) -> list[bytes]:
    kept: set[int] = set()
    for series in dict.fromkeys(run.series for _, run in lines):
        places = [place for place, (_, run) in enumerate(lines) if run.series == series]
        runs = [lines[place][1] for place in places]
        kept.update([place for at, place in enumerate(places) if not _amid_equals(runs, at)][-MAX_KEPT:])
    return [line for place, (line, _) in enumerate(lines) if place in kept]


def _amid_equals(runs: Sequence[PastRun], at: int) -> bool:
    inside = 0 < at < len(runs) - 1
    return inside and same_result(runs[at - 1], runs[at]) and same_result(runs[at], runs[at + 1])
