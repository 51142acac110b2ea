"""Downloads that can be interrupted, and that are checked before anybody sees them."""

import hashlib
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from recsys.errors import DatasetUnavailable
from recsys.progress import Progress

MOST_BYTES = 2**30
"""Bytes after which a transfer is broken off: the archive of ml-25m, the largest, has 0.26e9."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PASSING = {429, 500, 502, 503, 504}


def download(
    url: str,
    destination: Path,
    *,
    digest: str,
    progress: Progress,
    instead: str | None = None,
    timeout: float = 30.0,
    pauses: Sequence[float] = (1.0, 3.0, 9.0),
    most_bytes: int = MOST_BYTES,
) -> Path:
    """Fetch a file once; whatever is at `destination` afterwards is complete and has the digest.

    What has arrived is kept in `destination` + ".part", and the next call continues there if the server
    still has the same file (HTTP Range with If-Range). A second process that wants the same file waits
    for the first one. A file that is already there, with the right digest, is not fetched again.

    Args:
        url: https address; http is accepted from this computer only.
        destination: path of the file to make; its folder is created.
        digest: what the content must be, as "md5:<hex>" or "sha256:<hex>".
        progress: told about the bytes.
        instead: what a person can do where the download fails; it ends the sentence of the error.
        timeout: seconds without a byte after which the server counts as silent.
        pauses: seconds before each new attempt after a break.
        most_bytes: how much is taken from the server at most.

    Raises:
        DatasetUnavailable: the file is not to be had, is not the expected one, or cannot be written.

    Source:
        RFC 9110, sections 13.1.5 (If-Range), 14 (Range) and 15.5.17 (416).
    """
    instead = instead or f"download {url} by hand and pass it with --ratings"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(destination, progress):
            if not (destination.exists() and _has_digest(destination, digest)):
                _fetch(url, destination, digest, progress, instead, timeout, pauses, most_bytes)
    except OSError as error:
        raise unwritable(destination, error) from error
    return destination


@contextmanager
def exclusive(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the right to make `path`; the lock is the kernel's, and so ends with its process.

    Args:
        path: what is being made; the lock is a file beside it, whose folder must exist.
        progress: told once if another process has the lock.
    """
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(0, None, f"waiting for another process that fetches {path.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def unwritable(path: Path, error: OSError) -> DatasetUnavailable:
    """The sentence for a file of the downloads folder that cannot be written."""
    reason = error.strerror or str(error)
    return DatasetUnavailable(
        f"{path} cannot be written ({reason}); make room or give yourself access, "
        "or choose another folder with --downloads."
    )


def _fetch(
    url: str,
    destination: Path,
    digest: str,
    progress: Progress,
    instead: str,
    timeout: float,
    pauses: Sequence[float],
    most_bytes: int,
) -> None:
    part = destination.with_name(f"{destination.name}.part")
    with httpx.Client(timeout=timeout, follow_redirects=True, event_hooks={"request": [_refuse_plain_http]}) as client:
        for pause in (*pauses, None):
            try:
                _receive(client, url, part, progress, destination.name, most_bytes)
                break
            except _TooMuch:
                _discard(part)
                raise DatasetUnavailable(
                    f"{url} sends more than the {most_bytes:,} bytes that it can have, and what was received has been "
                    f"removed; {instead}."
                ) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if pause is None or not _may_pass(error, part):
                    raise DatasetUnavailable(_sentence(error, url, part, timeout, instead)) from error
            progress(0, None, f"the download of {destination.name} broke off, next attempt in {pause:g} s")
            time.sleep(pause)
    _settle(part, destination, digest, url, instead)


class _TooMuch(Exception):
    """A server that sends more than any file of its kind has."""


def _receive(client: httpx.Client, url: str, part: Path, progress: Progress, name: str, most_bytes: int) -> None:
    """Bring `part` to its full length, continuing it where that is safe."""
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
                raise httpx.RemoteProtocolError("the server continues at another place than asked for")
        else:
            held, total = 0, int(response.headers.get("Content-Length", 0)) or None
            # First the old bytes go: they must never lie beside the version of the new ones.
            _discard(part)
            _remember_validator(validator, response)
        with part.open("ab" if held else "wb") as file:
            for chunk in response.iter_raw():
                held += len(chunk)
                if held > most_bytes:
                    raise _TooMuch
                file.write(chunk)
                progress(held, total, f"downloading {name}")
            file.flush()
            os.fsync(file.fileno())


def _settle(part: Path, destination: Path, digest: str, url: str, instead: str) -> None:
    """Give the complete file its name, if it is the right one."""
    if not _has_digest(part, digest):
        _discard(part)
        raise DatasetUnavailable(
            f"{url} does not have the content that was looked at here ({digest}), and what was received has "
            f"been removed; run the same command again, or {instead}."
        )
    os.replace(part, destination)
    _discard(part)


def _discard(part: Path) -> None:
    """Remove a `.part` file and what is remembered about it."""
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _remember_validator(file: Path, response: httpx.Response) -> None:
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


def _may_pass(error: Exception, part: Path) -> bool:
    """Whether a new attempt has a chance: at once offline is offline, but a broken transfer may go on."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return part.exists() and not isinstance(_root(error), ssl.SSLError)
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)


def _root(error: BaseException) -> BaseException:
    """The operating system's error behind an error of httpx, or that error itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause or error


def _sentence(error: Exception, url: str, part: Path, timeout: float, instead: str) -> str:
    """What went wrong and what to do about it, for a person."""
    host = httpx.URL(url).host if not isinstance(error, httpx.InvalidURL) else url
    root = _root(error)
    again = "run the same command again"
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in _PASSING:
            return f"{host} cannot deliver {url} at the moment (HTTP {status}); {again} later, or {instead}."
        return f"{url} is not to be had (HTTP {status}); {instead}."
    if isinstance(root, ssl.SSLCertVerificationError):
        reason = root.verify_message
        return f"{host} cannot prove its identity ({reason}), so nothing is taken from it; {instead}."
    if isinstance(root, socket.gaierror):
        return f"{host} cannot be found, so there is probably no network; {again} when there is, or {instead}."
    if isinstance(root, ConnectionRefusedError):
        return f"{host} refuses the connection; {again} later, or {instead}."
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.TooManyRedirects):
        return f"{url} leads to an address that cannot be used ({error}); {instead}."
    if part.exists() and part.stat().st_size:
        size = part.stat().st_size / 1e6
        return f"The download from {host} broke off after {size:.1f} MB; {again} to continue there, or {instead}."
    if isinstance(error, httpx.TimeoutException):
        return f"{host} did not answer within {timeout:g} seconds; {again} later, or {instead}."
    return f"{host} cannot be reached ({root}); {again} later, or {instead}."
