"""When a task is tried again: only where time alone may cure what stopped it."""

import errno
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import httpx
from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

PASSING_ERRORS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""What a network, or a disk at its other end, says while it cannot be reached."""

PASSING_ANSWERS = {429, 500, 502, 503, 504}
"""HTTP status codes of a server that is too busy or being restarted."""


class Retrying(TypedDict):
    """The options of a task by which Prefect tries it again."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether what a task failed with may be gone by itself in a minute.

    Bad ratings, a full disk, a training that diverged or a task that took too long fail again in the same way.
    """
    return isinstance(state.data, BaseException) and any(_passing(error) for error in _causes(state.data))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from: a sentence for people may stand for one of the system."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _passing(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING_ANSWERS
    if isinstance(error, httpx.TransportError):
        return not isinstance(error, httpx.UnsupportedProtocol)
    return isinstance(error, OSError) and error.errno in PASSING_ERRORS


RETRYING = Retrying(retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=may_pass)
"""Two more tries, the last one after a good minute."""
