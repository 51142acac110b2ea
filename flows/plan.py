"""What a run would compute, and why, found out without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import Task

from flows.executor import Call
from recsys.errors import DamagedArtefact
from recsys.store.costs import after
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Facts, Manifest, Store
from tasks.cache import Recipe, Uncached, manifests_in, recipe_of, recorded


@dataclass(frozen=True)
class Planned:
    """A task of the plan with its number of runs; `why` it has to run is empty if the results of all are cached."""

    task: str
    why: str
    runs: int = 1
    cached_runs: int = 0

    @property
    def cached(self) -> bool:
        """Whether all of the task's results are cached."""
        return not self.why


@dataclass(frozen=True)
class Unknown:
    """The result of a task that has to run first; all its parts are unknown, too."""

    task: str

    def __getitem__(self, part: str) -> "Unknown":
        """Return a part of the unknown result."""
        return self

    @property
    def settings(self) -> "Unknown":
        """An attribute of what a search would find."""
        return self

    fit = rows = tuning = settings


@dataclass
class Planner:
    """The interpreter that looks each task up in the cache instead of running it.

    Attributes:
        ratings: what was read of the ratings file, where that is cached.
        made: the artefacts that were found.
        to_run: what each run of a task that is not cached would make, in order; see `recsys.store.costs.after`.
    """

    store: str
    refresh: bool = False
    ratings: Facts | None = None
    made: list[Manifest] = field(default_factory=list)
    to_run: list[Fingerprint] = field(default_factory=list)
    _planned: dict[str, Planned] = field(default_factory=dict)

    @property
    def tasks(self) -> list[Planned]:
        """The tasks so far, in order."""
        return list(self._planned.values())

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Return the task's cached result, or Unknown."""
        needed = dict.fromkeys(unknown.task for unknown in _unknown(arguments))
        wanted = recipe_of(task).fingerprint(_awaiting(arguments))
        if needed:
            result, why = Unknown(task.name), f"after {' and '.join(needed)}"
        else:
            result, why = self._look_up(task, wanted)
        if why:
            self.to_run.append(wanted)
        else:
            self.made += manifests_in(result)
        if task.name == "ingest" and not isinstance(result, Unknown):
            self.ratings = result["facts"]
        old = self._planned.get(task.name, Planned(task.name, "", runs=0))
        self._planned[task.name] = Planned(task.name, old.why or why, old.runs + 1, old.cached_runs + (not why))
        return result

    submit = run

    def gather(self, calls: Sequence[Call]) -> list[Any]:
        """Return the tasks' cached results, or Unknown."""
        return [self.run(task, **arguments) for task, arguments in calls]

    def unknown(self, results: Sequence[Any]) -> Unknown | None:
        """Return the first unknown result."""
        return next((result for result in results if isinstance(result, Unknown)), None)

    def _look_up(self, task: Task[..., Any], fingerprint: Fingerprint) -> tuple[Any, str]:
        """Return a task's cached result, or Unknown, and why the task has to run, "" if it need not."""
        why = "everything is to be recomputed (--refresh)" if self.refresh else ""
        try:
            if not isinstance(task.cache_policy, Uncached):
                return recorded(self.store, fingerprint.key), why
            store = Store(self.store)
            made = store.manifest(fingerprint)
            store.check(made)
            return made, why
        except (FileNotFoundError, NotADirectoryError):
            return Unknown(task.name), why or self._changes(recipe_of(task), fingerprint)
        except DamagedArtefact as damage:
            return Unknown(task.name), why or str(damage)

    def _changes(self, recipe: Recipe, fingerprint: Fingerprint) -> str:
        """How a result that is not cached differs from the most similar one that is."""
        made = [other for other in Store(self.store).fingerprints(recipe.layer) if other.task == recipe.task]
        if not made:
            return "first run"
        differences = min((other.differences(fingerprint) for other in made), key=len)
        return ", ".join(_described(*difference) for difference in differences) or "its record is missing"


def _unknown(argument: Any) -> list[Unknown]:
    if isinstance(argument, Unknown):
        return [argument]
    parts = argument.values() if isinstance(argument, Mapping) else argument if isinstance(argument, list) else ()
    return [unknown for part in parts for unknown in _unknown(part)]


def _awaiting(argument: Any) -> Any:
    """An argument with what stands for the unknown in place of it."""
    if isinstance(argument, Unknown):
        return after(argument.task)
    if isinstance(argument, Mapping):
        return {name: _awaiting(part) for name, part in argument.items()}
    return [_awaiting(part) for part in argument] if isinstance(argument, list) else argument


def _described(name: str, old: Any, new: Any) -> str:
    part, *names = name.split(".")
    if part == "settings":
        return f"{'.'.join(names[1:]) or names[0]} {_short(old)} -> {_short(new)}"
    if part == "versions":
        return f"{names[0]} {old} -> {new}"
    if part == "code":
        path = Path(*".".join(names).split(".")).with_suffix(".py")
        return f"{path} {'is new' if old is None else 'was removed' if new is None else 'changed'}"
    return f"{'/'.join(names)} changed"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"
