"""Downloads against a server on this computer that behaves as badly as servers do."""

import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from recsys.data import download as module
from recsys.data.download import download
from recsys.errors import DatasetUnavailable
from recsys.progress import silent

CONTENT = bytes(range(256)) * 1000
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
NO_PAUSES = (0.0, 0.0, 0.0)


class Server(ThreadingHTTPServer):
    """Serves `content`; each entry of `script` spoils one request, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.ranges = True
        self.script: list[str] = []
        self.requests: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/ml.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken pipes are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append({key.lower(): value for key, value in self.headers.items()})
        mode = server.script.pop(0) if server.script else "normal"
        if mode.isdigit():
            self.send_error(int(mode))
        elif mode.startswith("redirect "):
            self.send_response(302)
            self.send_header("Location", mode.removeprefix("redirect "))
            self.end_headers()
        else:
            self.send_content(mode)

    def send_content(self, mode: str) -> None:
        server, first, total = self.server, 0, len(self.server.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and server.ranges and self.headers.get("If-Range") == server.etag:
            first = int(wanted.group(1))
            if first >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            first -= mode == "misplaced"
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(total - first))
        self.end_headers()
        body = server.content[first:]
        if mode in {"broken", "stalled"}:
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if mode == "stalled":
            time.sleep(0.6)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server: Server, folder: Path, digest: str = MD5, timeout: float = 5.0) -> Path:
    return download(server.url, folder / "ml.zip", digest=digest, progress=silent, timeout=timeout, pauses=NO_PAUSES)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def hold(folder: Path, content: bytes, version: str = '"one"') -> None:
    (folder / "ml.zip.part").write_bytes(content)
    (folder / "ml.zip.part.version").write_text(version)


@pytest.mark.parametrize("digest", [MD5, SHA256, SHA256.upper().replace("SHA", "sha")])
def test_a_file_arrives_whole_and_alone(server: Server, tmp_path: Path, digest: str) -> None:
    assert fetch(server, tmp_path / "new", digest).read_bytes() == CONTENT
    assert files(tmp_path / "new") == ["ml.zip"]


def test_progress_counts_bytes_up_to_the_total(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[float, float | None]] = []
    download(server.url, tmp_path / "f", digest=MD5, progress=lambda done, total, text: calls.append((done, total)))
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert calls == sorted(calls)


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml.zip").write_bytes(CONTENT)
    fetch(server, tmp_path)
    assert server.requests == []


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml.zip").write_bytes(CONTENT[:-1])
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_broken_transfer_is_continued_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.script = ["broken"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.requests[1]["range"] == f"bytes={len(CONTENT) // 2}-"
    assert server.requests[1]["if-range"] == '"one"'


def test_a_transfer_that_keeps_breaking_keeps_what_it_has_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.script = ["broken"] * 4
    with pytest.raises(DatasetUnavailable, match=r"broke off after 0\.2 MB; run the same command again to continue"):
        fetch(server, tmp_path)
    assert len(server.requests) == 4
    assert files(tmp_path) == ["ml.zip.part", "ml.zip.part.version"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert "range" in server.requests[4]
    assert files(tmp_path) == ["ml.zip"]


def test_a_server_that_ignores_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.script = False, ["broken"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_file_that_has_changed_since_is_not_glued_to_the_old_part(server: Server, tmp_path: Path) -> None:
    hold(tmp_path, b"old" * 1000, version='"old"')
    assert fetch(server, tmp_path, digest=MD5).read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_version_nothing_is_continued(server: Server, tmp_path: Path, etag: str | None) -> None:
    server.etag, server.script = etag, ["broken"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert "range" not in server.requests[1]


def test_a_part_that_is_complete_already_only_gets_its_name(server: Server, tmp_path: Path) -> None:
    hold(tmp_path, CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("held", [CONTENT + b"more", CONTENT[1:] + b"x"])
def test_a_part_that_cannot_be_right_does_not_survive(server: Server, tmp_path: Path, held: bytes) -> None:
    hold(tmp_path, held)
    try:
        fetch(server, tmp_path)
    except DatasetUnavailable:
        assert files(tmp_path) == []
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_continuation_at_the_wrong_place_is_thrown_away(server: Server, tmp_path: Path) -> None:
    hold(tmp_path, CONTENT[:1000])
    server.script = ["misplaced"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_wrong_content_is_removed_and_named(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>Please log in to the hotel's network</html>"
    with pytest.raises(DatasetUnavailable, match=f"does not have the expected content .{MD5}"):
        fetch(server, tmp_path)
    assert files(tmp_path) == []


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.script = ["404"]
    with pytest.raises(
        DatasetUnavailable, match=r"cannot be downloaded \(HTTP 404\); download .* by hand .* --ratings\.$"
    ):
        fetch(server, tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_recovers_is_forgiven(server: Server, tmp_path: Path) -> None:
    server.script = ["500", "503"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_server_that_does_not_recover_is_named(server: Server, tmp_path: Path) -> None:
    server.script = ["500"] * 4
    with pytest.raises(DatasetUnavailable, match=r"127\.0\.0\.1 cannot deliver .* at the moment \(HTTP 500\)"):
        fetch(server, tmp_path)


def test_a_stalled_transfer_is_given_up_and_continued(server: Server, tmp_path: Path) -> None:
    server.script = ["stalled"]
    assert fetch(server, tmp_path, timeout=0.2).read_bytes() == CONTENT


def test_a_silent_server_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/ml.zip"
        with pytest.raises(DatasetUnavailable, match=r"did not answer within 0\.1 seconds"):
            download(url, tmp_path / "f", digest=MD5, progress=silent, timeout=0.1, pauses=())


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.script = ["redirect /elsewhere"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["http://example.invalid/ml.zip", "ftp://example.invalid/ml.zip"])
def test_a_redirect_out_of_encryption_is_refused(server: Server, tmp_path: Path, target: str) -> None:
    server.script = [f"redirect {target}"]
    with pytest.raises(DatasetUnavailable, match="leads to an address that cannot be used"):
        fetch(server, tmp_path)


def test_plain_http_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="is not encrypted"):
        download("http://example.invalid/ml.zip", tmp_path / "f", digest=MD5, progress=silent)


def test_a_refused_connection_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(DatasetUnavailable, match=r"127\.0\.0\.1 refuses the connection; run the same command again"):
        download(f"http://127.0.0.1:{port}/ml.zip", tmp_path / "f", digest=MD5, progress=silent)
    assert time.monotonic() - started < 0.9


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (socket.gaierror(-2, "Name or service not known"), "cannot be found, so there is probably no network"),
        (ssl.SSLCertVerificationError(1, "expired"), "cannot prove its identity"),
        (OSError(113, "No route to host"), "cannot be reached .*No route to host"),
    ],
)
def test_each_way_of_being_offline_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: OSError, sentence: str
) -> None:
    def connect(*args: object) -> None:
        raise httpx.ConnectError("no connection") from cause

    if isinstance(cause, ssl.SSLCertVerificationError):
        cause.verify_message = "certificate has expired"
    monkeypatch.setattr(module, "_receive", connect)
    with pytest.raises(DatasetUnavailable, match=sentence):
        download("https://example.invalid/ml.zip", tmp_path / "f", digest=MD5, progress=silent)


def test_the_caller_can_say_what_to_do_instead(server: Server, tmp_path: Path) -> None:
    server.script = ["404"]
    with pytest.raises(DatasetUnavailable, match=r"; ask the librarian\.$"):
        download(server.url, tmp_path / "f", digest=MD5, progress=silent, instead="ask the librarian")


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetUnavailable, match=r"cannot be written .*another folder with --downloads"):
        fetch(server, tmp_path / "file")


def test_two_downloads_of_one_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert files(tmp_path) == ["ml.zip"]


def test_who_waits_for_another_process_is_told(server: Server, tmp_path: Path) -> None:
    texts: list[str] = []
    lock = FileLock(tmp_path / "ml.zip.lock", thread_local=False)
    lock.acquire()

    def progress(done: float, total: float | None, text: str) -> None:
        if not texts:
            lock.release()
        texts.append(text)

    waiting = threading.Thread(
        daemon=True,
        target=download,
        args=(server.url, tmp_path / "ml.zip"),
        kwargs={"digest": MD5, "progress": progress},
    )
    waiting.start()
    waiting.join(5)
    assert texts[0] == "waiting for another process that downloads ml.zip"
    assert (tmp_path / "ml.zip").read_bytes() == CONTENT
