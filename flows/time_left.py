"""The time that a run will still take: the forecast of what is left, corrected by the pace so far."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

from flows.forecast import START_SECONDS, Expected, Forecast
from tasks.progress import Event

LAST = "report"
"""The task that is submitted last, and runs alone."""

TRUSTED_SECONDS = 20.0
"""The forecast counts as much as so many seconds of the run."""


@dataclass
class _Runs:
    submitted: int = 0
    cached: int = 0
    ended: int = 0
    share: float = 0.0

    def hear(self, event: Event) -> None:
        self.submitted += event.status == "waiting"
        self.cached += event.status == "cached"
        self.ended += event.status in {"done", "failed"}
        self.share = min(1.0, event.done / event.total) if event.status == "running" and event.total else 0.0


@dataclass
class TimeLeft:
    """What is left of a run that was forecast, as its tasks report how they go."""

    expected: Forecast
    _runs: dict[str, _Runs] = field(default_factory=lambda: defaultdict(_Runs))
    _begun: float | None = None

    def hear(self, event: Event) -> None:
        """Take an event of a task."""
        self._runs[event.task].hear(event)
        if self._begun is None and event.status != "waiting":
            self._begun = time.monotonic()

    def seconds(self) -> float | None:
        """About how many seconds the run will still take; None before it has begun, or if all is cached or done."""
        if self._begun is None or not (left := self._clock(self._left())):
            return None
        elapsed = time.monotonic() - self._begun
        return left * (elapsed + TRUSTED_SECONDS) / (self._clock(self._done()) + TRUSTED_SECONDS)

    def _clock(self, runs: dict[str, float]) -> float:
        """Seconds by the clock, as forecast, of so many runs of tasks."""
        times = {name: count * self._of_one(name) for name, count in runs.items()}
        last = self.expected.tasks.get(LAST, Expected()).seconds
        together = sum(task.seconds for task in self.expected.tasks.values()) - last
        clock = self.expected.seconds - START_SECONDS - last
        return times.pop(LAST, 0.0) + sum(times.values()) * (clock / together if together else 1.0)

    def _of_one(self, task: str) -> float:
        expected = self.expected.tasks.get(task, Expected())
        return expected.seconds / (expected.runs or 1)

    def _done(self) -> dict[str, float]:
        return {name: runs.ended + runs.share for name, runs in self._runs.items()}

    def _left(self) -> dict[str, float]:
        """The runs that are left: as many as were planned, until all are submitted."""
        left = {}
        for name, expected in self.expected.tasks.items():
            runs = self._runs[name]
            all_runs = runs.submitted - runs.cached if self._runs[LAST].submitted else expected.runs
            left[name] = max(0.0, all_runs - runs.ended - runs.share)
        return left
