"""Searches that are remembered: one that has been gone through needs no Optuna, nor the time to load it.

What a search asks for next hangs on what it is given and on what it was told so far. Each such step is noted
under the digest of these, so that a course that is known is followed from the notes, and the search itself is
only asked where they end.
"""

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from recsys.errors import TrialsFailed
from recsys.evaluation.results import Tuning
from recsys.models.settings import FitSettings
from recsys.models.specs import Family
from recsys.store.fingerprint import code_of, versions_of
from recsys.store.store import Manifest, Store
from recsys.tuning.members import Allowance, Member
from recsys.tuning.search import Attempt, Chosen, Found, search
from recsys.tuning.standard_error import SquaredErrors

Outcomes = Sequence[Manifest | Exception]
Step = list[Attempt] | Found


def remembered_search(
    store: Store, family: Family, members: Sequence[Member], allowed: Allowance, seed: int, errors: SquaredErrors
) -> Generator[list[Attempt], Outcomes, Found]:
    """Search as `recsys.tuning.search.search` does, with notes in `store`."""
    given = {
        "members": [_described(member) for member in members],
        "allowed": asdict(allowed),
        "seed": seed,
        "code": code_of(["recsys.tuning.search", "recsys.tuning.standard_error"]),
        "versions": versions_of(["numpy", "optuna"]),
    }
    kinds = {member.name: type(member.given) for member in members}
    searching, sent = search(family, members, allowed, seed, errors), -1  # -1: it has not been begun
    course: list[Outcomes] = []
    while True:
        known = json.dumps([given, [[_told(outcome) for outcome in outcomes] for outcomes in course]], sort_keys=True)
        note = f"search-{hashlib.sha256(known.encode()).hexdigest()[:32]}"
        step = _read(store.noted(note), kinds, course)
        if step is None:
            try:
                while sent < len(course):
                    step = next(searching) if sent < 0 else searching.send(course[sent])
                    sent += 1
            except StopIteration as end:
                step = end.value
            assert step is not None
            store.note(note, _written(step, course))
        if isinstance(step, Found):
            return step
        course.append((yield step))


def _described(member: Member) -> list[Any]:
    space, given = member.space, member.given.model_dump(mode="json")
    return [member.name, member.title, member.chooses_epochs, repr(space.fields), space.known, space.epochs, given]


def _told(outcome: Manifest | Exception) -> Any:
    return {"failed": str(outcome)} if isinstance(outcome, Exception) else outcome


def _written(step: Step, course: Sequence[Outcomes]) -> bytes:
    if isinstance(step, list):
        document: Any = {
            "attempts": [[one.number, one.model, one.settings.model_dump(mode="json"), one.sampled] for one in step]
        }
    else:
        rows = {name: _row(chosen, course) for name, chosen in step.rows.items()}
        document = {"tuning": step.tuning.model_dump(mode="json"), "rows": rows}
    return json.dumps(document).encode()


def _row(chosen: Chosen, course: Sequence[Outcomes]) -> dict[str, Any]:
    """A model's settings, and which outcome its fit is, or why there is none."""
    fits = [(i, j) for i, outcomes in enumerate(course) for j, one in enumerate(outcomes) if one is chosen.fit]
    failed = str(chosen.fit) if isinstance(chosen.fit, Exception) else None
    return {"settings": chosen.settings.model_dump(mode="json"), "fit": fits[0] if fits else None, "failed": failed}


def _read(note: bytes | None, kinds: Mapping[str, type[FitSettings]], course: Sequence[Outcomes]) -> Step | None:
    """Return the step that a note tells of; None where there is none that can be read."""
    try:
        document = json.loads(note or b"null")
        if "attempts" in document:
            return [
                Attempt(number, model, kinds[model].model_validate(values), sampled)
                for number, model, values, sampled in document["attempts"]
            ]
        rows = {}
        for name, row in document["rows"].items():
            fit: Any = TrialsFailed(row["failed"])
            if row["fit"]:
                i, j = row["fit"]
                fit = course[i][j]
            rows[name] = Chosen(kinds[name].model_validate(row["settings"]), fit)
        return Found(Tuning.model_validate(document["tuning"]), rows)
    except (ValueError, KeyError, TypeError, IndexError):
        return None
