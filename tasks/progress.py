"""Progress of the tasks, in the Prefect UI and on the terminal.

A task that runs in its flow's process calls the listeners there. Tasks in other processes, on this machine or another,
send their messages through a folder of the store, one a flow run: each process appends lines of JSON to a file of its
own, which the flow's process polls. The file `stop` asks all tasks to stop; so does a folder that is gone.
"""

import json
import logging
import os
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import SettingsContext, TaskRunContext, get_settings_context

from recsys.store.store import Store

STOP = threading.Event()
"""Set in the flow's process when the user stops the run; tasks check it whenever they report progress."""

SECONDS_BETWEEN_POLLS = 0.25

SECONDS_BETWEEN_UPDATES = 1.0
"""An update of the UI costs some 45 ms."""

SECONDS_BETWEEN_LINES = 30.0
"""How often the log shows the progress of a long task; its end has a line of its own."""

SECONDS_AFTER_A_FAILURE = 30.0
"""The work waits while an update fails, which may take seconds."""

Status = Literal["waiting", "running", "cached", "done", "failed", "left out"]

Message = dict[str, Any]
"""What one process sends another, as JSON."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The status of a task and, while it runs, its progress: `done` of `total` and a short text."""

    task: str
    status: Status
    text: str = ""
    done: float = 0
    total: float | None = None


LISTENERS: list[Callable[[Event], None]] = []
"""Called with every event in the flow's process, such as by the terminal."""


class Stopped(Exception):
    """Ends the work of a task because the user stopped the run."""


class TaskProgress:
    """A `recsys.progress.Progress` of one task run; in the UI a progress artifact of the same key in each flow run."""

    def __init__(self, task: str) -> None:
        """Show the progress of the task of this name."""
        self.task = task
        self._channel = task_channel()
        context = TaskRunContext.get()
        self._run = context.task_run.name if context else task
        self._key = progress_key(self._run)
        self._artifact: UUID | None = None
        self._next_at = 0.0
        self._logged_at = time.monotonic()

    def __call__(self, done: float, total: float | None, text: str) -> None:
        """Show progress: at once on the terminal, at most once a second in the UI, but always at the end.

        Raises:
            Stopped: the user has stopped the run.
        """
        if STOP.is_set() or (self._channel and self._channel.stopped):
            raise Stopped(f"{self.task} was stopped")
        report_event(Event(self.task, "running", text, done, total), self._channel)
        now = time.monotonic()
        if total and (done >= total or now >= self._next_at):
            shown = self._show(min(100.0, 100 * done / total), text)
            self._next_at = now + SECONDS_BETWEEN_UPDATES if shown else time.monotonic() + SECONDS_AFTER_A_FAILURE

    def _show(self, percent: float, text: str) -> bool:
        try:
            with without_retries():
                if self._artifact is None:
                    self._artifact = UUID(str(create_progress_artifact(percent, key=self._key, description=text)))
                else:
                    update_progress_artifact(self._artifact, percent, description=text)
                if percent < 100 and time.monotonic() - self._logged_at >= SECONDS_BETWEEN_LINES:
                    self._logged_at = time.monotonic()
                    get_run_logger().info("%s: %s", self._run, text)
        except Exception as error:  # the work goes on whether or not the UI can be updated
            log.debug("progress of %s not shown in the UI: %s", self.task, error)
            return False
        return True


def progress_key(name: str) -> str:
    """Return the key of a task run's progress artifact, from the first and last part of the run's name.

    "train mf · 50 factors · seed 3" gives progress-train-mf-seed-3.
    """
    parts = name.lower().split(" · ")
    return "-".join(["progress", *re.findall("[a-z0-9]+", " ".join(dict.fromkeys([parts[0], parts[-1]])))])


@contextmanager
def without_retries() -> Iterator[None]:
    """Have requests to the server fail at once; Prefect would retry them for a minute."""
    context = get_settings_context()
    client = context.settings.client.model_copy(update={"max_retries": 0})
    # copied, as `temporary_settings` would take 70 ms to read all settings again
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={"client": client})):
        yield


def report_event(event: Event, channel: "Channel | None" = None) -> None:
    """Report an event to the listeners in the flow's process, through the channel if that is another process."""
    send = channel.send if channel else notify_listeners
    send(asdict(event))


def notify_listeners(message: Message) -> None:
    """Call every listener of this process with an event, given as its fields."""
    for listener in LISTENERS:
        listener(Event(**message))


@dataclass(frozen=True)
class Channel:
    """The folder through which tasks in other processes send messages to their flow's process."""

    folder: Path

    @classmethod
    def of(cls, store: str, flow_run: UUID) -> "Channel":
        """Return the channel of a flow run that uses this store."""
        return cls(Store(store).root / "channels" / str(flow_run))

    def send(self, message: Message) -> None:
        """Send a message to the flow's process, if that still listens."""
        path = self.folder / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        with suppress(FileNotFoundError), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")

    def stop(self) -> None:
        """Ask all tasks to stop."""
        (self.folder / "stop").touch()

    @property
    def stopped(self) -> bool:
        """Whether all tasks are asked to stop."""
        return (self.folder / "stop").exists() or not self.folder.is_dir()


def task_channel() -> Channel | None:
    """Return the channel of the task that runs here; None in the flow's own process, or outside of a flow."""
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return None
    channel = Channel.of(context.parameters["store"], context.task_run.flow_run_id)
    return channel if channel.folder.is_dir() else None


@dataclass
class Receiver:
    """Reads the messages of a channel and hands each to `handle`."""

    channel: Channel
    handle: Callable[[Message], None]
    _offsets: Counter[Path] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self) -> None:
        """Handle the messages that were sent since the last call."""
        with self._lock:
            for path in sorted(self.channel.folder.glob("*.jsonl")):
                with path.open("rb") as file:
                    file.seek(self._offsets[path])
                    complete, newline, _ = file.read().rpartition(b"\n")  # the next time what is half written
                self._offsets[path] += len(complete) + len(newline)
                for line in complete.splitlines():
                    self.handle(json.loads(line))


@contextmanager
def receiving(channel: Channel, handle: Callable[[Message], None]) -> Iterator[Receiver]:
    """Open a channel and handle its messages while the block runs."""
    receiver = Receiver(channel, handle)
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(SECONDS_BETWEEN_POLLS):
            receiver.receive()

    thread = threading.Thread(target=poll, name="progress messages", daemon=True)
    with _created(channel.folder):
        thread.start()
        try:
            yield receiver
        finally:
            ended.set()
            thread.join()
            receiver.receive()


@contextmanager
def _created(folder: Path) -> Iterator[None]:
    """Create the folder of a channel for the block, and remove those that killed processes have left beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in folder.parent.glob("*/"):
        with suppress(Timeout), FileLock(_lock_file(leftover)).acquire(blocking=False):
            _remove(leftover)
    with FileLock(_lock_file(folder)):
        folder.mkdir(mode=0o700)
        try:
            yield
        finally:
            _remove(folder)


def _lock_file(folder: Path) -> Path:
    """The file that the flow's process locks; the system releases the lock when the process ends."""
    return folder.with_name(f"{folder.name}.lock")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_file(folder).unlink(missing_ok=True)
