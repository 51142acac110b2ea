"""The artefacts of a store on its remote: what is sent there, and how what is fetched from there is checked."""

import logging
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from recsys.artefacts import MADE_FROM, MANIFEST, FileEntry, Manifest, locked, manifest_in, placed, replacing, sha256_of
from recsys.errors import DamagedArtefact
from recsys.remote import Remote

log = logging.getLogger(__name__)


class Mirror:
    """The artefacts of a store's folder `root`, and those of its `remote`, which has the same layout.

    Machines do not wait for each other: two that make the same artefact at once write the same files, and it does
    not matter whose come last. Should their processors differ in a bit, digests do not fit, and it is made anew.
    """

    def __init__(self, root: Path, remote: Remote) -> None:
        """Mirror `root` and `remote` to each other; neither need hold anything."""
        self.root = root
        self.remote = remote

    def manifest(self, folder: str) -> bytes | None:
        """Return the manifest of an artefact as the remote has it, None if it does not."""
        return self.remote.read(f"{folder}/{MANIFEST}")

    def holds(self, entries: Iterable[FileEntry]) -> bool:
        """Whether the remote has files of artefacts that are complete there, by their sizes: nothing is fetched."""
        for folder, files in groupby(entries, lambda entry: placed(entry)[0]):
            there = self.remote.sizes(folder)
            if f"{folder}/{MANIFEST}" not in there or any(there.get(file["path"]) != file["bytes"] for file in files):
                return False
        return True

    def share(self, manifest: Manifest) -> None:
        """Send an artefact, which must be whole here, unless the remote has it.

        Raises:
            StoreUnavailable: the remote cannot be used.
        """
        for folder in {placed(entry)[0] for entry in manifest["files"]}:
            if not self.remote.has(f"{folder}/{MANIFEST}"):
                self.send(folder)

    def send(self, folder: str) -> None:
        """Send an artefact, whatever the remote has of it: its files first, its manifest last.

        Who reads meanwhile, or after a sender was killed, finds no artefact rather than half of one.

        Raises:
            StoreUnavailable: the remote cannot be used.
        """
        with locked(self.root, folder):
            paths = [path for path in (self.root / folder).rglob("*") if path.is_file()]
            files = {path.relative_to(self.root).as_posix(): path for path in paths}
            last = {f"{folder}/{MANIFEST}": files.pop(f"{folder}/{MANIFEST}")}
            self.remote.remove(*last)
            self.remote.send(files)
            self.remote.send(last)

    def fetch(self, folder: str) -> None:
        """Replace what this machine has of an artefact by what the remote has; the artefact's lock must be held.

        An artefact that is damaged there is one no longer: its manifest is removed, so that it is made anew once.

        Raises:
            DamagedArtefact: the remote has no such artefact, or a damaged one; nothing is replaced.
            StoreUnavailable: the remote cannot be used.
        """
        document = self.manifest(folder)
        if document is None:
            raise DamagedArtefact(f"{self.remote.url}/{folder} is missing")
        try:
            entries = manifest_in(document, folder)["files"]
            with replacing(self.root / folder) as temporary:
                places = {entry["path"]: temporary / placed(entry)[1] for entry in entries}
                self.remote.fetch({**places, f"{folder}/{MADE_FROM}": temporary / MADE_FROM})
                for entry in entries:
                    if sha256_of(places[entry["path"]]) != entry["sha256"]:
                        raise DamagedArtefact(f"{placed(entry)[1]} has changed since it was written")
                (temporary / MANIFEST).write_bytes(document)
        except (FileNotFoundError, ValueError, KeyError, TypeError, DamagedArtefact) as error:
            self.remote.remove(f"{folder}/{MANIFEST}")
            log.warning("%s/%s is damaged (%s); it is made anew", self.remote.url, folder, error)
            raise DamagedArtefact(f"{self.remote.url}/{folder} is damaged ({error})") from error

    def made_from(self, layer: str, besides: set[str]) -> list[bytes]:
        """Return what the remote's artefacts of a layer were made from, as written, except those of `besides`."""
        there = [path for path in self.remote.sizes(layer) if path.endswith(f"/{MADE_FROM}")]
        wanted = [path for path in there if path.removesuffix(f"/{MADE_FROM}") not in besides]
        return self.remote.read_all(wanted)
