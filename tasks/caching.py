"""How the tasks are cached: keys of content, settings, code and versions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.context import TaskRunContext
from pydantic import BaseModel

from recsys.fingerprint import Fingerprint, code_of, versions_of
from recsys.modules import news, recall
from recsys.store import Facts, Manifest, Store, content
from tasks.assets import artefact, asset, tell_made
from tasks.progress import TaskProgress
from tasks.records import VALUES, StoreFolder, VerifiedRecords, manifests_in


@dataclass(frozen=True)
class Recipe:
    """What the result of a task is made from.

    Attributes:
        task: name of the task.
        layer: folder of the store.
        manifests: arguments that are manifests, several by name, or None: their files' digests count.
        facts: whether the manifests' facts count as well, as they do where a task shows them.
        files: arguments that are paths: the file's digest counts.
        settings: arguments that are settings: their values count.
        unread: fields of those settings that this task does not read, in the form of Pydantic's `exclude`.
        code: modules of `recsys` that the task runs; all that they import counts as well.
        libraries: packages that make the task's numbers.
    """

    task: str
    layer: str
    manifests: tuple[str, ...] = ()
    facts: bool = False
    files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    unread: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    def fingerprint(self, arguments: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of the task's result under these arguments."""
        store = Store(arguments["store"])
        return Fingerprint(
            task=self.task,
            layer=self.layer,
            inputs={name: _contents(arguments[name], self.facts) for name in self.manifests}
            | {name: _digest(store, arguments[name]) for name in self.files},
            settings={name: _values(arguments[name], self.unread) for name in self.settings},
            code=_code(store, self.code),
            versions=versions_of(self.libraries),
        )

    def make(self, build: Callable[[Path], Facts], **arguments: Any) -> Manifest:
        """Return the task's artefact from the store, building it where it is absent, damaged or unwanted."""
        store = Store(arguments["store"])
        fresh = False

        def building(folder: Path) -> Facts:
            nonlocal fresh
            fresh = True
            return build(folder)

        made = store.make(self.fingerprint(arguments), building, refresh=_refreshing(), waiting=self._wait)
        if fresh:
            tell_made(
                artefact(store, made),
                self.task,
                self.upstream(arguments),
                seconds=made["seconds"],
                bytes=sum(entry["bytes"] for entry in made["files"]),
            )
        return made

    def _wait(self) -> None:
        """Say why nothing happens, or end where the user wants that."""
        TaskProgress(self.task)(0, None, "waiting for another run that makes the same")

    def upstream(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return the keys, as assets, of what a result under these arguments is made from."""
        store = Store(arguments["store"])
        files = [asset(Path(arguments[name])) for name in self.files if arguments[name]]
        manifests = [manifest for name in self.manifests for manifest in manifests_in(arguments[name])]
        return files + [artefact(store, manifest) for manifest in manifests if manifest["files"]]

    def checkpoint(self, arguments: Mapping[str, Any]) -> Path:
        """Return the folder from which the task's work continues if it is interrupted; empty to begin with."""
        return Store(arguments["store"]).checkpoint(self.fingerprint(arguments), fresh=_refreshing())


def _refreshing() -> bool:
    """Whether the task that is running is to use nothing that was there before."""
    context = TaskRunContext.get()
    return bool(context and context.task.refresh_cache)


def _contents(argument: Any, facts: bool) -> Any:
    if argument is None:
        return None
    if isinstance(argument, Exception):
        return {"failed": str(argument)}
    if "files" in argument:
        return content(argument) | ({"facts": argument["facts"]} if facts else {})
    return {name: _contents(part, facts) for name, part in argument.items()}


def _digest(store: Store, path: str | None) -> str | None:
    try:
        return store.digest(Path(path)) if path else None
    except OSError:
        return None  # the task itself says in a sentence what is wrong with the file


def _code(store: Store, modules: tuple[str, ...]) -> dict[str, str]:
    """The digests of some modules and of what they import, remembered in the store."""
    recall(str(store.root), lambda: store.noted("modules"))
    code = code_of(modules)
    if store.root.exists() and (unnoted := news()):
        store.note("modules", unnoted)
    return code


def _values(settings: Any, unread: Mapping[str, Any]) -> Any:
    if isinstance(settings, BaseModel):
        return settings.model_dump(mode="json", exclude=dict(unread))
    if isinstance(settings, list):
        return [_values(part, {}) for part in settings]
    return settings


@dataclass
class ByFingerprint(CachePolicy):
    """A cache policy whose key is the digest of the task's fingerprint."""

    recipe: Recipe | None = field(default=None)

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Return the key of the task's record."""
        return self.recipe.fingerprint(inputs).key if self.recipe else None


@dataclass
class Uncached(ByFingerprint):
    """The policy of a task that runs each time and keeps what it computes in the store itself."""

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Return None: there is no record."""
        return None


def recipe_of(task: Task[..., Any]) -> Recipe:
    """Return what the results of a task are made from."""
    policy = task.cache_policy
    if not isinstance(policy, ByFingerprint) or policy.recipe is None:
        raise TypeError(f"task {task.name} has no recipe")
    return policy.recipe


def kept_in(store: str, task: Task[..., Any], *, refresh: bool = False) -> Task[..., Any]:
    """Return `task` with its records kept in `store` and verified when they are read.

    What else is to be changed of the task, change before: Prefect takes a storage that it does not know from no one
    who makes a task, `with_options` included, though it needs to know nothing of this one.
    """
    if isinstance(task.cache_policy, Uncached):
        return task.with_options(cache_policy=NO_CACHE, persist_result=False, refresh_cache=refresh)
    kept = task.with_options(
        cache_policy=ByFingerprint(recipe=recipe_of(task)).configure(key_storage=VerifiedRecords(store=store)),
        persist_result=True,
        result_serializer="json",
        cache_result_in_memory=False,  # Prefect would find records there unverified, and those of other stores
        refresh_cache=refresh,
    )
    kept.result_storage = StoreFolder(store=store, folder=VALUES)
    return kept
