"""What a run would compute, and why, found without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import Task

from flows.executor import Call
from recsys.errors import DamagedArtefact
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Store
from tasks.cache import Recipe, Uncached, recipe_of, recorded


@dataclass(frozen=True)
class Planned:
    """A task of the plan, run `runs` times: `why` is empty where all results are cached, `cached_runs` of them are."""

    task: str
    why: str
    runs: int = 1
    cached_runs: int = 0

    @property
    def cached(self) -> bool:
        """Whether all of the task's results are there."""
        return not self.why


@dataclass(frozen=True)
class Unknown:
    """The result of a task that has to run first."""

    task: str

    def __getitem__(self, part: str) -> "Unknown":
        """Return a part of the unknown result: as unknown."""
        return self

    @property
    def settings(self) -> "Unknown":
        """The settings that a search will have found."""
        return self

    @property
    def chosen(self) -> "Unknown":
        """The training that a search will have chosen."""
        return self

    @property
    def tuning(self) -> "Unknown":
        """The course that a search will have taken."""
        return self


@dataclass
class Planning:
    """An interpreter that looks each task up instead of running it."""

    store: str
    refresh: bool = False
    _planned: dict[str, Planned] = field(default_factory=dict)

    @property
    def tasks(self) -> list[Planned]:
        """What was looked up, in order."""
        return list(self._planned.values())

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Return the task's cached result, or Unknown."""
        recipe = recipe_of(task)
        waits_for = [unknown.task for unknown in _unknown(arguments)]
        if waits_for:
            self._note(task.name, f"after {' and '.join(dict.fromkeys(waits_for))}")
            return Unknown(task.name)
        fingerprint = recipe.fingerprint(arguments)
        try:
            if self.refresh:
                raise DamagedArtefact("everything is to be recomputed (--refresh)")
            result = self._look_up(task, fingerprint)
            self._note(task.name, "")
        except (FileNotFoundError, NotADirectoryError):
            self._note(task.name, self._reason(recipe, fingerprint))
            return Unknown(task.name)
        except DamagedArtefact as damage:
            self._note(task.name, str(damage))
            return Unknown(task.name)
        return result

    def submit(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Return the task's cached result, or Unknown."""
        return self.run(task, **arguments)

    def gather(self, calls: Sequence[Call]) -> list[Any]:
        """Return the tasks' cached results, or Unknown."""
        return [self.run(task, **arguments) for task, arguments in calls]

    def unknown(self, results: Sequence[Any]) -> Unknown | None:
        """Return the first unknown result."""
        return next((result for result in results if isinstance(result, Unknown)), None)

    def _note(self, task: str, why: str) -> None:
        before = self._planned.get(task, Planned(task, "", runs=0))
        self._planned[task] = Planned(task, before.why or why, before.runs + 1, before.cached_runs + (not why))

    def _look_up(self, task: Task[..., Any], fingerprint: Fingerprint) -> Any:
        if not isinstance(task.cache_policy, Uncached):
            return recorded(self.store, fingerprint.key)
        store = Store(self.store)
        made = store.manifest(fingerprint)
        store.check(made)
        return made

    def _reason(self, recipe: Recipe, fingerprint: Fingerprint) -> str:
        made = [other for other in Store(self.store).fingerprints(recipe.layer) if other.task == recipe.task]
        if not made:
            return "first run"
        nearest = min(made, key=lambda other: len(other.differences(fingerprint)))
        return ", ".join(_told(*difference) for difference in nearest.differences(fingerprint)) or "its record is gone"


def _unknown(argument: Any) -> list[Unknown]:
    if isinstance(argument, Unknown):
        return [argument]
    if isinstance(argument, Mapping):
        return [unknown for part in argument.values() for unknown in _unknown(part)]
    if isinstance(argument, list):
        return [unknown for part in argument for unknown in _unknown(part)]
    return []


def _told(name: str, old: Any, new: Any) -> str:
    part, *names = name.split(".")
    if part == "settings":
        return f"{'.'.join(names[1:]) or names[0]} {_short(old)} -> {_short(new)}"
    if part == "versions":
        return f"{names[0]} {old} -> {new}"
    if part == "code":
        path = Path(*".".join(names).split(".")).with_suffix(".py")
        return f"{path} {'is new' if old is None else 'is gone' if new is None else 'changed'}"
    return f"{'/'.join(names)} changed"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"
