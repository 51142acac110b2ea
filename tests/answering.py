"""A server that gives the same answers to whatever it is asked, in the place of Prefect's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering(status: int, body: str, asked: str | None = None, refused: int | None = None) -> Iterator[str]:
    """Run a server that knows no CSRF tokens and answers all else alike, and yield its address.

    Args:
        status: of its answers.
        body: of its answers.
        asked: of its answers to what is posted, if that is another.
        refused: status of its answers to what is posted, if that is another.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(404 if "csrf-token" in self.path else status, body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(refused or status, asked or body)

        def answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()
