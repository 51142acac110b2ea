import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.session import Session
from recsys.settings import Settings

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
