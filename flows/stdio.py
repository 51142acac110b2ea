"""Standard streams on which no run depends, and what Ctrl-C comes to before the command line can say so."""

import errno
import io
import os
import signal
import sys
from types import FrameType
from typing import Any, TextIO


def end_with_a_sentence() -> None:
    """Have Ctrl-C end the process with one sentence; `flows.command_line.main` takes over from here."""
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"compare: stopped before anything was begun.\n")
    os._exit(130)


class Dependable(io.FileIO):
    """A file descriptor that takes everything, and remembers the first time that it could not pass it on."""

    trouble: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write bytes, or leave them out, and return how many that were."""
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as trouble:
                self.trouble = trouble
        return len(data)


def prepare_streams() -> None:
    """Have what is printed never fail: on a full disk, into a pipe that nobody reads, in another encoding, or closed.

    To be called before anything opens a file, which would get the number of a stream that is closed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
        if number and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _dependable(stream))


def unwritten() -> str | None:
    """Return a sentence where standard output could not be written to its end, unless nobody reads it."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    trouble = raw.trouble if isinstance(raw, Dependable) else None
    if trouble is None or trouble.errno == errno.EPIPE:
        return None
    return (
        f"standard output cannot be written ({trouble.strerror}), so what was said there is cut; what was done is "
        "kept: make room and repeat the command."
    )


def _dependable(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(Dependable(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering or stream.write_through,
    )
