"""Progress of the tasks, in the Prefect UI and on the terminal.

Tasks that run in other processes than their flow, on this machine or another, see the same store, so what they say
are files in a folder of it, one folder a flow run: each process appends lines of JSON to a file of its own, which the
flow's process reads as they come; the file `stop` asks all to end. A folder that is gone does so too: its flow is over.
"""

import json
import logging
import os
import re
import shutil
import socket
import threading
import time
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


@contextmanager
def asking_once() -> Iterator[None]:
    """Have a request fail that the server does not answer; Prefect would repeat it for a minute."""
    context = get_settings_context()
    client = context.settings.client.model_copy(update={"max_retries": 0})
    # copied, as `temporary_settings` would take 70 ms to read all settings anew
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={"client": client})):
        yield


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


Status = Literal["waiting", "running", "cached", "done", "failed"]


@dataclass(frozen=True)
class Event:
    """What there is to say of a task: its status and, while it runs, `done` of `total` and a few words."""

    task: str
    status: Status
    text: str = ""
    done: float = 0
    total: float | None = None


LISTENERS: list[Callable[[Event], None]] = []
"""Called with every event in the process that runs the flow; the terminal is one."""

STOP = threading.Event()
"""Set in the flow's process when the user wants the run to end; heard at the next word of progress."""

SECONDS_BETWEEN_UPDATES = 1.0
"""An update of the UI costs some 45 ms."""

SECONDS_BETWEEN_LINES = 30.0
"""How often the log says how far a long task is; its end has a line of its own."""

SECONDS_AFTER_A_FAILURE = 30.0
"""An update that a server does not take may cost seconds, which the work has to wait."""

log = logging.getLogger(__name__)


def tell(
    task: str, status: Status, text: str = "", done: float = 0, total: float | None = None, relay: Relay | None = None
) -> None:
    """Tell every listener of the flow's process, through the relay where that is another one."""
    words = asdict(Event(task, status, text, done, total))
    if relay:
        relay.say(words)
    else:
        pass_on(words)


def pass_on(words: Words) -> None:
    """Tell every listener of this process an event, given as its fields."""
    for listener in LISTENERS:
        listener(Event(**words))


class Stopped(Exception):
    """Ends the work of a task because the user asked for it."""


class TaskProgress:
    """A `recsys.progress.Progress` that shows what one task run has done.

    In the UI that is a progress artifact, which has the same key in each run of the flow.
    """

    def __init__(self, task: str) -> None:
        """Show the progress of the task of this name."""
        self.task = task
        self._relay = relay_of_this_task()
        context = TaskRunContext.get()
        self._run = context.task_run.name if context else task
        self._key = progress_key(self._run)
        self._artifact: UUID | None = None
        self._next_at = 0.0
        self._logged_at = time.monotonic()

    def __call__(self, done: float, total: float | None, text: str) -> None:
        """Show it: at once on the terminal, at most once a second in the UI, at the end always.

        Raises:
            Stopped: the run is to end.
        """
        if STOP.is_set() or (self._relay and self._relay.stopped):
            raise Stopped(f"{self.task} was stopped")
        tell(self.task, "running", text, done, total, self._relay)
        now = time.monotonic()
        if total and (done >= total or now >= self._next_at):
            shown = self._show(min(100.0, 100 * done / total), text)
            self._next_at = now + SECONDS_BETWEEN_UPDATES if shown else time.monotonic() + SECONDS_AFTER_A_FAILURE

    def _show(self, percent: float, text: str) -> bool:
        try:
            with asking_once():
                self._tell_the_ui(percent, text)
        except Exception as error:  # whatever fails on the way to the UI, the work itself goes on
            log.debug("progress of %s not shown in the UI: %s", self.task, error)
            return False
        return True

    def _tell_the_ui(self, percent: float, text: str) -> None:
        if self._artifact is None:
            self._artifact = _uuid(create_progress_artifact(percent, key=self._key, description=text))
        else:
            update_progress_artifact(self._artifact, percent, description=text)
        self._log(percent, text)

    def _log(self, percent: float, text: str) -> None:
        if percent < 100 and time.monotonic() - self._logged_at >= SECONDS_BETWEEN_LINES:
            self._logged_at = time.monotonic()
            get_run_logger().info("%s: %s", self._run, text)


def progress_key(name: str) -> str:
    """Return the key of a run's progress artifact: "train mf · 50 factors · seed 3" gives progress-train-mf-seed-3.

    Args:
        name: of the task run, whose first part says what is done, and the last for which seed, trial or split.
    """
    parts = name.lower().split(" · ")
    return "-".join(["progress", *re.findall("[a-z0-9]+", " ".join(dict.fromkeys([parts[0], parts[-1]])))])


def _uuid(artifact: Any) -> UUID:
    return artifact if isinstance(artifact, UUID) else UUID(str(artifact))
