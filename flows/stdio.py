"""Standard streams that no run depends on, error messages, and Ctrl-C before the command line can handle it."""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from recsys.errors import UserError
from recsys.text import escaped

_stderr = 2
"""Descriptor for error messages; `prepare_streams` makes it one that holds while TensorFlow's loading silences 2."""


def program_name() -> str:
    """Return the name of the command: that of the installed script, or of flows/compare.py."""
    name = Path(sys.argv[0]).stem
    return name if name == "mf-or-dnn" else "compare"


def handle_early_interrupt() -> None:
    """Have Ctrl-C end the process with one sentence while modules are imported."""
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    print_error("stopped before anything was begun.")
    os._exit(130)


def print_error(message: str) -> None:
    """Print one sentence on standard error."""
    with suppress(OSError):  # closed, or nobody reads it
        os.write(_stderr, f"{program_name()}: {escaped(message)}\n".encode())


def fail(message: str, code: int) -> NoReturn:
    """Print one sentence on standard error and exit."""
    print_error(message)
    sys.exit(code)


@contextmanager
def user_errors_reported(program: str, error_type: type[Exception] = UserError) -> Iterator[None]:
    """Exit with code 2 and one sentence for a UserError, or another type of error, or if output was lost."""
    try:
        yield
        problem = output_error()
    except (UserError, error_type) as error:
        problem = " ".join(str(error).split())
    if problem:
        print(f"{program}: {escaped(problem)}", file=sys.stderr)
        sys.exit(2)


class TolerantFile(io.FileIO):
    """A file descriptor to which writing never fails: after the first error it discards everything."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write bytes, or discard them, and return how many that were."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return len(data)


def prepare_streams() -> None:
    """Make printing never fail, be the stream a full disk, a pipe that nobody reads, of another encoding, or closed.

    To be called before anything opens a file, which would get the descriptor of a closed stream.
    """
    global _stderr
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
        if number and isinstance(stream, io.TextIOWrapper):
            raw = io.BufferedWriter(TolerantFile(stream.fileno(), "w", closefd=False))
            by_line = stream.line_buffering or stream.write_through
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, errors="replace", line_buffering=by_line))
    _stderr = os.dup(2)


def output_error() -> str | None:
    """Return a sentence if standard output could not be written completely, unless nobody reads it."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, TolerantFile) else None
    if error is None or error.errno == errno.EPIPE:
        return None
    lost = f"standard output cannot be written ({error.strerror}), so the output is incomplete"
    return f"{lost}; all results are kept: free some space and repeat the command."
