"""Files by which the processes that this folder has started are found again: Prefect's server and worker."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from recsys.store.artifacts import write_atomically

CLOCK_STEPS = 5.0
"""Seconds by which the time when a process was created may seem to change, as the system corrects its clock."""


@dataclass(frozen=True)
class ProcessRecord:
    """A JSON file that names a process, whose working directory is `cwd`."""

    path: Path
    cwd: Path

    def write(self, pid: int, *, command: Sequence[str] = (), about: str = "") -> None:
        """Record a running process of this user's, with the command and any text that it was started with."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        born = psutil.Process(pid).create_time()
        record = {"pid": pid, "born": born, "command": list(command), "about": about}
        write_atomically(self.path, json.dumps(record).encode())

    def remove(self) -> None:
        """Forget the process."""
        self.path.unlink(missing_ok=True)

    @property
    def process(self) -> psutil.Process | None:
        """The running process; None if there is none, or if it is another's.

        A process that was given its PID since is recognised by the time when it was created, the process of a folder
        that this one was copied from by its working directory (which follows a folder that is moved).
        """
        record = self._read()
        try:
            process = psutil.Process(record["pid"])
            same = (
                abs(process.create_time() - record["born"]) < CLOCK_STEPS
                and process.status() != psutil.STATUS_ZOMBIE
                and process.username() == psutil.Process().username()
                and os.path.samefile(process.cwd(), self.cwd)
            )
        except (KeyError, OSError, psutil.Error):
            return None
        return process if same else None

    @property
    def command(self) -> list[str]:
        """The command that it was started with; empty if it is not known."""
        return list(self._read().get("command", []))

    @property
    def about(self) -> str:
        """The text that it was started with."""
        return str(self._read().get("about", ""))

    def listens(self, port: int) -> bool:
        """Return whether the process runs, and it or a child of its listens on a port."""
        process = self.process
        try:
            family = [process, *process.children(recursive=True)] if process else []
            sockets = [socket for member in family for socket in member.net_connections("tcp")]
        except psutil.Error:  # it is just ending
            return False
        return any(socket.status == psutil.CONN_LISTEN and socket.laddr.port == port for socket in sockets)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}
