"""Running the DAG with Prefect."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

from prefect import Task
from prefect.context import FlowRunContext

from flows.dispatch import Dispatch, Promise
from flows.runners import started
from recsys.errors import UserError
from recsys.settings import ScalingSettings
from tasks.caching import kept_in
from tasks.progress import STOP, pass_on, tell
from tasks.relay import Hearing, Relay, hearing, relay_of_this_task
from tasks.retrying import RETRYING
from tasks.story import tell_end

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
    """An interpreter that has each task run by the task runner that was chosen; to be entered inside the flow."""

    def __init__(self, store: str, scaling: ScalingSettings, *, refresh: bool) -> None:
        """Keep results in `store`; with `refresh`, use none of those that are there."""
        self._store = store
        self._scaling = scaling
        self._refresh = refresh
        self._promises: list[Promise] = []
        self._kept: dict[str, Task[..., Any]] = {}
        self._hearing: Hearing | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the task runner.

        Raises:
            WorkersUnavailable: it cannot be started.
        """
        STOP.clear()
        self._dispatch = Dispatch(started(self._scaling), self._tell_end)
        with ExitStack() as stack:
            if self._scaling.elsewhere:
                relay = Relay.of(self._store, _flow_run())
                self._hearing = stack.enter_context(hearing(relay, pass_on))
            stack.enter_context(self._dispatch)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the tasks that are under way; where the run was interrupted, ask them to end."""
        if kind and not issubclass(kind, Exception):  # Ctrl-C, or SIGTERM, which Prefect hears instead of us
            STOP.set()
            if self._hearing:
                self._hearing.relay.stop()
        self._stack.close()

    def now(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Run a task and return its result, or raise what it raised."""
        return self.soon(task, **arguments).result()

    def soon(self, task: Task[..., Any], /, **arguments: Any) -> Promise:
        """Have a task run beside others and return a promise of its result."""
        promise = self._ask(task, arguments)
        self._promises.append(promise)
        return promise

    def together(self, calls: Sequence[Call]) -> list[Any]:
        """Run some tasks side by side and return their results, or what they raised."""
        promises = [self._ask(task, arguments) for task, arguments in calls]
        return [promise.result(raise_on_failure=False) for promise in promises]

    def unknown(self, results: Sequence[Any]) -> None:
        """Return None: all results are known."""

    def finish(self, report: Promise) -> str:
        """Wait for the report and return its folder.

        Raises:
            ModelsFailed: a model has no row in the report.
        """
        folder: str = report.result()
        reasons: dict[str, str] = {}
        for promise in self._promises:
            result = promise.result(raise_on_failure=False)
            if isinstance(result, Exception):
                reasons.setdefault(promise.task, str(result))
        if reasons:
            raise ModelsFailed(reasons, folder)
        return folder

    def _ask(self, task: Task[..., Any], arguments: dict[str, Any]) -> Promise:
        tell(task.name, "waiting")
        if task.name not in self._kept:
            told = task.with_options(
                on_running=[*task.on_running_hooks, _tell_start],
                on_completion=[tell_end],
                timeout_seconds=self._scaling.seconds,
                **RETRYING,
            )
            self._kept[task.name] = kept_in(self._store, told, refresh=self._refresh)
        return self._dispatch.ask(self._kept[task.name], arguments)

    def _tell_end(self, promise: Promise) -> None:
        if self._hearing:
            self._hearing.listen()  # first what the task had to say
        result = promise.result(raise_on_failure=False)
        if isinstance(result, Exception):
            tell(promise.task, "failed", text=str(result))
        else:
            tell(promise.task, "cached" if promise.cached else "done")


def _flow_run() -> UUID:
    context = FlowRunContext.get()
    assert context is not None, "tasks run inside a flow"
    assert context.flow_run is not None
    return context.flow_run.id


def _tell_start(task: Task[..., Any], run: Any, state: Any) -> None:
    tell(task.name, "running", relay=relay_of_this_task())
