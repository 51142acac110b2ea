"""Executing the DAG with Prefect: its interpreter, and the thread that submits tasks to a task runner."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import MappingProxyType
from typing import Any, Protocol, Self

from prefect import State, Task
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from flows.runners import started
from recsys.errors import UserError, WorkersUnavailable
from recsys.settings import ScalingSettings
from tasks.cache import cached_in
from tasks.observability import log_result
from tasks.progress import STOP, Channel, Event, Receiver, notify_listeners, receiving, report_event, task_channel
from tasks.retries import RETRYING

RUNNER_PACKAGES = {"concurrent", "distributed", "ray"}
"""An exception from one of these is about the workers, not about what a task did."""

Call = tuple[Task[..., Any], dict[str, Any]]
"""A task and its arguments."""

log = logging.getLogger(__name__)


class Interpreter(Protocol):
    """Decides what is done with each task of the DAG, such as run it or look it up in the cache."""

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Return the task's result."""

    def submit(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Return a promise of the task's result, without waiting for it.

        The arguments may hold promises. Where one of these fails, the task is given the exception.
        """

    def gather(self, calls: Sequence[Call]) -> list[Any]:
        """Do some tasks in parallel and return for each its result or the exception that it raised."""

    def unknown(self, results: Sequence[Any]) -> Any:
        """Return the first of some results that is not known, None if all are."""


class ModelsFailed(UserError):
    """Some models could not be trained; the report on the others is in `folder`."""

    def __init__(self, reasons: dict[str, str], folder: str) -> None:
        """Name the tasks that failed, and why."""
        self.folder = folder
        self.tasks = list(reasons)
        super().__init__(" ".join(f"{task} failed: {reason}" for task, reason in reasons.items()))


@contextmanager
def executor(
    store: str,
    scaling: ScalingSettings,
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    refresh: bool,
) -> Iterator["Executor"]:
    """Start a task runner for the block, inside the flow; at its end, wait for the tasks that are running.

    Where the run is interrupted, the tasks are asked to stop. Results are cached in `store`; with `refresh`, none of
    those that are there is used. Worker processes have the `environment` beside that of the run.

    Raises:
        WorkersUnavailable: the task runner cannot be started.
    """
    STOP.clear()
    with ExitStack() as stack:
        receiver = None
        if scaling.elsewhere:
            context = FlowRunContext.get()
            assert context is not None, "tasks run inside a flow"
            assert context.flow_run is not None
            channel = Channel.of(store, context.flow_run.id)
            receiver = stack.enter_context(receiving(channel, notify_listeners))
        dispatcher = stack.enter_context(Dispatcher(started(scaling, environment), partial(_report_end, receiver)))
        try:
            yield Executor(store, scaling, refresh, dispatcher)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or SIGTERM, which Prefect handles before us
                STOP.set()
                if receiver:
                    receiver.channel.stop()
            raise


@dataclass(frozen=True)
class Executor:
    """The interpreter that runs each task on the chosen task runner."""

    store: str
    scaling: ScalingSettings
    refresh: bool
    dispatcher: "Dispatcher"
    _promises: list["Promise"] = field(default_factory=list)
    _tasks: dict[tuple[str, str], Task[..., Any]] = field(default_factory=dict)

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Run a task and return its result, or raise what it raised."""
        return self.submit(task, **arguments).result()

    def submit(self, task: Task[..., Any], /, **arguments: Any) -> "Promise":
        """Submit a task and return a promise of its result."""
        promise = self._submit(task, arguments)
        self._promises.append(promise)
        return promise

    def gather(self, calls: Sequence[Call]) -> list[Any]:
        """Run some tasks in parallel and return their results, or what they raised."""
        promises = [self._submit(task, arguments) for task, arguments in calls]
        return [promise.outcome for promise in promises]

    def unknown(self, results: Sequence[Any]) -> None:
        """Return None: all results are known."""

    def finish(self, report: "Promise") -> str:
        """Wait for the report and return its folder, or raise ModelsFailed if a model has no row in it."""
        folder: str = report.result()
        reasons: dict[str, str] = {}
        for promise in self._promises:
            if error := promise.exception():
                reasons.setdefault(promise.task, str(error))
        if reasons:
            raise ModelsFailed(reasons, folder)
        return folder

    def _submit(self, task: Task[..., Any], arguments: dict[str, Any]) -> "Promise":
        report_event(Event(task.name, "waiting"))
        key = task.name, str(task.task_run_name)  # a task that chooses epochs differs in the name of its runs alone
        if key not in self._tasks:
            configured = task.with_options(
                on_running=[*task.on_running_hooks, _report_start],
                on_completion=[log_result],
                timeout_seconds=self.scaling.seconds,
                **RETRYING,
            )
            self._tasks[key] = cached_in(self.store, configured, refresh=self.refresh)
        return self.dispatcher.submit(self._tasks[key], arguments)


def _report_end(receiver: Receiver | None, promise: "Promise") -> None:
    if receiver:
        receiver.receive()  # first what the task itself reported
    if error := promise.exception():
        report_event(Event(promise.task, "failed", str(error)))
    else:
        report_event(Event(promise.task, "cached" if promise.cached else "done"))


def _report_start(task: Task[..., Any], run: Any, state: Any) -> None:
    report_event(Event(task.name, "running"), task_channel())


class Promise(Future[Any]):
    """The future result of a task, or the exception that explains why there is none."""

    def __init__(self, task: str) -> None:
        """Promise a result of the task of this name."""
        super().__init__()
        self.task = task
        self._task_state: State[Any] | None = None

    def settle(self, outcome: Any, state: State[Any] | None = None) -> None:
        """Set the task's result or exception, and its final state if it has one."""
        self._task_state = state
        if isinstance(outcome, Exception):
            self.set_exception(outcome)
        else:
            self.set_result(outcome)

    @property
    def outcome(self) -> Any:
        """The result, or the exception, of the task, once that has ended."""
        return self.exception() or self.result()

    @property
    def cached(self) -> bool:
        """Whether the result was in the cache."""
        return self._task_state is not None and self._task_state.name == "Cached"

    @property
    def argument(self) -> Any:
        """What other tasks are given: the state, from which Prefect takes the result, or the exception."""
        return self._task_state if self._task_state and not self.exception() else self.outcome


@dataclass(frozen=True)
class _Request:
    """A task to be submitted once the promises among its arguments are settled."""

    promise: Promise
    task: Task[..., Any]
    arguments: dict[str, Any]


class Dispatcher:
    """A thread that starts a task runner, submits the tasks that it is given, and stops the runner at the end."""

    def __init__(
        self, runner: AbstractContextManager[TaskRunner[Any]], on_end: Callable[[Promise], None] = lambda promise: None
    ) -> None:
        """Submit to `runner`, and call `on_end` with each promise that is settled."""
        self._runner = runner
        self._on_end = on_end
        self._queue: SimpleQueue[_Request | tuple[Promise, PrefectFuture[Any]] | None] = SimpleQueue()
        self._started: Future[None] = Future()
        self._open: list[Promise] = []

    def submit(self, task: Task[..., Any], arguments: dict[str, Any]) -> Promise:
        """Have a task run as soon as the promises among its arguments are settled."""
        promise = Promise(task.name)
        self._queue.put(_Request(promise, task, arguments))
        return promise

    def __enter__(self) -> Self:
        """Start the task runner, or raise what that raises."""
        self._thread = Thread(target=copy_context().run, args=(self._run,), name="dispatcher")
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._queue.put(None)  # interrupted: a runner that is still starting is stopped once it has started
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Submit nothing more, and wait for the tasks that are running."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        context = FlowRunContext.get()
        assert context is not None, "tasks are submitted inside a flow"
        try:
            with self._runner as runner, context.model_copy(update={"task_runner": runner}):
                self._started.set_result(None)
                try:
                    self._process_queue()
                except Exception as error:
                    self._fail_all(error)
        except Exception as error:
            if self._started.done():
                log.warning("the workers did not shut down cleanly: %s", error)
            else:
                self._started.set_exception(error)

    def _process_queue(self) -> None:
        waiting: list[_Request] = []
        while (event := self._queue.get()) is not None:
            if isinstance(event, _Request):
                waiting.append(event)
                self._open.append(event.promise)
            else:
                self._settle(event[0], *_outcome(*event))
            while ready := [one for one in waiting if all(promise.done() for promise in _promises(one.arguments))]:
                for request in ready:
                    waiting.remove(request)
                    self._submit(request)

    def _submit(self, request: _Request) -> None:
        arguments = {name: _with_states(argument) for name, argument in request.arguments.items()}
        try:
            future = request.task.submit(**arguments)
        except Exception as error:
            self._settle(request.promise, error)
        else:
            future.add_done_callback(lambda _: self._queue.put((request.promise, future)))

    def _settle(self, promise: Promise, result: Any, state: State[Any] | None = None) -> None:
        promise.settle(result, state)
        self._open.remove(promise)
        self._on_end(promise)

    def _fail_all(self, error: Exception) -> None:
        """Settle every open promise, so that nobody waits for one forever."""
        for promise in self._open:
            promise.settle(error)
        while (event := self._queue.get()) is not None:
            if isinstance(event, _Request):
                event.promise.settle(error)


def _outcome(promise: Promise, future: PrefectFuture[Any]) -> tuple[Any, State[Any] | None]:
    try:
        return future.result(raise_on_failure=False), future.state
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in RUNNER_PACKAGES:
            return error, None
        lost = WorkersUnavailable(
            f"The worker that ran {promise.task} was lost ({type(error).__name__}), perhaps for lack of "
            "memory: every finished task is kept, so repeat the command, with fewer --workers where memory is short."
        )
        return lost, None


def _promises(argument: Any) -> Iterator[Promise]:
    if isinstance(argument, Promise):
        yield argument
    elif isinstance(argument, dict):
        for part in argument.values():
            yield from _promises(part)


def _with_states(argument: Any) -> Any:
    if isinstance(argument, Promise):
        return argument.argument
    if isinstance(argument, dict):
        return {name: _with_states(part) for name, part in argument.items()}
    return argument
