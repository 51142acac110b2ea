"""Downloads of public data sets: resumed after a break, checked by digest, and unpacked.

pooch 1.9 does not do this part: it has no resumption, no size limit, and follows redirects to addresses without TLS.
"""

import hashlib
import os
import re
import shutil
import socket
import ssl
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import httpx
from filelock import FileLock, Timeout

from recsys.data.datasets import SAMPLE, Dataset
from recsys.errors import DatasetUnavailable
from recsys.progress import Progress

MAX_BYTES = 2**30
"""Bytes after which a download is broken off: the archive of ml-25m, the largest, has 0.26e9."""

MAX_MEMBER_BYTES = 4 * 2**30
"""Unpacked bytes of a member of an archive; the ratings of ml-32m have 0.9e9."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TRANSIENT = {429, 500, 502, 503, 504}


class DatasetFiles(NamedTuple):
    """The files of a data set on this computer; `titles` is None where the items have no titles."""

    ratings: Path
    titles: Path | None


def fetch(dataset: Dataset, downloads: Path, progress: Progress) -> DatasetFiles:
    """Return the files of a data set with a URL, downloading and unpacking its archive the first time.

    The archive is kept as `downloads`/NAME.zip, the files in the folder NAME beside it. An archive that was saved there
    by hand is used if it has the expected digest.

    Raises:
        DatasetUnavailable: the archive cannot be downloaded, or is not the expected one.
    """
    folder, archive = downloads / dataset.name, downloads / f"{dataset.name}.zip"
    # The names are those of the record: a name in an archive is never used as a path on this computer.
    names = [member for member in (dataset.ratings, dataset.titles) if member]
    members = {member: folder / PurePosixPath(member).name for member in names}
    try:
        if not _complete(archive, members):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder, progress):
                if not _complete(archive, members):
                    instead = (
                        f"download {dataset.url} elsewhere and save it as {archive}, "
                        f"or leave out --dataset to use the embedded {SAMPLE.name}"
                    )
                    download(str(dataset.url), archive, digest=dataset.digest, progress=progress, instead=instead)
                    _unpack(archive, dataset.title, members, progress)
    except OSError as error:
        raise unwritable(folder, error) from error
    return DatasetFiles(members[dataset.ratings], members[dataset.titles] if dataset.titles else None)


def _complete(archive: Path, members: Mapping[str, Path]) -> bool:
    """Whether all files are there and, as long as the archive is kept, have the lengths that it says."""
    if not all(path.exists() for path in members.values()):
        return False
    if not archive.exists():
        return True
    try:
        with zipfile.ZipFile(archive) as file:
            return all(file.getinfo(member).file_size == path.stat().st_size for member, path in members.items())
    except (zipfile.BadZipFile, KeyError):
        return False


def _unpack(archive: Path, title: str, members: Mapping[str, Path], progress: Progress) -> None:
    """Extract members of an archive to their paths, each complete or not at all."""
    try:
        with zipfile.ZipFile(archive) as file:
            for member, path in members.items():
                info = file.getinfo(member)
                if info.file_size > MAX_MEMBER_BYTES:
                    raise DatasetUnavailable(
                        f"{member} in {archive} would take {info.file_size / 1e9:.1f} GB, more than the limit of "
                        f"{MAX_MEMBER_BYTES / 1e9:.1f} GB; use another data set."
                    )
                progress(0, None, f"unpacking {path.name}")
                part = path.with_name(f".{path.name}.part")
                # zipfile reads no more than the announced size and compares the CRC at the end.
                with file.open(info) as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target, 2**20)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(part, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise DatasetUnavailable(
            f"{archive} is not the expected archive of {title} ({reason}); delete it and run the same command again."
        ) from error


def download(
    url: str,
    destination: Path,
    *,
    digest: str,
    progress: Progress,
    instead: str | None = None,
    timeout: float = 30.0,
    pauses: Sequence[float] = (1.0, 3.0, 9.0),
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Download a file once; a file at `destination` is afterwards complete and has the digest.

    What has arrived is kept in `destination` + ".part", and the next call continues there if the server still has the
    same file (Range with If-Range, RFC 9110). A second process that wants the same file waits for the first one; a file
    that is already there, with the right digest, is not downloaded again.

    Args:
        url: https address; http is accepted from this computer only.
        digest: of the content, as "md5:<hex>" or "sha256:<hex>".
        instead: what the user can do where the download fails; it ends the sentence of the error.
        timeout: seconds without a byte after which the server counts as silent; `pauses` before each new attempt.

    Raises:
        DatasetUnavailable: the file cannot be downloaded, is not the expected one, or cannot be written.
    """
    instead = instead or f"download {url} by hand and pass it with --ratings"
    part = destination.with_name(f"{destination.name}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(destination, progress):
            if not (destination.exists() and _has_digest(destination, digest)):
                _receive_all(url, part, progress, instead, timeout, pauses, max_bytes)
                if not _has_digest(part, digest):
                    _discard(part)
                    raise DatasetUnavailable(
                        f"{url} does not have the expected content ({digest}), and what was received has been "
                        f"removed; run the same command again, or {instead}."
                    )
                os.replace(part, destination)
                _discard(part)
    except OSError as error:
        raise unwritable(destination, error) from error
    return destination


@contextmanager
def exclusive(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock for making `path`, a file beside it; the kernel releases it when the process ends."""
    lock = FileLock(f"{path}.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        progress(0, None, f"waiting for another process that downloads {path.name}")
        held = lock.acquire()
    with held:
        yield


def unwritable(path: Path, error: OSError) -> DatasetUnavailable:
    """The error for a file of the downloads folder that cannot be written."""
    return DatasetUnavailable(
        f"{path} cannot be written ({error.strerror or error}); make room or get write access, "
        "or choose another folder with --downloads."
    )


def _receive_all(
    url: str, part: Path, progress: Progress, instead: str, timeout: float, pauses: Sequence[float], max_bytes: int
) -> None:
    """Bring `part` to its full length, with a new attempt after each pause."""
    with httpx.Client(timeout=timeout, follow_redirects=True, event_hooks={"request": [_refuse_plain_http]}) as client:
        for pause in (*pauses, None):
            try:
                _receive(client, url, part, progress, max_bytes)
                return
            except _TooLarge:
                _discard(part)
                raise DatasetUnavailable(
                    f"{url} sends more than the limit of {max_bytes:,} bytes, and what was received has been "
                    f"removed; {instead}."
                ) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if pause is None or not _is_transient(error, part):
                    raise DatasetUnavailable(_explanation(error, url, part, timeout, instead)) from error
            progress(0, None, f"the download of {part.stem} broke off, next attempt in {pause:g} s")
            time.sleep(pause)


class _TooLarge(Exception):
    """The server has sent more than the size limit."""


def _receive(client: httpx.Client, url: str, part: Path, progress: Progress, max_bytes: int) -> None:
    """Make one attempt, continuing `part` where the server still has the same file."""
    validator = _validator_file(part)
    held = part.stat().st_size if part.exists() and validator.exists() else 0
    # Stored bytes must be the published ones, which a compressed transfer would not give.
    headers = {"Accept-Encoding": "identity"}
    if held:
        headers |= {"Range": f"bytes={held}-", "If-Range": validator.read_text("ascii")}
    with client.stream("GET", url, headers=headers) as response:
        first, total = _content_range(response)
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and held:
            if total == held:
                return
            _discard(part)
            raise httpx.RemoteProtocolError("the server's file is shorter than what has been received")
        response.raise_for_status()
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            if first != held:
                _discard(part)
                raise httpx.RemoteProtocolError("the server continues at another position than requested")
        else:
            held, total = 0, int(response.headers.get("Content-Length", 0)) or None
            # The old bytes are removed first: they must never be beside the validator of the new ones.
            _discard(part)
            _save_validator(validator, response)
        with part.open("ab" if held else "wb") as file:
            for chunk in response.iter_raw():
                held += len(chunk)
                if held > max_bytes:
                    raise _TooLarge
                file.write(chunk)
                progress(held, total, f"downloading {part.stem}")
            file.flush()
            os.fsync(file.fileno())


def _discard(part: Path) -> None:
    """Remove a `.part` file and its validator."""
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _save_validator(file: Path, response: httpx.Response) -> None:
    etag = response.headers.get("ETag", "")
    # A weak ETag promises the same meaning, not the same bytes.
    validator = response.headers.get("Last-Modified") if not etag or etag.startswith("W/") else etag
    if validator and validator.isascii():
        file.write_text(validator, "ascii")


def _content_range(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte and total length from a Content-Range header: "bytes 5-9/10" or "bytes */10"."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    first, total = match.groups()
    return (int(first) if first else None), (int(total) if total.isdigit() else None)


def _has_digest(path: Path, digest: str) -> bool:
    algorithm, _, expected = digest.partition(":")
    with path.open("rb") as file:
        # MD5 is what GroupLens publishes; it guards against accidents, TLS against people.
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return found.hexdigest() == expected.lower()


def _refuse_plain_http(request: httpx.Request) -> None:
    if request.url.scheme != "https" and request.url.host not in _LOOPBACK:
        raise httpx.UnsupportedProtocol(f"{request.url} is not encrypted", request=request)


def _is_transient(error: Exception, part: Path) -> bool:
    """Whether a new attempt has a chance: at once offline is offline, but a broken transfer may go on."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return part.exists() and not isinstance(_os_error(error), ssl.SSLError)
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)


def _os_error(error: BaseException) -> BaseException:
    """The operating system's error behind an error of httpx, or that error itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause or error


def _explanation(error: Exception, url: str, part: Path, timeout: float, instead: str) -> str:
    host = httpx.URL(url).host if not isinstance(error, httpx.InvalidURL) else url
    cause = _os_error(error)
    again = "run the same command again"
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in _TRANSIENT:
            return f"{host} cannot deliver {url} at the moment (HTTP {status}); {again} later, or {instead}."
        return f"{url} cannot be downloaded (HTTP {status}); {instead}."
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message
        return f"{host} cannot prove its identity ({reason}), so nothing is downloaded from it; {instead}."
    if isinstance(cause, socket.gaierror):
        return f"{host} cannot be found, so there is probably no network; {again} when there is, or {instead}."
    if isinstance(cause, ConnectionRefusedError):
        return f"{host} refuses the connection; {again} later, or {instead}."
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.TooManyRedirects):
        return f"{url} leads to an address that cannot be used ({error}); {instead}."
    if part.exists() and part.stat().st_size:
        size = part.stat().st_size / 1e6
        return f"The download from {host} broke off after {size:.1f} MB; {again} to continue there, or {instead}."
    if isinstance(error, httpx.TimeoutException):
        return f"{host} did not answer within {timeout:g} seconds; {again} later, or {instead}."
    return f"{host} cannot be reached ({cause}); {again} later, or {instead}."
