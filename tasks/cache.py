"""How the tasks are cached: Prefect's records, keyed by fingerprints and verified when they are read."""

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

from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.store.artifacts import verified, with_checksum
from recsys.store.fingerprint import Fingerprint, code_of, digests_to_save, load_digests, versions_of
from recsys.store.remote import SharedCopy
from recsys.store.store import Facts, Manifest, Store, content, sha256_of, write_atomically
from tasks.observability import artefact_key, asset_key, emit_asset
from tasks.progress import TaskProgress

RECORDS, RESULTS = "results/keys", "results/values"
"""Folders of a store: Prefect's records, and the results that they point to, each under the key of its task."""

RESULT_DIGEST = "result_sha256"
"""Field that our records have besides Prefect's, as a result could change after its record was written."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What the result of a task depends on.

    Attributes:
        layer: folder of the store.
        manifests: arguments that are manifests, several by name, or None: their files' digests count.
        facts: those of the manifests whose facts count as well, as they do where a task shows them.
        files: arguments that are paths: the file's digest counts.
        settings: arguments that are settings: their values count.
        constants: what else counts, by name, though no argument.
        unread: fields of those settings that this task does not read, in the form of Pydantic's `exclude`.
        code: modules of `recsys` that the task runs; all that they import counts as well.
        libraries: packages that compute the task's numbers.
    """

    task: str
    layer: str
    manifests: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    unread: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    def fingerprint(self, arguments: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of the task's result for these arguments."""
        store = Store(arguments["store"])
        return Fingerprint(
            task=self.task,
            layer=self.layer,
            inputs={name: _contents(arguments[name], name in self.facts) for name in self.manifests}
            | {name: _digest(store, arguments[name]) for name in self.files},
            settings={name: _values(arguments[name], self.unread) for name in self.settings} | dict(self.constants),
            code=_code(store, self.code),
            versions=versions_of(self.libraries),
        )

    def make(self, build: Callable[[Path], Facts], **arguments: Any) -> Manifest:
        """Return the task's artefact from the store, built first if it is absent, damaged or to be refreshed."""
        store = Store(arguments["store"])
        built = False

        def building(folder: Path) -> Facts:
            nonlocal built
            built = True
            return build(folder)

        def report_waiting() -> None:  # raises Stopped if the user has stopped the run
            TaskProgress(self.task)(0, None, "waiting for another run that makes the same")

        made = store.make(self.fingerprint(arguments), building, refresh=_refreshing(), waiting=report_waiting)
        if built and made["files"]:
            files = [asset_key(Path(arguments[name])) for name in self.files if arguments[name]]
            manifests = [manifest for name in self.manifests for manifest in manifests_in(arguments[name])]
            emit_asset(
                artefact_key(store, made),
                self.task,
                files + [artefact_key(store, manifest) for manifest in manifests if manifest["files"]],
                seconds=made["seconds"],
                bytes=sum(entry["bytes"] for entry in made["files"]),
            )
        return made

    def checkpoint(self, arguments: Mapping[str, Any]) -> Path:
        """Return the folder of the checkpoint from which an interrupted task resumes; empty at first."""
        return Store(arguments["store"]).checkpoint(self.fingerprint(arguments), fresh=_refreshing())


def _refreshing() -> bool:
    """Whether the running task is to reuse nothing."""
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
        return None  # the task itself reports what is wrong with the file


def _code(store: Store, modules: tuple[str, ...]) -> dict[str, str]:
    """The digests of some modules and of what they import, remembered in the store."""
    load_digests(str(store.root), lambda: store.noted("modules"))
    code = code_of(modules)
    if store.root.exists() and (unnoted := digests_to_save()):
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

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> str | None:
        """Return the key of the task's record."""
        return self.recipe.fingerprint(inputs).key if self.recipe else None


@dataclass
class Uncached(ByFingerprint):
    """The policy of a task that runs each time and keeps what it computes in the store itself."""

    def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any) -> None:
        """Return None: there is no record."""


def recipe_of(task: Task[..., Any]) -> Recipe:
    """Return the recipe of a task."""
    policy = task.cache_policy
    if not isinstance(policy, ByFingerprint) or policy.recipe is None:
        raise TypeError(f"task {task.name} has no recipe")
    return policy.recipe


def cached_in(store: str, task: Task[..., Any], *, refresh: bool = False) -> Task[..., Any]:
    """Return `task` with its records kept in `store` and verified when they are read.

    To be the last change of a task: `with_options` refuses a storage block that is not saved on the server, which
    this one does not need to be.
    """
    if isinstance(task.cache_policy, Uncached):
        return task.with_options(cache_policy=NO_CACHE, persist_result=False, refresh_cache=refresh)
    cached = task.with_options(
        cache_policy=ByFingerprint(recipe=recipe_of(task)).configure(key_storage=VerifiedRecords(store=store)),
        persist_result=True,
        result_serializer="json",
        cache_result_in_memory=False,  # Prefect would find records there unverified, and those of other stores
        refresh_cache=refresh,
    )
    cached.result_storage = StoreFolder(store=store, folder=RESULTS)
    return cached


