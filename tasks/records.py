"""Prefect's records of finished tasks: verified when they are read, shared by the machines that share a store."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from prefect.filesystems import LocalFileSystem

from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.mirror import Mirror
from recsys.seals import sealed, unsealed
from recsys.store import Manifest, Store, sha256_of, write_atomically

KEYS, VALUES = "results/keys", "results/values"
"""Folders of a store: the records, and the results that they point to, each under the key of its task."""

RESULT_DIGEST = "result_sha256"
"""What our records have besides Prefect's: without it, a result that has changed would be believed."""

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

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Write a file, whole or not at all, and return its path; Prefect's own would be found half written."""
        place = self._resolve_path(path)
        write_atomically(place, content)
        return str(place)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a file, whole or not at all, and return its path."""
        return self.write_path(path, content)


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
        """Keep a record, with the digest of the result that it points to, which Prefect has written before."""
        metadata = json.loads(content)
        record = sealed(metadata | {RESULT_DIGEST: sha256_of(Path(metadata["storage_key"]))})
        place = super().write_path(path, record)
        self._send(path, record)
        return place

    def _fetch(self, path: str) -> None:
        with _said():
            _fetch(Store(self.store), path)

    def _verify(self, path: str, record: bytes) -> None:
        store = Store(self.store)
        with _said():
            result = result_of(record, store.root / VALUES / path)
        for manifest in manifests_in(result):
            store.verify(manifest)  # whoever makes anew what is damaged says so
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
    result = result_of((kept.root / KEYS / key).read_bytes(), kept.root / VALUES / key)
    for manifest in manifests_in(result):
        kept.check(manifest)
    return result


def result_of(record: bytes, place: Path) -> Any:
    """Return the result that a Prefect record points to: a manifest, or several by name.

    Args:
        record: the record.
        place: where its result must be.

    Raises:
        DamagedArtefact: the record or the result is cut or changed, is not JSON, or lies elsewhere.
    """
    try:
        metadata = unsealed(record, f"the record {place.name}")
        if metadata["serializer"]["type"] != "json":
            raise DamagedArtefact(f"the result of the record {place.name} is not JSON")
        if Path(metadata["storage_key"]).resolve() != place.resolve():
            raise DamagedArtefact(f"the record {place.name} leads elsewhere, to {metadata['storage_key']}")
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
    metadata = unsealed(record, f"the record {key}")
    mirror.remote.write(f"{VALUES}/{key}", Path(metadata["storage_key"]).read_bytes())
    mirror.remote.write(f"{KEYS}/{key}", sealed(metadata | {"storage_key": f"{VALUES}/{key}"}))


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
    metadata = unsealed(record, f"{remote.url}/{KEYS}/{key}")
    write_atomically(place, result)
    write_atomically(store.root / KEYS / key, sealed(metadata | {"storage_key": str(place)}))
