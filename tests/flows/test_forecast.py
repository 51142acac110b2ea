from pathlib import Path

import pytest

from flows.forecast import START_SECONDS, SUBMIT_SECONDS, Expected, Forecast, forecast
from flows.time_left import TimeLeft
from recsys.store.costs import Costs, after
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Manifest, Store, content
from tasks.progress import Event
from tests.made_stores import codes, fit, keep

PLAN = Forecast(
    START_SECONDS + 60.0, 900.0, 1.0, {"train_mf": Expected(4, 80.0, 900.0), "report": Expected(1, 20.0, 900.0)}
)
"""Four fits of 20 s on two workers, and a report of 20 s."""


def report(data: Manifest, model: Manifest) -> Fingerprint:
    inputs = {"data": {"codes": content(data)}, "models": {"of some row": content(model)}}
    return Fingerprint("report", "reports", inputs, {}, code={}, versions={})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_second_run_takes_what_the_first_took(store: Store) -> None:
    data = codes(store, 5000)
    fits = [fit({"codes": content(data)}, task=task, seed=1) for task in ("train_mf", "train_dnn", "train_towers")]
    for one, seconds in zip(fits, (10.0, 30.0, 25.0), strict=True):
        made = keep(store, one, seconds=seconds, peak_mb=700.0)
    keep(store, report(data, made), seconds=20.0, peak_mb=800.0)
    again = [fit({"codes": content(data)}, task=one.task, seed=2) for one in fits]
    expected = forecast([*again, report(data, after("train_dnn"))], 5000, Costs(store), workers=2)
    assert expected.seconds == pytest.approx(
        START_SECONDS + 30 + 20, abs=2 * SUBMIT_SECONDS
    )  # the report waits for the 30 s of the network
    assert expected.megabytes == pytest.approx(800.0)
    assert expected.measured == 1.0
    dnn = expected.tasks["train_dnn"]
    assert (dnn.runs, round(dnn.seconds, 6), round(dnn.megabytes, 6)) == (1, 30.0, 700.0)


def test_nothing_to_run_takes_nothing(store: Store) -> None:
    assert forecast([], 5000, Costs(store), workers=2) == Forecast()


def events(task: str, *statuses: str) -> list[Event]:
    return [Event(task, status) for status in statuses]  # type: ignore[arg-type]


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_time_left_shrinks_as_tasks_end_and_is_none_at_the_end(clock: Clock) -> None:
    left = TimeLeft(PLAN)
    for event in events("train_mf", *["waiting"] * 4):
        left.hear(event)
    assert left.seconds() is None
    left.hear(Event("train_mf", "running"))
    told = [left.seconds()]
    for _ in range(4):
        clock.now += 10
        left.hear(Event("train_mf", "done"))
        told.append(left.seconds())
    left.hear(Event("report", "waiting"))
    left.hear(Event("report", "running", "half", 1, 2))
    clock.now += 10
    told.append(left.seconds())
    assert told == [pytest.approx(seconds) for seconds in (60, 50, 40, 30, 20, 10)]
    left.hear(Event("report", "done"))
    assert left.seconds() is None


def test_a_slow_machine_takes_longer(clock: Clock) -> None:
    left = TimeLeft(PLAN)
    left.hear(Event("train_mf", "running"))
    clock.now = 100.0
    left.hear(Event("train_mf", "done"))
    trusted = PLAN.seconds / 4
    assert left.seconds() == pytest.approx(50 * (100 + trusted) / (10 + trusted))


def test_a_run_that_tells_nothing_goes_on_nevertheless(clock: Clock) -> None:
    left = TimeLeft(PLAN)
    left.hear(Event("train_mf", "running"))
    clock.now = 5.0
    assert (left.seconds() or 0) < 60 * (5 + PLAN.seconds / 4) / (PLAN.seconds / 4)  # as if nothing were done
    clock.now = 1000.0
    left.hear(Event("train_mf", "running", "", 1, 10))
    assert (left.seconds() or 0) > 100


def test_runs_that_were_planned_and_not_submitted_are_not_waited_for(clock: Clock) -> None:
    left = TimeLeft(PLAN)
    for event in [*events("train_mf", "waiting", "running", "done"), *events("report", "waiting")]:
        left.hear(event)
    assert (left.seconds() or 0) < 20


def test_where_all_is_cached_nothing_is_left(clock: Clock) -> None:
    left = TimeLeft(Forecast())
    for event in events("train_mf", "waiting", "cached"):
        left.hear(event)
    assert left.seconds() is None
