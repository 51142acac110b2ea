"""Replaying a recorded run: the same ratings, what has changed since, and whether the numbers agree."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recsys.errors import BadManifest
from recsys.evaluation.results import Tuning
from recsys.models.specs import family_of
from recsys.report.manifest import Environment, RunManifest
from recsys.store.store import sha256_of
from recsys.text import count, listed


def check_ratings(recorded: RunManifest, path: Path) -> None:
    """Check that an existing file is the one that a run read.

    Raises:
        BadManifest: it is another one, or has changed.
    """
    found, expected = sha256_of(path), recorded.ratings.sha256
    if found != expected:
        raise BadManifest(
            f"{path} is not the file that the run read: its SHA-256 begins with {found[:12]} instead of "
            f"{expected[:12]}; a run can only be replayed on the same ratings."
        )


def changes_since(then: Environment, now: Environment) -> str:
    """Return one sentence on what has changed of library versions, Python, processor and code since a run."""
    changed = [f"{name} {old} -> {new}" for name, old, new in changed_versions(then, now)]
    changed += changed_modules(then, now)
    if not changed:
        return "Code, library versions and processor are those of the recorded run."
    return f"Changed since the recorded run: {listed(changed)}."


def changed_versions(then: Environment, now: Environment) -> list[tuple[str, str, str]]:
    """Return name, old and new version of each library, of Python and of the processor, where the two differ."""
    names = [*sorted({*then.versions, *now.versions}), "python", "processor"]
    before, after = ({**run.versions, **run.machine.model_dump()} for run in (then, now))
    pairs = [(name, before.get(name, "absent"), after.get(name, "absent")) for name in names]
    return [(name, old, new) for name, old, new in pairs if old != new]


def changed_modules(then: Environment, now: Environment) -> list[str]:
    """Return the path of each module whose code differs, and how it does."""
    changed = []
    for module in sorted({*then.code, *now.code}):
        old, new = then.code.get(module), now.code.get(module)
        if old != new:
            change = "is new" if old is None else "is gone" if new is None else "changed"
            changed.append(f"{module.replace('.', '/')}.py {change}")
    return changed


@dataclass(frozen=True)
class Agreement:
    """Whether every number of a replayed run is the same as on record, to the last digit, and what differs."""

    same: bool
    sentences: list[str]


class Moved(NamedTuple):
    """A score that is not the same in two runs."""

    row: str
    metric: str
    before: float | None
    now: float | None

    @property
    def by(self) -> float:
        """How far, 0 where there is a number on one side only."""
        return 0.0 if self.before is None or self.now is None else abs(self.now - self.before)


def agreement(before: RunManifest, now: RunManifest) -> Agreement:
    """Compare the scores, the verdict, and, where scores differ, what they were made from."""
    then, metrics = ({metric for scores in run.scores.values() for metric in scores} for run in (before, now))
    added = metrics - then
    moved = list(moved_scores(before.scores, now.scores, added))
    same_verdict = before.verdict == now.verdict
    changed = [] if same_verdict else [f"The verdict was “{before.verdict}”, and is now “{now.verdict}”."]
    new = [f"Not compared, as the recorded run did not have it: {listed(sorted(added))}."] if added else []
    if not moved:
        return Agreement(same=True, sentences=["The same numbers, to the last digit.", *new, *changed])
    reasons = [*_searches(before, now), *_files(before, now), *(changed or ["The verdict is the same."])]
    return Agreement(same=False, sentences=[_how_far(before, now, moved), *new, *reasons])


def _how_far(before: RunManifest, now: RunManifest, moved: list[Moved]) -> str:
    differing = len({number.row for number in moved})
    rows = count(len({*before.scores, *now.scores}), "row")
    sentence = f"{differing} of {rows} {'differs' if differing == 1 else 'differ'}"
    furthest = max(moved, key=lambda number: number.by)
    if furthest.by:
        sentence += (
            f"; the largest difference is {furthest.by:.3g}, in {furthest.metric} of {furthest.row}: "
            f"{furthest.before!r} then, {furthest.now!r} now"
        )
    if gone := sorted({*before.scores} - {*now.scores}):
        sentence += f"; without numbers now: {listed(gone)}"
    if come := sorted({*now.scores} - {*before.scores}):
        sentence += f"; without numbers then: {listed(come)}"
    return f"{sentence}."


def moved_scores(
    before: Mapping[str, Mapping[str, float | None]],
    now: Mapping[str, Mapping[str, float | None]],
    added: Collection[str] = (),
) -> Iterator[Moved]:
    """Every number that is not the same in both, those of only one included, but for metrics added since then."""
    for row in dict.fromkeys((*before, *now)):
        old, new = before.get(row, {}), now.get(row, {})
        for metric in dict.fromkeys((*old, *new)):
            if metric in added and row in before:
                continue
            if old.get(metric) != new.get(metric) or (metric in old) != (metric in new):
                yield Moved(row, metric, old.get(metric), new.get(metric))


def _searches(before: RunManifest, now: RunManifest) -> Iterator[str]:
    """Searches with another number of trials, as time allowed, or with another winner."""
    then = {_family(tuning): tuning for tuning in before.tuning}
    for tuning in now.tuning:
        old = then.get(_family(tuning))
        if old and (len(old.trials), old.name, old.winner) != (len(tuning.trials), tuning.name, tuning.winner):
            yield (
                f"A search ran {count(len(old.trials), 'trial')} and chose {_which(old)}, "
                f"and now {count(len(tuning.trials), 'trial')} and {_which(tuning)}."
            )


def _family(tuning: Tuning) -> str | None:
    """The family that a search is of, in records of earlier versions by the name of its row."""
    return tuning.family or family_of(tuning.name)


def _which(tuning: Tuning) -> str:
    return "none" if tuning.winner is None else f"trial {tuning.winner} of {tuning.name}"


def _files(before: RunManifest, now: RunManifest) -> Iterator[str]:
    both = [name for name in now.artefacts if name in before.artefacts]
    if different := [name for name in both if before.artefacts[name].files != now.artefacts[name].files]:
        yield f"Artefacts that differ: {listed(different)}."
