"""When a task is tried again."""

import errno
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import task
from prefect.states import Failed

from recsys.data.opening import open_ratings
from recsys.errors import BadRatings, DatasetUnavailable, StoreUnavailable, TrainingDiverged
from tasks.retries import RETRYING, is_transient

ANY: Any = None


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def answer(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "https://example.org")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        raised(DatasetUnavailable("the publisher cannot be reached"), httpx.ConnectError("no route to host")),
        raised(DatasetUnavailable("the publisher is too busy"), answer(503)),
        raised(StoreUnavailable("the store cannot be read"), OSError(errno.ESTALE, "Stale file handle")),
    ],
    ids=repr,
)
def test_what_is_transient_is_tried_again(error: Exception) -> None:
    assert is_transient(ANY, ANY, Failed(data=error))


@pytest.mark.parametrize(
    "error",
    [
        BadRatings("ratings.csv, line 402: rating 'good' is not a number"),
        TrainingDiverged("mf: the loss became infinite"),
        MemoryError(),
        TimeoutError("the task took too long"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        raised(StoreUnavailable("the store is full"), OSError(errno.ENOSPC, "No space left on device")),
        raised(DatasetUnavailable("there is no such file"), answer(404)),
        ValueError("a bug"),
    ],
    ids=repr,
)
def test_what_fails_again_is_not(error: Exception) -> None:
    assert not is_transient(ANY, ANY, Failed(data=error))


def test_a_disk_that_fails_while_ratings_are_read_is_transient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("1,2,3\n")

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(BadRatings) as failed, open_ratings(ratings):
        pass
    assert is_transient(ANY, ANY, Failed(data=failed.value))


@pytest.mark.parametrize(("error", "tries"), [(OSError(errno.EIO, ""), 3), (BadRatings(""), 1)], ids=repr)
def test_prefect_tries_as_often_as_it_is_told(prefect_server: str, error: Exception, tries: int) -> None:
    tried = 0

    @task(retries=RETRYING["retries"], retry_condition_fn=RETRYING["retry_condition_fn"])
    def fails() -> None:
        nonlocal tried
        tried += 1
        raise error

    with pytest.raises(type(error)):
        fails()
    assert tried == tries
