"""Background processes that outlive the shell that started them, and can be found again."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from recsys.errors import ServerUnavailable
from recsys.store.store import write_atomically

STOP_TIMEOUT = 30.0
"""Seconds that a process may take to end after SIGTERM."""


@dataclass(frozen=True)
class Background:
    """A named process; `folder` holds its log, and a JSON file by which it is found again."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file of its standard output and error."""
        return self.folder / f"{self.name}.log"

    @property
    def process(self) -> psutil.Process | None:
        """The running process; None if there is none.

        Another process that was given its PID since is recognised by the time when it was created.
        """
        record = self._read()
        try:
            process = psutil.Process(record["pid"])
            alive = process.create_time() == record["born"] and process.status() != psutil.STATUS_ZOMBIE
        except (KeyError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    @property
    def about(self) -> str:
        """The text that it was started with."""
        return str(self._read().get("about", ""))

    def start(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None, about: str = ""
    ) -> None:
        """Start it in a session of its own, so that closing the terminal does not end it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            started = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = {"pid": started.pid, "born": psutil.Process(started.pid).create_time(), "about": about}
        write_atomically(self._record, json.dumps(record).encode())

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
        self._record.unlink(missing_ok=True)
        return process is not None

    def last_line(self) -> str:
        """Return the last line of its log that is not blank."""
        lines = [line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").split("\n")]
        return next(filter(None, reversed(lines)), "its log is empty")

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._record.read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}
