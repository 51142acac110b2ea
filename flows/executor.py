"""Running the DAG with Prefect."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

from prefect import State, Task
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from flows.runners import started
from recsys.errors import UserError, WorkersUnavailable
from recsys.settings import ScalingSettings
from tasks.cache import kept_in
from tasks.observability import tell_end
from tasks.progress import STOP, Hearing, Relay, hearing, pass_on, relay_of_this_task, tell
from tasks.retries import RETRYING

RUNNERS = {"concurrent", "distributed", "ray"}
"""Packages whose exceptions tell of workers, not of what a task did."""

log = logging.getLogger(__name__)


class Promise:
    """What a task will have come to: a result, or the reason why there is none."""

    def __init__(self, task: str) -> None:
        """Promise a result of the task of this name."""
        self.task = task
        self._outcome: Future[tuple[Any, State[Any] | None]] = Future()

    def settle(self, result: Any, state: State[Any] | None = None) -> None:
        """Say what the task has come to: its result or what it raised, and its final state where there is one."""
        self._outcome.set_result((result, state))

    @property
    def settled(self) -> bool:
        """Whether the task has come to its end."""
        return self._outcome.done()

    @property
    def cached(self) -> bool:
        """Whether the result was found and not computed."""
        _, state = self._outcome.result()
        return state is not None and state.name == "Cached"

    def result(self, *, raise_on_failure: bool = True) -> Any:
        """Wait for the end of the task, and return its result, or raise (or return) what it raised."""
        result, _ = self._outcome.result()
        if raise_on_failure and isinstance(result, Exception):
            raise result
        return result

    def argument(self) -> Any:
        """Return what other tasks are given: a state, from which Prefect takes the result, or what was raised."""
        result, state = self._outcome.result()
        return result if isinstance(result, Exception) or state is None else state


@dataclass(frozen=True)
class _Asked:
    promise: Promise
    task: Task[..., Any]
    arguments: dict[str, Any]

    @property
    def can_begin(self) -> bool:
        return all(promise.settled for promise in _promises(self.arguments))


@dataclass(frozen=True)
class _Ended:
    promise: Promise
    future: PrefectFuture[Any]


class Dispatch:
    """A thread that starts a task runner, submits what it is asked for, and stops the runner in the end."""

    def __init__(
        self, runner: AbstractContextManager[TaskRunner[Any]], on_end: Callable[[Promise], None] = lambda promise: None
    ) -> None:
        """Submit to `runner`, and call `on_end` with each promise that is settled."""
        self._runner = runner
        self._on_end = on_end
        self._news: SimpleQueue[_Asked | _Ended | None] = SimpleQueue()
        self._started: Future[None] = Future()
        self._open: list[Promise] = []
        self._thread = Thread(target=copy_context().run, args=(self._run,), name="dispatch")

    def ask(self, task: Task[..., Any], arguments: dict[str, Any]) -> Promise:
        """Have a task done as soon as the promises among its arguments are settled."""
        promise = Promise(task.name)
        self._news.put(_Asked(promise, task, arguments))
        return promise

    def __enter__(self) -> Self:
        """Start the task runner, or raise what that raises."""
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._news.put(None)  # interrupted: what is being started is stopped when it has started
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Submit nothing more, and wait for the tasks that are under way."""
        self._news.put(None)
        self._thread.join()

    def _run(self) -> None:
        context = FlowRunContext.get()
        assert context is not None, "tasks are submitted inside a flow"
        try:
            with self._runner as runner, context.model_copy(update={"task_runner": runner}):
                self._started.set_result(None)
                try:
                    self._serve()
                except Exception as error:
                    self._give_up(error)
        except Exception as error:
            if self._started.done():
                log.warning("the workers did not end in order: %s", error)
            else:
                self._started.set_exception(error)

    def _serve(self) -> None:
        waiting: list[_Asked] = []
        while (news := self._news.get()) is not None:
            if isinstance(news, _Asked):
                waiting.append(news)
                self._open.append(news.promise)
            else:
                _settle(news.promise, news.future)
                self._open.remove(news.promise)
                self._on_end(news.promise)
            while ready := [asked for asked in waiting if asked.can_begin]:
                for asked in ready:
                    waiting.remove(asked)
                    self._submit(asked)

    def _give_up(self, error: Exception) -> None:
        """Settle all promises: whoever waits for one would wait for ever."""
        for promise in self._open:
            promise.settle(error)
        while (news := self._news.get()) is not None:
            if isinstance(news, _Asked):
                news.promise.settle(error)

    def _submit(self, asked: _Asked) -> None:
        arguments = {name: _with_states(argument) for name, argument in asked.arguments.items()}
        try:
            future = asked.task.submit(**arguments)
        except Exception as error:
            asked.promise.settle(error)
            self._open.remove(asked.promise)
            self._on_end(asked.promise)
        else:
            future.add_done_callback(lambda _: self._news.put(_Ended(asked.promise, future)))


def _settle(promise: Promise, future: PrefectFuture[Any]) -> None:
    try:
        promise.settle(future.result(raise_on_failure=False), future.state)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in RUNNERS:
            promise.settle(error)
            return
        promise.settle(
            WorkersUnavailable(
                f"The worker that ran {promise.task} was lost ({type(error).__name__}), perhaps for lack of memory: "
                "every finished task is kept, so repeat the command, with fewer --workers where memory is short."
            )
        )


def _promises(argument: Any) -> Iterator[Promise]:
    if isinstance(argument, Promise):
        yield argument
    elif isinstance(argument, dict):
        for part in argument.values():
            yield from _promises(part)


def _with_states(argument: Any) -> Any:
    if isinstance(argument, Promise):
        return argument.argument()
    if isinstance(argument, dict):
        return {name: _with_states(part) for name, part in argument.items()}
    return argument


Call = tuple[Task[..., Any], dict[str, Any]]
"""A task and its arguments."""


class Interpreter(Protocol):
    """What becomes of each task of the DAG."""

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Have a task done and return its result."""

    def submit(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Have a task done beside others, and return a promise of its result.

        Promises among the arguments may be broken: the task is given the reason instead.
        """

    def gather(self, calls: Sequence[Call]) -> list[Any]:
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

    def run(self, task: Task[..., Any], /, **arguments: Any) -> Any:
        """Run a task and return its result, or raise what it raised."""
        return self.submit(task, **arguments).result()

    def submit(self, task: Task[..., Any], /, **arguments: Any) -> Promise:
        """Have a task run beside others and return a promise of its result."""
        promise = self._ask(task, arguments)
        self._promises.append(promise)
        return promise

    def gather(self, calls: Sequence[Call]) -> list[Any]:
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
