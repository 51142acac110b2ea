"""Dispatching tasks: in order, and never leaving anybody to wait forever."""

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from prefect import State
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.executor import Dispatcher, Executor, Promise
from recsys.errors import WorkersUnavailable
from recsys.settings import ScalingSettings
from tasks.train import TRAIN, choosing


class Future:
    """A future that ends when it is told to."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.state: State[Any] = Completed()
        self._result: Any = None
        self._callback: Callable[[Any], None] = lambda future: None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callback = callback

    def end(self, result: Any) -> None:
        self._result = result
        self._callback(self)

    def result(self, raise_on_failure: bool) -> Any:
        if isinstance(self._result, BrokenExecutor | ConnectionError):
            raise self._result
        return self._result


class Work:
    """What stands in for a task: keeps the futures of its submissions."""

    name = "work"

    def __init__(self) -> None:
        self.futures: list[Future] = []

    def submit(self, **arguments: Any) -> Future:
        if arguments.get("nonsense"):
            raise TypeError("no such argument")
        self.futures.append(Future(arguments))
        return self.futures[-1]


def inside_a_flow() -> Any:
    context: Any = FlowRunContext
    return context.model_construct()


@contextmanager
def dispatching(on_end: Callable[[Promise], None] = lambda promise: None) -> Iterator[Any]:
    runner: Any = nullcontext()
    with inside_a_flow(), Dispatcher(runner, on_end) as dispatcher:
        yield dispatcher


def submitted(work: Work, dispatcher: Any) -> list[dict[str, Any]]:
    """The arguments of all submissions so far, after everything that was asked for before."""
    with pytest.raises(TypeError):
        dispatcher.submit(Work(), {"nonsense": True}).result()
    return [future.arguments for future in work.futures]


def test_a_task_is_handed_over_when_what_it_waits_for_is_there() -> None:
    work = Work()
    with dispatching() as dispatcher:
        first = dispatcher.submit(work, {"number": 1})
        second = dispatcher.submit(work, {"models": {"a": {"b": first}}, "number": 2})
        assert submitted(work, dispatcher) == [{"number": 1}]
        work.futures[0].end("done")
        assert first.result() == "done"
        assert submitted(work, dispatcher)[1:] == [{"models": {"a": {"b": work.futures[0].state}}, "number": 2}]
        work.futures[1].end("too")
        assert second.result() == "too"


def test_a_task_is_given_the_reason_why_there_is_no_result() -> None:
    work, reason = Work(), ValueError("diverged")
    with dispatching() as dispatcher:
        first = dispatcher.submit(work, {})
        dispatcher.submit(work, {"model": first})
        submitted(work, dispatcher)
        work.futures[0].end(reason)
        assert first.outcome is reason
        assert submitted(work, dispatcher)[1:] == [{"model": reason}]
    with pytest.raises(ValueError, match="diverged"):
        first.result()


def test_what_waits_for_a_task_that_cannot_be_handed_over_is_given_the_reason() -> None:
    work = Work()
    with dispatching() as dispatcher:
        last = dispatcher.submit(work, {"model": dispatcher.submit(work, {"nonsense": True})})
        (arguments,) = submitted(work, dispatcher)
        assert str(arguments["model"]) == "no such argument"
        work.futures[0].end("report")
        assert last.result() == "report"


@pytest.mark.parametrize(("raised", "kind"), [(BrokenExecutor(), WorkersUnavailable), (ConnectionError(), None)])
def test_a_lost_worker_is_told_from_other_mishaps(raised: Exception, kind: type[Exception] | None) -> None:
    work = Work()
    with dispatching() as dispatcher:
        promise = dispatcher.submit(work, {})
        submitted(work, dispatcher)
        work.futures[0].end(raised)
        result = promise.outcome
    assert isinstance(result, kind) if kind else result is raised


def test_nobody_waits_for_ever_when_the_dispatcher_fails() -> None:
    def fails(promise: Promise) -> None:
        raise OSError("no terminal")

    work = Work()
    with dispatching(fails) as dispatcher:
        one, other = dispatcher.submit(work, {}), dispatcher.submit(work, {})
        while len(work.futures) < 2:
            pass
        work.futures[0].end("done")
        assert one.result() == "done"
        with pytest.raises(OSError, match="no terminal"):
            other.result()
        with pytest.raises(OSError, match="no terminal"):
            dispatcher.submit(work, {}).result()


def test_a_runner_that_does_not_start_is_an_error_at_once() -> None:
    @contextmanager
    def broken() -> Iterator[Any]:
        raise WorkersUnavailable("no workers")
        yield

    with (
        inside_a_flow(),
        pytest.raises(WorkersUnavailable, match="no workers"),
        Dispatcher(broken()),
    ):
        pass


def test_runs_that_choose_epochs_and_others_of_the_same_task_keep_their_names(tmp_path: Path) -> None:
    names = []

    class Recorder:
        def submit(self, task: Any, arguments: dict[str, Any]) -> Promise:
            names.append(task.task_run_name)
            return Promise(task.name)

    executor = Executor(str(tmp_path), ScalingSettings(), refresh=False, dispatcher=cast(Dispatcher, Recorder()))
    for task in (choosing(TRAIN["mf"]), TRAIN["mf"], choosing(TRAIN["mf"])):
        executor.submit(task)
    detail = "mf · {settings.embedding_size} factors · seed {seed}"
    assert names == [f"choose epochs of {detail}", f"train {detail}", f"choose epochs of {detail}"]
