"""Running the DAG with Prefect."""

from collections.abc import Sequence
from typing import Any, Protocol

from prefect import Task, allow_failure
from prefect.futures import PrefectFuture

from recsys.errors import UserError
from tasks.caching import kept_in
from tasks.progress import tell

Call = tuple[Task[..., Any], dict[str, Any]]
"""A task and its arguments."""


class Interpreter(Protocol):
    """What becomes of each task of the DAG."""

    def now(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Have a task done and return its result."""

    def soon(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Have a task done beside others, and return a promise of its result.

        Promises among the arguments may be broken: the task is given the reason instead.
        """

    def together(self, calls: Sequence[Call]) -> list[Any]:
        """Have some tasks done side by side, any of which may fail, and return their results or what they raised."""

    def unknown(self, results: Sequence[Any]) -> Any:
        """Return the first of some results that is not known, None if all are."""


class ModelsFailed(UserError):
    """Some models could not be trained; the report on the others is in `folder`."""

    def __init__(self, reasons: dict[str, str], folder: str) -> None:
        """Name the tasks that failed, and why."""
        self.folder = folder
        self.tasks = list(reasons)
        super().__init__(" ".join(f"{task} failed: {reason}" for task, reason in reasons.items()))


class Running:
    """An interpreter that submits each task to the flow's task runner."""

    def __init__(self, store: str, *, refresh: bool) -> None:
        """Keep results in `store`; with `refresh`, use none of those that are there."""
        self._store = store
        self._refresh = refresh
        self._futures: list[tuple[str, PrefectFuture[Any]]] = []

    def now(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Run a task and return its result, or raise what it raised."""
        return self.soon(task, **arguments).result()

    def soon(self, task: Task[..., Any], /, **arguments: Any) -> PrefectFuture[Any]:
        """Submit a task and return its future."""
        future = self._submit(task, arguments)
        self._futures.append((task.name, future))
        return future

    def together(self, calls: Sequence[Call]) -> list[Any]:
        """Run some tasks side by side and return their results, or what they raised."""
        futures = [self._submit(task, arguments) for task, arguments in calls]
        return [future.result(raise_on_failure=False) for future in futures]

    def unknown(self, results: Sequence[Any]) -> None:
        """Return None: all results are known."""

    def _submit(self, task: Task[..., Any], arguments: dict[str, Any]) -> PrefectFuture[Any]:
        tell(task.name, "waiting")
        kept = kept_in(self._store, task, refresh=self._refresh).with_options(on_running=[_tell_start])
        future = kept.submit(
            **{
                name: allow_failure(argument) if _promised(argument) else argument
                for name, argument in arguments.items()
            },
        )
        future.add_done_callback(lambda done: _tell_end(task.name, done))
        return future

    def finish(self, report: PrefectFuture[str]) -> str:
        """Wait for the report and return its folder.

        Raises:
            ModelsFailed: a model has no row in the report.
        """
        folder = report.result()
        reasons: dict[str, str] = {}
        for name, future in self._futures:
            result = future.result(raise_on_failure=False)
            if isinstance(result, Exception):
                reasons.setdefault(name, str(result))
        if reasons:
            raise ModelsFailed(reasons, folder)
        return folder


def _promised(argument: Any) -> bool:
    if isinstance(argument, dict):
        return any(_promised(part) for part in argument.values())
    return isinstance(argument, PrefectFuture)


def _tell_start(task: Task[..., Any], run: Any, state: Any) -> None:
    tell(task.name, "running")


def _tell_end(task: str, future: PrefectFuture[Any]) -> None:
    future.wait()
    state = future.state
    if state.is_failed() or state.is_crashed():
        result = future.result(raise_on_failure=False)
        tell(task, "failed", text=str(result))
    else:
        tell(task, "cached" if state.name == "Cached" else "done")
