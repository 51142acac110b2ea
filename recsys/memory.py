"""Memory: what a process holds at most, and what is free but kept by allocators for later."""

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pyarrow as pa

SECONDS_BETWEEN_LOOKS = 0.05
"""How often the memory is looked at; a look takes some 20 µs."""


LITTLE = 1.5e9
"""Bytes of a process that has nothing worth the 0.3 s that it takes to look through TensorFlow's objects."""


def give_back(beyond: float = LITTLE) -> None:
    """Return what earlier work has left to the system: after 20 million ratings, hundreds of megabytes.

    Args:
        beyond: bytes that the process may hold without anything being done.
    """
    if psutil.Process().memory_info().rss < beyond:
        return
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU C library's own
        if trim:
            trim(0)


@dataclass
class PeakMemory:
    """The most memory that the process was seen to hold, in 10⁶ bytes; whole once the block has ended."""

    megabytes: float = 0.0

    def look(self, process: psutil.Process) -> None:
        """Take what the process holds now into account."""
        self.megabytes = max(self.megabytes, process.memory_info().rss / 1e6)


@contextmanager
def watched_memory(seconds: float = SECONDS_BETWEEN_LOOKS) -> Iterator[PeakMemory]:
    """Watch the resident memory of the whole process, whatever else it does, while the block runs.

    Args:
        seconds: between two looks; a peak that is shorter can be missed.
    """
    peak, process, ended = PeakMemory(), psutil.Process(), threading.Event()

    def watch() -> None:
        while not ended.wait(seconds):
            peak.look(process)

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    peak.look(process)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        peak.look(process)
