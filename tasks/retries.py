"""Retries of tasks: only for errors that may pass by themselves, such as those of a network."""

import errno
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import httpx
from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

TRANSIENT_ERRORS = {
    *(errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
}
"""Errors of the system while a network, or a disk that is reached through it, is unavailable."""

TRANSIENT_STATUS_CODES = {429, 500, 502, 503, 504}
"""HTTP status codes of a server that is overloaded or restarting."""


class Retrying(TypedDict):
    """The options of a task that make Prefect retry it."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether a task failed with a transient error.

    Bad ratings, a full disk, a diverged training or a time limit would fail again in the same way.
    """
    return isinstance(state.data, BaseException) and any(_transient(error) for error in _causes(state.data))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from, as an error for users may wrap one of the system."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _transient(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in TRANSIENT_STATUS_CODES
    if isinstance(error, httpx.TransportError):
        return not isinstance(error, httpx.UnsupportedProtocol)
    return isinstance(error, OSError) and error.errno in TRANSIENT_ERRORS


RETRYING = Retrying(retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=is_transient)
"""Two retries, the last one after a good minute."""
