"""Memory: what this process has held at most, what it may still take, and a sentence where work needs more."""

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa

from recsys.errors import NotEnoughMemory

SECONDS_BETWEEN_LOOKS = 0.05
"""How often the memory is looked at; a look takes some 20 µs."""


KEPT_FOR_LATER = 1.5e9
"""Bytes of a process that has nothing worth the 0.3 s that it takes to look through TensorFlow's objects."""


def give_back(beyond: float = KEPT_FOR_LATER) -> None:
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


START_BYTES = 1.0e9
"""What TensorFlow, Keras and Prefect take in a process, measured at the end of a run on a few hundred ratings."""

START_ADDRESSES = 4.5e9
"""The addresses that they reserve for it, used or not: with 3.0e9 TensorFlow aborts, with 4.6e9 a run goes well."""

LITTLE = 3e7
"""Bytes that are to be had from what a process holds already; its limits say nothing about those."""

SPARE_ADDRESSES = 0.5e9
"""What threads and libraries reserve besides while a model is built; TensorFlow does not survive to be refused it."""

REMEDY = "give it more, or make do with fewer factors (embedding_size), fewer --workers or fewer ratings (--max-rows)"

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, order=True)
class Room:
    """How many bytes may still be taken, and what sets the limit, as the end of a sentence."""

    bytes: float
    limit: str


def room() -> Room:
    """Return how much memory this process may still take: the tightest of the limits that it can know."""
    return min(_limits())


def require_memory(what: str, needed: float) -> None:
    """Check that there is room for something.

    Args:
        what: subject of the sentence where there is not.
        needed: bytes.

    Raises:
        NotEnoughMemory: there is not; it says what needs how much, and what limits it.
    """
    if needed < LITTLE:
        return
    left = room()
    if needed > left.bytes:
        raise NotEnoughMemory(
            f"{what} needs about {_shown(needed)} of memory, and {_shown(left.bytes)} {left.limit}: {REMEDY}."
        )


def require_for_start() -> None:
    """Check that there is room for TensorFlow, which would end the process without a word.

    Raises:
        NotEnoughMemory: there is not.
    """
    addresses = _addresses()
    if addresses is not None and addresses < START_ADDRESSES:
        raise NotEnoughMemory(
            f"TensorFlow reserves about {_shown(START_ADDRESSES)} of addresses, and ulimit -v allows "
            f"{_shown(addresses)}: raise it, or limit what is used (a cgroup) instead of what is reserved."
        )
    require_memory("Loading TensorFlow and Keras", max(0.0, START_BYTES - psutil.Process().memory_info().rss))


def is_lack_of_memory(error: Exception) -> bool:
    """Whether an exception, be it NumPy's, Arrow's or TensorFlow's, says that memory could not be had."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _limits() -> Iterator[Room]:
    yield Room(psutil.virtual_memory().available + psutil.swap_memory().free, "are free on this machine")
    addresses = _addresses()
    if addresses is not None:
        left = addresses - psutil.Process().memory_info().vms - SPARE_ADDRESSES
        yield Room(max(0.0, left), "are left below the limit of ulimit -v")
    for group in _groups():
        if (left := _left_in(group)) is not None:
            yield Room(left, "are left below the memory limit of this process's cgroup")


def _addresses() -> int | None:
    """How many addresses the process may have, where that is limited."""
    if sys.platform == "win32":
        return None
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if allowed == resource.RLIM_INFINITY else allowed


def _groups() -> Iterator[Path]:
    """The control groups that this process is in, version 2 and 1, each with those around it."""
    try:
        memberships = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return  # no Linux
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        for root in (CGROUPS / "memory",) if controllers else (CGROUPS, CGROUPS / "unified"):
            group = root / path.strip("/")
            yield from (place for place in (group, *group.parents) if place.is_relative_to(root))


def _left_in(group: Path) -> float | None:
    """What a group's limit leaves, None if it has none; the kernel drops cached files before it says no."""
    for limit, usage, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = (group / limit).read_text().strip()
            if most == "max" or int(most) >= psutil.virtual_memory().total:
                return None
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return max(0.0, float(int(most) - int((group / usage).read_text()) + int(statistics.get(cached, 0))))
        except OSError:
            continue
    return None


def _shown(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
