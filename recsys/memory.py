"""Memory of this process: how much is available, how much was used at the peak, and returning what is unused."""

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from recsys.errors import NotEnoughMemory

START_BYTES = 1.0e9
"""What TensorFlow, Keras and Prefect take in a process, measured at the end of a run on a few hundred ratings."""

START_ADDRESSES = 4.5e9
"""The address space that they reserve, used or not: with 3.0e9 TensorFlow aborts, with 4.6e9 a run succeeds."""

SPARE_ADDRESSES = 0.5e9
"""What threads and libraries reserve besides while a model is built; TensorFlow aborts if it is refused."""

ALWAYS_GRANTED = 3e7
"""Bytes that are not checked: a process can usually take them from what it holds already."""

KEPT_BYTES = 1.5e9
"""Up to so many bytes, collecting unused memory is not worth the second that it can take."""

GROWN_BYTES = 0.25e9
"""Nor is it where the process holds less than so many bytes more than after it was done last."""

_held_before = 0.0
"""Bytes that the process held after that, or less if it has held less since."""

REMEDY = "give it more, or make do with fewer factors (embedding_size), fewer --workers or fewer ratings (--max-rows)"

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, order=True)
class Available:
    """How many bytes may still be taken, and what sets the limit, as the end of a sentence."""

    bytes: float
    limit: str


def available_memory() -> Available:
    """Return how much memory this process may still take: the tightest of the limits that it can know."""
    return min(_limits())


def require_memory(what: str, needed: float) -> None:
    """Raise NotEnoughMemory if `what`, the subject of the error's sentence, needs more bytes than are available."""
    if needed >= ALWAYS_GRANTED and needed > (left := available_memory()).bytes:
        raise NotEnoughMemory(
            f"{what} needs about {_size(needed)} of memory, and {_size(left.bytes)} {left.limit}: {REMEDY}."
        )


def require_memory_for_tensorflow() -> None:
    """Raise NotEnoughMemory if TensorFlow cannot be loaded: it would end the process without a message."""
    if (addresses := _address_limit()) is not None and addresses < START_ADDRESSES:
        raise NotEnoughMemory(
            f"TensorFlow reserves about {_size(START_ADDRESSES)} of address space, and ulimit -v allows "
            f"{_size(addresses)}: raise it, or limit what is used (a cgroup) instead of what is reserved."
        )
    require_memory("Loading TensorFlow and Keras", max(0.0, START_BYTES - psutil.Process().memory_info().rss))


def is_lack_of_memory(error: Exception) -> bool:
    """Whether an exception, also of NumPy, Arrow or TensorFlow, says that memory could not be allocated."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


@dataclass
class PeakMemory:
    """The most memory that the process was seen to hold, in 10⁶ bytes; complete once the block has ended."""

    megabytes: float = 0.0

    def update(self, process: psutil.Process) -> None:
        """Take into account what the process holds now."""
        self.megabytes = max(self.megabytes, process.memory_info().rss / 1e6)


@contextmanager
def peak_memory(seconds: float = 0.05) -> Iterator[PeakMemory]:
    """Measure the peak of the process's resident memory while the block runs, every so many seconds.

    A measurement takes some 20 µs; a shorter peak than `seconds` can be missed.
    """
    peak, process, ended = PeakMemory(), psutil.Process(), threading.Event()

    def measure() -> None:
        while not ended.wait(seconds):
            peak.update(process)

    thread = threading.Thread(target=measure, name="memory", daemon=True)
    peak.update(process)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
        peak.update(process)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Import without looking for garbage among the million objects that imports make: a fifth of their time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def release_memory(*, in_any_case: bool = False) -> None:
    """Return unused memory, hundreds of MB after 20 million ratings, if the process holds much, and more than before.

    It holds much beyond KEPT_BYTES, and more where that has grown by GROWN_BYTES since unused memory was returned;
    `in_any_case` says that much is enough.
    """
    global _held_before
    process = psutil.Process()
    held = process.memory_info().rss
    _held_before = min(_held_before, held)
    if held >= max(KEPT_BYTES, 0.0 if in_any_case else _held_before + GROWN_BYTES):
        return_unused_memory()
        _held_before = process.memory_info().rss


def return_unused_memory() -> None:
    """Return what nobody uses to the system, which takes up to a second."""
    gc.collect()
    if arrow := sys.modules.get("pyarrow"):  # not imported here: every run would wait for it
        arrow.default_memory_pool().release_unused()
    if sys.platform == "linux":
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # the GNU C library's own
            trim(0)


def _limits() -> Iterator[Available]:
    yield Available(psutil.virtual_memory().available + psutil.swap_memory().free, "are free on this machine")
    if (addresses := _address_limit()) is not None:
        left = addresses - psutil.Process().memory_info().vms - SPARE_ADDRESSES
        yield Available(max(0.0, left), "are left below the limit of ulimit -v")
    for group in _cgroups():
        if (left := _left_in(group)) is not None:
            yield Available(left, "are left below the memory limit of this process's cgroup")


def _address_limit() -> int | None:
    """Bytes of address space that the process may have, None where that is not limited."""
    if sys.platform == "win32":
        return None
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if allowed == resource.RLIM_INFINITY else allowed


def _cgroups() -> Iterator[Path]:
    """The control groups that this process is in, version 2 and 1, each with its parents."""
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
    """Bytes that a control group's limit leaves, None without a limit; the kernel can drop inactive cached files."""
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


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
