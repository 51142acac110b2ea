"""A store that several machines share, at the URL of a folder that fsspec can reach, and the artefacts in it."""

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recsys.errors import BadSettings, DamagedArtefact, StoreUnavailable
from recsys.store.artifacts import (
    MADE_FROM,
    MANIFEST,
    FileEntry,
    Manifest,
    locked,
    manifest_in,
    replacing,
    sha256_of,
    split_path,
)

WORKING_COPIES = "MF_OR_DNN_STORES"
"""Environment variable with the folder in which this machine keeps its working copies of remote stores."""

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""Protocol of an object store -> package that fsspec needs for it."""

NO_SECRETS = (
    "The URL of the store must not hold a password or other options: give them to fsspec in the environment, "
    "or in the files that its file systems read"
)

log = logging.getLogger(__name__)


def has_secrets(url: str) -> bool:
    """Whether a URL holds a password, or options, which may be secret as well."""
    parts = urlsplit(url)
    return ":" in parts.netloc.rpartition("@")[0] or bool(parts.query)


def without_password(url: str) -> str:
    """A URL as it may be shown: name and password are left out."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Remote:
    """A folder that other machines see as well.

    Paths are relative to the folder, with slashes. A file that was once seen there counts as being there as long as the
    process runs. fsspec reads credentials from the environment or from files such as a profile in `~/.aws`. All methods
    raise StoreUnavailable if the remote does not answer or refuses.
    """

    def __init__(self, url: str) -> None:
        """Open the folder at `url`, whose bucket must exist; raises BadSettings if nothing can be kept there."""
        self.url = url
        self._files, self._base = _file_system(url)
        self._has_folders = urlsplit(url).scheme not in PACKAGES  # object stores have none
        self._seen: set[str] = set()
        self._read: dict[str, bytes] = {}

    @property
    def working_copy(self) -> Path:
        """The folder in which this machine keeps what it needs of the remote."""
        kept = Path(os.environ.get(WORKING_COPIES) or "~/.cache/mf-or-dnn/stores").expanduser().absolute()
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.url).strip("-")[:60]
        return kept / f"{readable}-{hashlib.sha256(self.url.encode()).hexdigest()[:12]}"

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, None if there is no such file."""
        with self._asking("read"):
            try:
                data = bytes(self._files.cat_file(self._at(path)))
            except FileNotFoundError:
                return None
        self._seen.add(path)
        return data

    def has(self, path: str) -> bool:
        """Whether there is such a small file."""
        return path in self._seen or self.read(path) is not None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return path -> bytes of all files below `folder`, as they are now."""
        with self._asking("read"):
            self._files.invalidate_cache()  # others write there as well
            try:
                found = self._files.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {path[len(self._base) + 1 :]: int(facts["size"]) for path, facts in found.items()}

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the contents of small files that never change, in their order, leaving out those that are gone."""
        wanted = [path for path in paths if path not in self._read]
        with self._asking("read"):
            found = self._files.cat([self._at(path) for path in wanted], on_error="omit") if wanted else {}
        self._read |= {path: bytes(found[self._at(path)]) for path in wanted if self._at(path) in found}
        return [self._read[path] for path in paths if path in self._read]

    def fetch(self, files: Mapping[str, Path]) -> None:
        """Copy files from the remote, path -> where to; raises FileNotFoundError if one is missing."""
        with self._asking("read", but=FileNotFoundError):
            self._files.get([self._at(path) for path in files], [str(place) for place in files.values()])

    def send(self, files: Mapping[str, Path]) -> None:
        """Copy files to the remote, path -> where from."""
        with self._asking("written"):
            self._make_folders(files)
            self._files.put([str(place) for place in files.values()], [self._at(path) for path in files])
        self._seen |= set(files)

    def write(self, path: str, data: bytes) -> None:
        """Write a small file."""
        with self._asking("written"):
            self._make_folders([path])
            self._files.pipe_file(self._at(path), data)
        self._seen.add(path)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        self._seen.discard(path)
        with self._asking("written"), suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}"

    def _make_folders(self, paths: Iterable[str]) -> None:
        if self._has_folders:
            for folder in {self._at(path).rpartition("/")[0] for path in paths}:
                self._files.makedirs(folder, exist_ok=True)

    @contextmanager
    def _asking(self, done: str, but: tuple[type[Exception], ...] | type[Exception] = ()) -> Iterator[None]:
        """Raise what goes wrong as StoreUnavailable, except for `but`."""
        try:
            yield
        except but:
            raise
        except Exception as error:  # each file system has exceptions of its own
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise StoreUnavailable(
                f"The store {self.url} cannot be {done} ({reason}): check its address, the network and your "
                "credentials, or choose another place with --store; what this machine has computed, it keeps."
            ) from error


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path of the URL in it."""
    from fsspec.core import url_to_fs  # here, because a store in a folder needs none of it

    protocol = urlsplit(url).scheme
    if has_secrets(url):
        raise BadSettings(f"{NO_SECRETS}.")
    if not protocol or "::" in url:
        raise BadSettings(f"The store {url} is no URL of a folder, such as s3://bucket/name.")
    try:
        files, base = url_to_fs(url)
    except ImportError as error:
        missing = f": pip install {PACKAGES[protocol]}" if protocol in PACKAGES else f" ({error})"
        raise BadSettings(f"The store {url} needs a package{missing}.") from error
    except Exception as error:  # each file system has exceptions of its own
        raise BadSettings(f"The store {url} cannot be opened ({error}).") from error
    return files, base.rstrip("/")


