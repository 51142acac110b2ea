"""Prefect's records of finished tasks: verified when they are read, shared by the machines that share a store."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from prefect.filesystems import LocalFileSystem

from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.mirror import Mirror
from recsys.store import Manifest, Store, write_atomically

KEYS, VALUES = "results/keys", "results/values"
"""Folders of a store: the records, and the results that they point to, each under the key of its task."""

log = logging.getLogger(__name__)


class StoreFolder(LocalFileSystem):
    """A folder of a store, found anew on whichever machine a task runs."""

    _block_type_name: ClassVar[str] = "Folder of a store"
    _block_type_slug: ClassVar[str] = "store-folder"

    store: str
    folder: str

    def _resolve_path(self, path: str) -> Path:
        self.basepath = str(Store(self.store).root / self.folder)
        return super()._resolve_path(path)


class VerifiedRecords(StoreFolder):
    """Records of finished tasks, each read back only if the files that it names are undamaged.

    A record that is not JSON is refused as well: Prefect would unpickle one that says so. Where the store has a
    URL, records are sent there and fetched from there, each after what it names.
    """

    _block_type_name: ClassVar[str] = "Verified records"
    _block_type_slug: ClassVar[str] = "verified-records"

    folder: str = KEYS

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        self._fetch(path)
        record: bytes = super().read_path(path, _sync=True)  # type: ignore[call-arg, assignment]
        self._verify(path, record)
        return record

    async def aread_path(self, path: str) -> bytes:
        """Return the record, or raise DamagedArtefact, which Prefect takes for a miss."""
        self._fetch(path)
        record: bytes = await super().aread_path(path)
        self._verify(path, record)
        return record

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Keep a record."""
        place: str = super().write_path(path, content, _sync=True)  # type: ignore[call-arg, assignment]
        self._send(path, content)
        return place

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Keep a record."""
        place: str = await super().awrite_path(path, content)
        self._send(path, content)
        return place

    def _fetch(self, path: str) -> None:
        with _said():
            _fetch(Store(self.store), path)

    def _verify(self, path: str, record: bytes) -> None:
        store = Store(self.store)
        with _said():
            result = manifest_of(record, store.root / VALUES, store.verify)
        for manifest in manifests_in(result):
            store.share(manifest)
        if store.mirror and not store.mirror.remote.has(f"{KEYS}/{path}"):
            _send(store.mirror, path, record)

    def _send(self, path: str, record: bytes) -> None:
        mirror = Store(self.store).mirror
        try:
            if mirror:
                _send(mirror, path, record)
        except StoreUnavailable as error:  # what it names is there, so that another machine computes nothing either
            log.warning("the record of a task was not sent: %s", error)


def recorded(store: str, key: str) -> Any:
    """Return the result that is on record under a key, if its files are undamaged; none that is elsewhere is fetched.

    Raises:
        FileNotFoundError: there is no such record.
        DamagedArtefact: the record, or a file that it names, is missing, damaged or not JSON.
    """
    kept = Store(store)
    _fetch(kept, key)
    return manifest_of((kept.root / KEYS / key).read_bytes(), kept.root / VALUES, kept.check)


def manifest_of(record: bytes, values: Path, check: Callable[[Manifest], None]) -> Any:
    """Return the result that a Prefect record points to, a manifest or several by name, each checked by `check`.

    Args:
        record: the record.
        values: the folder of the results.
        check: looks at the files of a manifest.

    Raises:
        DamagedArtefact: the result or a file that it names is missing or damaged, is not JSON, or lies elsewhere.
    """
    try:
        metadata = json.loads(record)
        if metadata["serializer"]["type"] != "json":
            raise DamagedArtefact("a record of the cache is not JSON")
        place = Path(metadata["storage_key"])
        if place.parent.resolve() != values.resolve():
            raise DamagedArtefact(f"a record of the cache leads out of the store, to {place}")
        result = json.loads(place.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtefact(f"a record of the cache cannot be read ({error})") from error
    for manifest in manifests_in(result):
        check(manifest)
    return result


def manifests_in(result: Any) -> Iterator[Manifest]:
    """Yield every manifest of a task's result."""
    if isinstance(result, dict):
        if "files" in result:
            yield Manifest(**result)  # type: ignore[typeddict-item]
        else:
            for part in result.values():
                yield from manifests_in(part)


@contextmanager
def _said() -> Iterator[None]:
    """Say in the log what is damaged, which Prefect does not."""
    try:
        yield
    except DamagedArtefact as damage:
        log.warning("%s; it is made anew", damage)
        raise


def _send(mirror: Mirror, key: str, record: bytes) -> None:
    """Send a record after the result that it points to, whose place is given as other machines know it."""
    metadata = json.loads(record)
    mirror.remote.write(f"{VALUES}/{key}", Path(metadata["storage_key"]).read_bytes())
    mirror.remote.write(f"{KEYS}/{key}", json.dumps(metadata | {"storage_key": f"{VALUES}/{key}"}).encode())


def _fetch(store: Store, key: str) -> None:
    """Have a record here that is only at the store's URL, if it has one.

    Raises:
        DamagedArtefact: what is there is no record.
        StoreUnavailable: the URL cannot be used.
    """
    if store.mirror is None or (store.root / KEYS / key).exists():
        return
    remote = store.mirror.remote
    record, result = remote.read(f"{KEYS}/{key}"), remote.read(f"{VALUES}/{key}")
    if record is None or result is None:
        return
    place = (store.root / VALUES).resolve() / key
    try:
        metadata = json.loads(record) | {"storage_key": str(place)}
    except (ValueError, TypeError) as error:
        raise DamagedArtefact(f"{remote.url}/{KEYS}/{key} cannot be read ({error})") from error
    write_atomically(place, result)
    write_atomically(store.root / KEYS / key, json.dumps(metadata).encode())
