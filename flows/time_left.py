"""The time that a run will still take: the forecast of what is left, corrected by the pace so far."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

from flows.forecast import START_SECONDS, Expected, Forecast
from tasks.progress import Event

LAST = "report"
"""The task that is submitted last, and runs alone."""

TRUSTED = 0.25
"""The forecast counts as much as the pace of such a share of the run."""

ALMOST = 0.9
"""The share of a run that has passed, at most, where it does not say how far it is."""


@dataclass
class _Runs:
    submitted: int = 0
    cached: int = 0
    ended: int = 0
    said: float = 0.0
    since: float | None = None
    left_out: bool = False

    def hear(self, event: Event, now: float) -> None:
        self.left_out |= event.status == "left out"
        self.submitted += event.status == "waiting"
        self.cached += event.status == "cached"
        self.ended += event.status in {"done", "failed"}
        if event.status == "running":
            self.since = now if self.since is None else self.since
            self.said = min(1.0, event.done / event.total) if event.total else 0.0
        elif event.status != "waiting":
            self.since, self.said = None, 0.0

    def share(self, usual: float, now: float) -> float:
        """What is done of a run that is under way and usually takes so many seconds."""
        if self.said or self.since is None:
            return self.said
        return min(ALMOST, (now - self.since) / usual) if usual else 0.0


@dataclass
class TimeLeft:
    """What is left of a run that was forecast, as its tasks report how they go."""

    expected: Forecast
    _runs: dict[str, _Runs] = field(default_factory=lambda: defaultdict(_Runs))
    _begun: float | None = None

    def hear(self, event: Event) -> None:
        """Take an event of a task."""
        now = time.monotonic()
        self._runs[event.task].hear(event, now)
        if self._begun is None and event.status != "waiting":
            self._begun = now

    def seconds(self) -> float | None:
        """About how many seconds the run will still take; None before it has begun, or if all is cached or done."""
        now = time.monotonic()
        if self._begun is None or not (left := self._clock(self._left(now))):
            return None
        trusted = TRUSTED * self.expected.seconds
        return left * (now - self._begun + trusted) / (self._clock(self._done(now)) + trusted)

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

    def _done(self, now: float) -> dict[str, float]:
        return {name: runs.ended + runs.share(self._of_one(name), now) for name, runs in self._runs.items()}

    def _left(self, now: float) -> dict[str, float]:
        """The runs that are left: as many as were planned, until all are submitted."""
        left, done = {}, self._done(now)
        for name, expected in self.expected.tasks.items():
            runs = self._runs[name]
            known = self._runs[LAST].submitted or runs.left_out
            all_runs = runs.submitted - runs.cached if known else expected.runs
            left[name] = max(0.0, all_runs - done.get(name, 0.0))
        return left
