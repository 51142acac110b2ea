"""How the tasks are cached: keys of content, settings, code and versions, records that are verified."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from prefect import Task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from pydantic import BaseModel

from recsys.errors import DamagedArtefact
from recsys.fingerprint import Fingerprint, code_of, versions_of
from recsys.store import Facts, Manifest, Store, content

log = logging.getLogger(__name__)


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
            code=code_of(self.code),
            versions=versions_of(self.libraries),
        )

    def make(self, build: Callable[[Path], Facts], **arguments: Any) -> Manifest:
        """Return the task's artefact from the store, building it where it is absent, damaged or unwanted."""
        return Store(arguments["store"]).make(self.fingerprint(arguments), build, refresh=_refreshing())

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


class VerifiedRecords(LocalFileSystem):
    """Records of finished tasks, each read back only if the files that it names are undamaged.

    A record that is not JSON is refused as well: Prefect would unpickle one that says so.
    """

    _block_type_name: ClassVar[str] = "Verified records"
    _block_type_slug: ClassVar[str] = "verified-records"

    store: str

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        record: bytes = super().read_path(path, _sync=True)  # type: ignore[call-arg, assignment]
        self._verify(record)
        return record

    async def aread_path(self, path: str) -> bytes:
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        record: bytes = await super().aread_path(path)
        self._verify(record)
        return record

    def _verify(self, record: bytes) -> None:
        try:
            manifest_of(record, Store(self.store))
        except DamagedArtefact as damage:
            log.warning("%s; it is made anew", damage)
            raise


def manifest_of(record: bytes, store: Store) -> Any:
    """Return the verified result that a Prefect record points to: a manifest, or several by name.

    Raises:
        DamagedArtefact: the result or a file that it names is missing or damaged, or is not JSON.
    """
    try:
        metadata = json.loads(record)
        if metadata["serializer"]["type"] != "json":
            raise DamagedArtefact("a record of the cache is not JSON")
        result = json.loads(Path(metadata["storage_key"]).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtefact(f"a record of the cache cannot be read ({error})") from error
    for manifest in manifests_in(result):
        store.verify(manifest)
    return result


def manifests_in(result: Any) -> Iterator[Manifest]:
    """Yield every manifest of a task's result."""
    if isinstance(result, dict):
        if "files" in result:
            yield Manifest(**result)  # type: ignore[typeddict-item]
        else:
            for part in result.values():
                yield from manifests_in(part)


def records(store: str) -> Path:
    """Return the folder of the store that holds Prefect's records."""
    return Store(store).root / "results"


def recipe_of(task: Task[..., Any]) -> Recipe:
    """Return what the results of a task are made from."""
    policy = task.cache_policy
    if not isinstance(policy, ByFingerprint) or policy.recipe is None:
        raise TypeError(f"task {task.name} has no recipe")
    return policy.recipe


def kept_in(store: str, task: Task[..., Any], *, refresh: bool = False) -> Task[..., Any]:
    """Return `task` with its records kept in `store` and verified when they are read."""
    if isinstance(task.cache_policy, Uncached):
        return task.with_options(cache_policy=NO_CACHE, persist_result=False, refresh_cache=refresh)
    keys = VerifiedRecords(basepath=str(records(store) / "keys"), store=store)
    return task.with_options(
        cache_policy=ByFingerprint(recipe=recipe_of(task)).configure(key_storage=keys),
        persist_result=True,
        result_serializer="json",
        result_storage=records(store) / "values",
        cache_result_in_memory=False,  # Prefect would find records there unverified, and those of other stores
        refresh_cache=refresh,
    )
