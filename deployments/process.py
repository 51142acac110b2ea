"""Background processes that outlive the shell that started them, and can be found again."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.process_record import ProcessRecord
from recsys.errors import ServerUnavailable

STOP_TIMEOUT = 30.0
"""Seconds that a process may take to end after SIGTERM."""


@dataclass(frozen=True)
class Background:
    """A process that works in `cwd`; `folder` holds its log, and the record by which it is found again."""

    name: str
    folder: Path
    cwd: Path

    @property
    def log(self) -> Path:
        """The file of its standard output and error."""
        return self.folder / f"{self.name}.log"

    @property
    def record(self) -> ProcessRecord:
        """The file that names the process."""
        return ProcessRecord(self.folder / f"{self.name}.json", self.cwd)

    @property
    def process(self) -> psutil.Process | None:
        """The running process; None if there is none."""
        return self.record.process

    def start(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, about: str = "") -> None:
        """Start it in a session of its own, so that closing the terminal does not end it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            started = subprocess.Popen(
                command,
                cwd=self.cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.record.write(started.pid, command=command, about=about)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until it is ready; raise ServerUnavailable if it ends before, or is not within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.process and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.2)
        reason = f"Prefect's {self.name} could not be started ({self.last_line()})"
        raise ServerUnavailable(f"{reason}: its log is {self.log}.")

    def stop(self) -> bool:
        """End it and all its child processes; return whether it was running."""
        process = self.process
        if process:
            left = process.children(recursive=True)
            process.terminate()
            psutil.wait_procs([process], timeout=STOP_TIMEOUT)
            for child in left:  # those that it has not ended itself
                with suppress(psutil.NoSuchProcess):
                    child.terminate()
            _, left = psutil.wait_procs([process, *left], timeout=STOP_TIMEOUT)
            for survivor in left:
                survivor.kill()
            psutil.wait_procs(left, timeout=STOP_TIMEOUT)
        self.record.remove()
        return process is not None

    def last_line(self) -> str:
        """Return the last line of its log that is not blank."""
        lines = [line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").split("\n")]
        return next(filter(None, reversed(lines)), "its log is empty")
