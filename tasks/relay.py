"""Words between a flow and those of its tasks that run in other processes, on this machine or another.

All of them see the store, so the words are files in a folder of it, one folder a flow run: each process appends
lines of JSON to a file of its own, which the flow's process reads as they come; the file `stop` asks all to end.
A folder that is gone does so too: its flow is over.
"""

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout
from prefect.context import TaskRunContext

from recsys.store import Store

SECONDS_BETWEEN_LOOKS = 0.25

Words = dict[str, Any]
"""What is said, as JSON."""


@dataclass(frozen=True)
class Relay:
    """The folder of one flow run; without it, the tasks run in the flow's own process."""

    folder: Path

    @classmethod
    def of(cls, store: str, flow_run: UUID) -> "Relay":
        """Return the relay of a flow run that uses this store."""
        return cls(Store(store).root / "relay" / str(flow_run))

    def say(self, words: Words) -> None:
        """Say something to the flow's process, if it still listens."""
        path = self.folder / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        with suppress(FileNotFoundError), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(words) + "\n")

    def stop(self) -> None:
        """Ask all tasks to end."""
        (self.folder / "stop").touch()

    @property
    def stopped(self) -> bool:
        """Whether all tasks are asked to end."""
        return (self.folder / "stop").exists() or not self.folder.is_dir()


def relay_of_this_task() -> Relay | None:
    """Return the relay of the task that is running here, None where it runs in its flow's process or in no flow."""
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return None
    relay = Relay.of(context.parameters["store"], context.task_run.flow_run_id)
    return relay if relay.folder.is_dir() else None


@dataclass
class Hearing:
    """What has been heard through a relay, and passed on to `hear`."""

    relay: Relay
    hear: Callable[[Words], None]
    _read: dict[Path, int] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def listen(self) -> None:
        """Pass on what was said since the last time."""
        with self._one_at_a_time:
            for path in sorted(self.relay.folder.glob("*.jsonl")):
                for line in self._new_lines(path):
                    self.hear(json.loads(line))

    def _new_lines(self, path: Path) -> list[bytes]:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            whole, end, _ = file.read().rpartition(b"\n")  # a line that is being written is read the next time
        self._read[path] = self._read.get(path, 0) + len(whole) + len(end)
        return whole.splitlines()


@contextmanager
def hearing(relay: Relay, hear: Callable[[Words], None]) -> Iterator[Hearing]:
    """Open a relay and pass on what is said through it while the block runs."""
    heard = Hearing(relay, hear)
    over = threading.Event()

    def listen() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            heard.listen()

    listener = threading.Thread(target=listen, name="relay", daemon=True)
    with _opened(relay.folder):
        listener.start()
        try:
            yield heard
        finally:
            over.set()
            listener.join()
            heard.listen()


@contextmanager
def _opened(folder: Path) -> Iterator[None]:
    """Have the folder while the block runs, and remove what processes that were killed have left beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in folder.parent.glob("*/"):
        with suppress(Timeout), _owner(leftover).acquire(blocking=False):
            shutil.rmtree(leftover, ignore_errors=True)
            _owner_file(leftover).unlink(missing_ok=True)
    with _owner(folder):
        folder.mkdir(mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _owner_file(folder).unlink(missing_ok=True)


def _owner_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _owner(folder: Path) -> FileLock:
    """The lock that the folder's process holds, and that vanishes with it."""
    return FileLock(_owner_file(folder))