@cache
def remote_at(url: str) -> Remote:
    """Return the remote at `url`, the same one throughout a process."""
    return Remote(url)


def place_of(store: str | Path) -> tuple[Path, Remote | None]:
    """Return the folder of a store on this machine and, if it has a URL such as `s3://bucket/name`, its remote.

    Raises BadSettings if it is empty, or if nothing can be kept at such a URL.
    """
    if folder := _folder(store):
        return folder, None
    remote = remote_at(str(store).rstrip("/"))
    return remote.working_copy, remote


def anchored(store: str) -> str:
    """Return an absolute path, or the URL, which names the same store to processes in other folders."""
    return str(_folder(store) or store)


def _folder(store: str | Path) -> Path | None:
    protocol, is_url, rest = str(store).partition("://")
    if is_url and protocol not in ("file", "local"):
        return None
    if not (rest if is_url else str(store)).strip():
        raise BadSettings("The path of the store is empty: give a folder, or a URL such as s3://bucket/name.")
    return Path(rest if is_url else store).expanduser().absolute()


class SharedCopy:
    """The artefacts at a store's URL, which has the same layout as the store's folder `root` on this machine.

    Machines do not wait for each other: two that make the same artefact at once write the same files, and it does
    not matter whose come last. Should their results differ in a bit, digests do not match, and it is made anew.
    """

    def __init__(self, root: Path, remote: Remote) -> None:
        """Connect the folder and the remote; neither need hold anything."""
        self.root, self.remote = root, remote

    def manifest(self, folder: str) -> bytes | None:
        """Return the manifest of an artefact at the remote, None if it is not there."""
        return self.remote.read(f"{folder}/{MANIFEST}")

    def holds(self, entries: Iterable[FileEntry]) -> bool:
        """Whether the remote has these files, in complete artefacts, by their sizes; nothing is fetched."""
        for folder, files in groupby(entries, lambda entry: split_path(entry)[0]):
            sizes = self.remote.sizes(folder)
            if f"{folder}/{MANIFEST}" not in sizes or any(sizes.get(file["path"]) != file["bytes"] for file in files):
                return False
        return True

    def share(self, manifest: Manifest) -> None:
        """Send an artefact, which must be complete here, unless the remote has it."""
        for folder in {split_path(entry)[0] for entry in manifest["files"]}:
            if not self.remote.has(f"{folder}/{MANIFEST}"):
                self.send(folder)

    def send(self, folder: str) -> None:
        """Send an artefact, replacing what the remote has of it: its files first, its manifest last.

        A reader meanwhile, or after the sender was killed, finds no artefact rather than half of one.
        """
        with locked(self.root, folder):
            paths = [path for path in (self.root / folder).rglob("*") if path.is_file()]
            files = {path.relative_to(self.root).as_posix(): path for path in paths}
            last = {f"{folder}/{MANIFEST}": files.pop(f"{folder}/{MANIFEST}")}
            self.remote.remove(*last)
            self.remote.send(files)
            self.remote.send(last)

    def fetch(self, folder: str) -> None:
        """Replace this machine's copy of an artefact by the remote's; the artefact's lock must be held.

        Raises DamagedArtefact, and replaces nothing, if the remote has no such artefact, or a damaged one, whose
        manifest is removed, so that it is made anew.
        """
        if (document := self.manifest(folder)) is None:
            raise DamagedArtefact(f"{self.remote.url}/{folder} is missing")
        try:
            entries = manifest_in(document, folder)["files"]
            with replacing(self.root / folder) as temporary:
                places = {entry["path"]: temporary / split_path(entry)[1] for entry in entries}
                self.remote.fetch({**places, f"{folder}/{MADE_FROM}": temporary / MADE_FROM})
                for entry in entries:
                    if sha256_of(places[entry["path"]]) != entry["sha256"]:
                        raise DamagedArtefact(f"{split_path(entry)[1]} has changed since it was written")
                (temporary / MANIFEST).write_bytes(document)
        except (FileNotFoundError, ValueError, KeyError, TypeError, DamagedArtefact) as error:
            self.remote.remove(f"{folder}/{MANIFEST}")
            log.warning("%s/%s is damaged (%s); it is made anew", self.remote.url, folder, error)
            raise DamagedArtefact(f"{self.remote.url}/{folder} is damaged ({error})") from error

    def made_from(self, layer: str, besides: set[str]) -> list[bytes]:
        """Return what the remote's artefacts of a layer were made from, as written, except those of `besides`."""
        found = [path for path in self.remote.sizes(layer) if path.endswith(f"/{MADE_FROM}")]
        return self.remote.read_all([path for path in found if path.removesuffix(f"/{MADE_FROM}") not in besides])