class StoreFolder(LocalFileSystem):
    """A folder of a store, whose path is found on whichever machine a task runs."""

    _block_type_name: ClassVar[str] = "Folder of a store"
    _block_type_slug: ClassVar[str] = "store-folder"

    store: str
    folder: str

    def _resolve_path(self, path: str) -> Path:
        self.basepath = str(Store(self.store).root / self.folder)
        return super()._resolve_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Write a file atomically, as Prefect's own method does not, and return its path."""
        place = self._resolve_path(path)
        write_atomically(place, content)
        return str(place)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a file atomically and return its path."""
        return self.write_path(path, content)


class VerifiedRecords(StoreFolder):
    """Records of finished tasks, each read only if the files that it names are undamaged.

    Records that are not JSON are refused as well, as Prefect would unpickle one that asks for it. Where the store has
    a URL, records are exchanged with it, each sent after what it names.
    """

    _block_type_name: ClassVar[str] = "Verified records"
    _block_type_slug: ClassVar[str] = "verified-records"

    folder: str = RECORDS

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        store = Store(self.store)
        try:
            _fetch(store, path)
            record: bytes = super().read_path(path, _sync=True)  # type: ignore[call-arg, assignment]
            record = _record_here(record, store.root / RESULTS / path)
            result = result_of(record, store.root / RESULTS / path)
        except DamagedArtefact as damage:  # which Prefect does not log
            log.warning("%s; it is made anew", damage)
            raise
        for manifest in manifests_in(result):
            store.verify(manifest)  # logs damage itself
            store.share(manifest)
        if store.shared and not store.shared.remote.has(f"{RECORDS}/{path}"):
            _send(store.shared, path, record)
        return record

    async def aread_path(self, path: str) -> bytes:
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Write a record, with the digest of the result that it points to, which Prefect writes before it."""
        metadata = json.loads(content)
        record = with_checksum(metadata | {RESULT_DIGEST: sha256_of(Path(metadata["storage_key"]))})
        place = super().write_path(path, record)
        try:
            if mirror := Store(self.store).shared:
                _send(mirror, path, record)
        except StoreUnavailable as error:  # other machines have what it names, so that they need not compute it either
            log.warning("the record of a task was not sent: %s", error)
        return place


def _send(mirror: SharedCopy, key: str, record: bytes) -> None:
    """Send a record after the result that it points to, whose path is made relative to the store."""
    metadata = verified(record, f"the record {key}")
    mirror.remote.write(f"{RESULTS}/{key}", Path(metadata["storage_key"]).read_bytes())
    mirror.remote.write(f"{RECORDS}/{key}", with_checksum(metadata | {"storage_key": f"{RESULTS}/{key}"}))


def _fetch(store: Store, key: str) -> None:
    """Copy a record that is only at the store's URL, if it has one, to this machine.

    Raises:
        DamagedArtefact: what is there is not a record.
        StoreUnavailable: the URL cannot be used.
    """
    if store.shared is None or (store.root / RECORDS / key).exists():
        return
    remote = store.shared.remote
    record, result = remote.read(f"{RECORDS}/{key}"), remote.read(f"{RESULTS}/{key}")
    if record is None or result is None:
        return
    place = (store.root / RESULTS).resolve() / key
    metadata = verified(record, f"{remote.url}/{RECORDS}/{key}")
    write_atomically(place, result)
    write_atomically(store.root / RECORDS / key, with_checksum(metadata | {"storage_key": str(place)}))


def _record_here(record: bytes, place: Path) -> bytes:
    """Return a record with the path of its result as it is now: a store may have been moved since it was written.

    Raises:
        DamagedArtefact: the record is truncated or changed, or is of another result.
    """
    metadata = verified(record, f"the record {place.name}")
    _require_own(metadata, place)
    here = {"storage_key": str(place.resolve())}
    return record if metadata["storage_key"] == here["storage_key"] else with_checksum(metadata | here)


def _require_own(metadata: Mapping[str, Any], place: Path) -> None:
    named = metadata.get("storage_key")
    if not isinstance(named, str) or Path(named).name != place.name:
        raise DamagedArtefact(f"the record {place.name} points elsewhere, to {named}")


def recorded(store: str, key: str) -> Any:
    """Return the result on record under a key, if its files are undamaged; files that are only at a URL stay there.

    Raises:
        FileNotFoundError: there is no such record.
        DamagedArtefact: the record, or a file that it names, is missing, damaged or not JSON.
    """
    opened = Store(store)
    _fetch(opened, key)
    result = result_of((opened.root / RECORDS / key).read_bytes(), opened.root / RESULTS / key)
    for manifest in manifests_in(result):
        opened.check(manifest)
    return result


def result_of(record: bytes, place: Path) -> Any:
    """Return the result that a record points to, which is read at `place`: a manifest, or several by name.

    The folder that the record names is that in which the store was when it was written, which nothing reads.

    Raises:
        DamagedArtefact: the record or the result is truncated or changed, is not JSON, or has another name.
    """
    try:
        metadata = verified(record, f"the record {place.name}")
        if metadata["serializer"]["type"] != "json":
            raise DamagedArtefact(f"the result of the record {place.name} is not JSON")
        _require_own(metadata, place)
        if sha256_of(place) != metadata[RESULT_DIGEST]:
            raise DamagedArtefact(f"{place} has changed since it was written")
        return json.loads(place.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtefact(f"the record {place.name} cannot be read ({error!r})") from error


def manifests_in(result: Any) -> Iterator[Manifest]:
    """Yield every manifest of a task's result."""
    if isinstance(result, dict):
        if "files" in result:
            yield Manifest(**result)  # type: ignore[typeddict-item]
        else:
            for part in result.values():
                yield from manifests_in(part)
