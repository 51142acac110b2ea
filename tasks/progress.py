"""Progress of the tasks, in the Prefect UI and on the terminal."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from tasks.asking import asking_once
from tasks.relay import Relay, Words, relay_of_this_task

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
