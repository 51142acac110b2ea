import _imp
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from flows.session import Session, _handled, _stop_for_signals
from recsys.settings import Settings
from tasks.progress import STOP

LOG = logging.getLogger("recsys.session")


@pytest.fixture
def listening() -> Iterator[list[logging.Handler]]:
    """Put handlers on the root logger, and leave it as it was."""
    handlers: list[logging.Handler] = []
    yield handlers
    for handler in handlers:
        logging.root.removeHandler(handler)
        handler.close()


def test_a_session_keeps_the_log_off_the_terminal_and_nowhere_else(
    listening: list[logging.Handler],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file, memory = tmp_path / "own.log", io.StringIO()
    listening += [logging.StreamHandler(sys.stderr), logging.FileHandler(file), logging.StreamHandler(memory)]
    for handler in listening:
        logging.root.addHandler(handler)

    Session(Settings())
    LOG.warning("a line of the log")

    assert capsys.readouterr().err == ""
    assert file.read_text() == memory.getvalue() == "a line of the log\n"
    assert caplog.messages == ["a line of the log"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_an_import_leaves_no_lock_for_threads_to_wait_for(number: signal.Signals) -> None:
    locked = threading.Event()

    def interrupt() -> None:
        _imp.acquire_lock()
        locked.set()
        time.sleep(0.2)  # the main thread waits for the lock meanwhile
        os.kill(os.getpid(), number)
        time.sleep(0.2)
        _imp.release_lock()

    def work() -> None:
        with _handled(_stop_for_signals()):
            other.start()
            locked.wait()
            with suppress(ModuleNotFoundError):
                import_module("no_such_module")
            time.sleep(5)

    other = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        STOP.clear()
        other.join()
        left_locked = _imp.lock_held()
        if left_locked:
            _imp.release_lock()
    assert not left_locked
