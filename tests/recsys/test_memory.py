"""The peak of a process's memory."""

import threading
import time

import numpy as np
import pytest

from recsys import memory
from recsys.memory import peak_memory, release_memory

MEGABYTES = 200


def hold_for_a_moment() -> None:
    held = np.ones(MEGABYTES * 10**6 // 8)
    time.sleep(0.2)
    del held


def test_memory_that_is_held_for_a_moment_is_seen_after_it_has_been_given_back() -> None:
    with peak_memory(0.01) as before:
        pass
    with peak_memory(0.01) as during:
        hold_for_a_moment()
    with peak_memory(0.01) as after:
        pass
    assert during.megabytes - before.megabytes == pytest.approx(MEGABYTES, rel=0.15)
    assert after.megabytes < during.megabytes - MEGABYTES / 2


def fail_while_watched(threads: int) -> None:
    with peak_memory():
        assert threading.active_count() == threads + 1
        raise ValueError("broken")


def test_the_watch_ends_with_its_block_even_if_that_fails() -> None:
    threads = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        fail_while_watched(threads)
    assert threading.active_count() == threads


def test_memory_is_returned_where_the_process_holds_much_and_more_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[float] = []
    monkeypatch.setattr(memory, "return_unused_memory", lambda: returned.append(1))
    monkeypatch.setattr(memory, "GROWN_BYTES", 0.5 * MEGABYTES * 1e6)
    monkeypatch.setattr(memory, "_held_before", 0.0)
    monkeypatch.setattr(memory, "KEPT_BYTES", 1e15)
    release_memory()
    assert len(returned) == 0
    monkeypatch.setattr(memory, "KEPT_BYTES", 0.0)
    for _ in range(2):
        release_memory()
        assert len(returned) == 1
    for times in (2, 3):
        held = np.ones(MEGABYTES * 10**6 // 8)
        release_memory()
        assert len(returned) == times
        del held
        release_memory()
        assert len(returned) == times
    release_memory(in_any_case=True)
    assert len(returned) == 4
    monkeypatch.setattr(memory, "KEPT_BYTES", 1e15)
    release_memory(in_any_case=True)
    assert len(returned) == 4
