"""Processes that outlive the shell which began them, and can be found again."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from recsys.store.store import write_atomically

FAREWELL = 30.0
"""Seconds that a process may take to end when it is asked to."""


@dataclass(frozen=True)
class Background:
    """A process with a name; `folder` holds its log, and a note by which it is found again."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that has all it says."""
        return self.folder / f"{self.name}.log"

    @property
    def process(self) -> psutil.Process | None:
        """The running process; None if there is none.

        Its number may have been given to another process since, which is known by the time of its birth.
        """
        note = self._read()
        try:
            process = psutil.Process(note["pid"])
            alive = process.create_time() == note["born"] and process.status() != psutil.STATUS_ZOMBIE
        except (KeyError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    @property
    def about(self) -> str:
        """What was said of it when it was begun."""
        return str(self._read().get("about", ""))

    def start(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None, about: str = ""
    ) -> None:
        """Begin it with a log of its own, in a session of its own: closing the terminal does not end it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            begun = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        note = {"pid": begun.pid, "born": psutil.Process(begun.pid).create_time(), "about": about}
        write_atomically(self._note, json.dumps(note).encode())

    def stop(self) -> bool:
        """End it and all that it has begun; return whether it was running."""
        process = self.process
        if process:
            left = process.children(recursive=True)
            process.terminate()
            psutil.wait_procs([process], timeout=FAREWELL)
            for one in left:  # whom it has not ended itself
                with suppress(psutil.NoSuchProcess):
                    one.terminate()
            _, left = psutil.wait_procs([process, *left], timeout=FAREWELL)
            for one in left:
                one.kill()
            psutil.wait_procs(left, timeout=FAREWELL)
        self._note.unlink(missing_ok=True)
        return process is not None

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = [line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").split("\n")]
        return next((line for line in reversed(lines) if line), "it said nothing")

    @property
    def _note(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}
