"""Searches that are remembered: one that has been gone through needs no Optuna, nor the time to load it.

What a search asks for next hangs on what it is given and on what it was told so far. Each such step is noted
under the digest of these, so that a course that is known is followed from the notes, and the search itself is
only asked where they end.
"""

import hashlib
import json
from collections.abc import Generator, Sequence
from typing import Any

from recsys.errors import TrialsFailed
from recsys.evaluation.results import Tuning
from recsys.models.search_space import SearchSpace
from recsys.models.settings import FitSettings
from recsys.settings import TuningSettings
from recsys.store.fingerprint import code_of, versions_of
from recsys.store.store import Manifest, Store
from recsys.tuning.search import Attempt, Found, search

Outcomes = Sequence[Manifest | Exception]
Step = list[Attempt] | Found


def remembered_search(
    store: Store, name: str, title: str, space: SearchSpace, defaults: FitSettings, budget: TuningSettings, seed: int
) -> Generator[list[Attempt], Outcomes, Found]:
    """Search as `recsys.tuning.search.search` does, with notes in `store`."""
    given = {
        "space": [name, repr(space.fields), sorted(space.further)],
        "title": title,
        "defaults": defaults.model_dump(mode="json"),
        "budget": budget.model_dump(mode="json"),
        "seed": seed,
        "code": code_of(["recsys.tuning.search"]),
        "versions": versions_of(["numpy", "optuna"]),
    }
    searching, sent = search(name, title, space, defaults, budget, seed), -1  # -1: it has not been begun
    course: list[Outcomes] = []
    while True:
        known = json.dumps([given, [[_told(outcome) for outcome in outcomes] for outcomes in course]], sort_keys=True)
        note = f"search-{hashlib.sha256(known.encode()).hexdigest()[:32]}"
        step = _read(store.noted(note), type(defaults), course)
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


def _told(outcome: Manifest | Exception) -> Any:
    return {"failed": str(outcome)} if isinstance(outcome, Exception) else outcome


def _written(step: Step, course: Sequence[Outcomes]) -> bytes:
    if isinstance(step, list):
        document: Any = {"attempts": [[one.number, one.settings.model_dump(mode="json")] for one in step]}
    else:
        chosen = [(i, j) for i, outcomes in enumerate(course) for j, one in enumerate(outcomes) if one is step.chosen]
        document = {
            "tuning": step.tuning.model_dump(mode="json"),
            "settings": step.settings.model_dump(mode="json"),
            "chosen": chosen[0] if chosen else None,
            "failed": None if chosen else str(step.chosen),
        }
    return json.dumps(document).encode()


def _read(note: bytes | None, settings: type[FitSettings], course: Sequence[Outcomes]) -> Step | None:
    """Return the step that a note tells of; None where there is none that can be read."""
    try:
        document = json.loads(note or b"null")
        if "attempts" in document:
            return [Attempt(number, settings.model_validate(values)) for number, values in document["attempts"]]
        chosen: Any = TrialsFailed(document["failed"])
        if document["chosen"]:
            i, j = document["chosen"]
            chosen = course[i][j]
        tuning = Tuning.model_validate(document["tuning"])
        return Found(tuning, settings.model_validate(document["settings"]), chosen)
    except (ValueError, KeyError, TypeError, IndexError):
        return None
