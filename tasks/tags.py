"""Tags of task runs, by which the UI filters them."""

from collections.abc import Callable
from typing import Any

from prefect import State, Task
from prefect.client.schemas.objects import TaskRun


def tagged(*tags: str) -> Callable[[Task[..., Any], TaskRun, State[Any]], None]:
    """Return a hook that tags a task's run when it has begun.

    Of a run that has tags before it begins, Prefect asks the server whether it may begin. With other requests
    beside it, SQLite turns that one away, to be repeated two seconds later.
    """

    def tag(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
        task_run.tags = sorted({*task_run.tags, *tags})

    return tag
