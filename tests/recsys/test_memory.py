"""The peak of a process's memory."""

import threading
import time

import numpy as np
import pytest

from recsys.memory import peak_memory

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
