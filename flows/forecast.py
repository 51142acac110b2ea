"""What a plan will cost: the seconds and memory of each task, and of all side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from recsys.store.costs import Costs
from recsys.store.fingerprint import Fingerprint

START_SECONDS = 15.0
"""What passes before the first task: Prefect's server starts, and Keras is loaded meanwhile."""

SUBMIT_SECONDS = 0.3
"""What Prefect takes for each run of a task."""


@dataclass(frozen=True)
class Expected:
    """What the runs of a task that are not cached will take: `seconds` of all together, memory of the process."""

    runs: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """The cost of a run of the DAG: `seconds` by the clock, memory of a process, and what each task will take.

    `measured` is the share of the tasks' seconds that past runs tell, the rest being shipped figures.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    measured: float = 1.0
    tasks: dict[str, Expected] = field(default_factory=dict)


def forecast(wanted: Sequence[Fingerprint], rows: int, costs: Costs, workers: int) -> Forecast:
    """Forecast runs of tasks, given in the order in which they are submitted, on a data set of so many ratings."""
    if not wanted:
        return Forecast()
    found = [costs.cost(one, rows) for one in wanted]
    tasks: dict[str, Expected] = {}
    for one, cost in zip(wanted, found, strict=True):
        old = tasks.get(one.task, Expected())
        most = max(old.megabytes, cost.megabytes)
        tasks[one.task] = Expected(old.runs + 1, old.seconds + cost.seconds, most)
    names, times, reads = [one.task for one in wanted], [cost.seconds for cost in found], map(costs.reads, wanted)
    return Forecast(
        seconds=START_SECONDS + _makespan(names, times, list(reads), workers),
        megabytes=max(cost.megabytes for cost in found),
        measured=sum(cost.seconds for cost in found if cost.measured) / (sum(times) or 1.0),
        tasks=tasks,
    )


def _makespan(tasks: Sequence[str], seconds: Sequence[float], reads: Sequence[set[str]], workers: int) -> float:
    """Seconds until the last run ends, where each begins when a worker is free and what it reads is there.

    A run waits for all earlier runs of the tasks that it reads.
    """
    awaited = [{i for i in range(at) if tasks[i] in reads[at]} for at in range(len(tasks))]
    waiting, done, now = list(range(len(tasks))), set[int](), 0.0
    running: list[tuple[float, int]] = []
    while waiting or running:
        for at in [at for at in waiting if awaited[at] <= done][: workers - len(running)]:
            waiting.remove(at)
            heappush(running, (now + SUBMIT_SECONDS + seconds[at], at))
        now, at = heappop(running)
        done.add(at)
    return now
