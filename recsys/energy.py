"""The energy of trainings, in watt-hours, where the counters of this machine can be read.

The counters, RAPL's of processors and memory and NVML's of graphics cards, are of the whole machine: what a training
took is known only if no other task ran meanwhile. Zeus, an optional package, reads them (You, Chung and Chowdhury 2023,
"Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training").
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Literal

Unmeasured = Literal["library", "counters", "shared", "resumed"]
"""Why there is no measurement: Zeus is not installed, counters cannot be read, another task ran meanwhile, or a part
of the training was an earlier process's."""

JOULES = 3600.0
"""In a watt-hour."""

log = logging.getLogger(__name__)


@dataclass
class Work:
    """How many tasks of this process are making an artefact, and how many ever began to."""

    running: int = 0
    begun: int = 0


@dataclass
class Energy:
    """The seconds of a block and its joules, of processors and memory and of graphics cards, or why there are none."""

    seconds: float = 0.0
    machine: float = 0.0
    cards: float = 0.0
    unmeasured: Unmeasured | None = None

    def facts(self, device: str, seconds: float) -> dict[str, Any]:
        """Return `watt_hours` and `energy_unmeasured` of a training on a device, one of them None.

        Cards count only where they were used. A training of more `seconds` than the block had was resumed.
        """
        joules = self.machine + (0.0 if device == "CPU" else self.cards)
        why = self.unmeasured or ("resumed" if seconds > self.seconds else None)
        return {"watt_hours": None if why else round(joules / JOULES, 6), "energy_unmeasured": why}


@contextmanager
def working() -> Iterator[None]:
    """Count a task that makes an artefact while the block runs."""
    with _LOCK:
        _WORK.running += 1
        _WORK.begun += 1
    try:
        yield
    finally:
        with _LOCK:
            _WORK.running -= 1


@contextmanager
def measured_energy(*, among_others: bool = False) -> Iterator[Energy]:
    """Measure the energy of a block; what is yielded is complete once the block has ended.

    `among_others` says that tasks of other processes may run meanwhile, which cannot be counted here.
    """
    energy, window = Energy(), f"training {next(_NUMBERS)}"
    others, begun = among_others or _WORK.running > 1, _WORK.begun
    monitor = None
    try:
        monitor = _monitor()
        monitor.begin_window(window, sync_execution=False)
    except ImportError:
        energy.unmeasured = "library"
    except Exception as error:  # of drivers and permissions of any kind
        log.debug("no energy counter can be read: %s", error)
        energy.unmeasured = "counters"
    start = time.perf_counter()
    try:
        yield energy
    finally:
        energy.seconds = time.perf_counter() - start
        if energy.unmeasured is None:
            _end(energy, monitor, window)
        if energy.unmeasured is None and (others or _WORK.begun != begun):
            energy.unmeasured = "shared"


def _end(energy: Energy, monitor: Any, window: str) -> None:
    try:
        measured = monitor.end_window(window, sync_execution=False)
    except Exception as error:
        log.debug("no energy counter can be read: %s", error)
        energy.unmeasured = "counters"
        return
    energy.machine = sum((measured.cpu_energy or {}).values()) + sum((measured.dram_energy or {}).values())
    energy.cards = sum(measured.gpu_energy.values())
    if not measured.cpu_energy:
        energy.unmeasured = "counters"


@cache
def _monitor() -> Any:
    """Zeus's monitor of this process."""
    from zeus.monitor import ZeusMonitor

    return ZeusMonitor()


_LOCK = threading.Lock()
_WORK = Work()
_NUMBERS = count()
