"""The table of past runs, and what it survives."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import StoreUnavailable
from recsys.store.artifacts import with_checksum
from recsys.store.remote import WORKING_COPIES
from recsys.store.run_history import (
    MAX_KEPT,
    TABLE,
    PastRun,
    PastScore,
    append,
    in_series,
    read,
    results,
    verdict_changed,
)
from recsys.store.store import Store

START = datetime(2026, 11, 3, 3, 0, tzinfo=UTC)


def past(hour: int = 0, mse: float = 0.8, **changes: Any) -> PastRun:
    """A run of one row, so many hours after the first."""
    fields: dict[str, Any] = {
        "when": START + timedelta(hours=hour),
        "report": "sample-fair",
        "series": "sample",
        "ratings": "a",
        "test": "b",
        "rows": 100_000,
        "users": 702,
        "items": 8227,
        "test_rows": 20_000,
        "cold_test_rows": 800,
        "rating_mean": 3.5,
        "rating_sd": 1.0,
        "rating_min": 0.5,
        "rating_max": 5.0,
        "headline": "MF is better",
        "side": "factorisation",
        "winner": "MF",
        "scores": (PastScore(name="mf", title="MF", kind="model", mse=mse, seeds=5, sd=0.1 + 0.2),),
    }
    return PastRun.model_validate({**fields, **changes})


def table(store: Path) -> Path:
    return store / "history" / "runs.jsonl"


def line(run: PastRun, **further: object) -> str:
    return with_checksum(run.model_dump(mode="json") | further).decode()


def test_runs_come_back_to_the_last_digit_and_oldest_first(tmp_path: Path) -> None:
    later, earlier = past(5, mse=0.1 + 0.7), past(1, settings={"dnn.units": [8, 4]}, versions={"keras": "3.12"})
    append(Store(tmp_path / "store"), later)
    append(Store(tmp_path / "store"), earlier)
    assert read(Store(tmp_path / "store")) == [earlier, later]


def test_a_store_without_a_history_has_no_runs(tmp_path: Path) -> None:
    assert read(Store(tmp_path / "nowhere")) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_store_that_is_made_for_it_is_private(tmp_path: Path) -> None:
    append(Store(tmp_path / "store"), past())
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_of_equal_runs_the_first_and_the_last_are_kept(tmp_path: Path) -> None:
    for hour in range(6):
        append(Store(tmp_path), past(hour))
    append(Store(tmp_path), past(6, mse=0.7))
    assert [run.when.hour for run in read(Store(tmp_path))] == [3, 8, 9]


def test_equal_results_count_once_but_come_back_after_another_one() -> None:
    runs = [past(0), past(1), past(2, mse=0.7), past(3), past(4, ratings="c")]
    assert results(runs) == [runs[0], runs[2], runs[3], runs[4]]


def test_other_seconds_and_another_report_are_no_other_result() -> None:
    assert len(results([past(0), past(1, report="again", code="new", settings={"seed": 7})])) == 1


def test_a_series_keeps_its_last_runs_whatever_the_others_do(tmp_path: Path) -> None:
    old = past(0, series="another")
    lines = [old, *(past(hour, mse=float(hour)) for hour in range(MAX_KEPT))]
    table(tmp_path).parent.mkdir()
    table(tmp_path).write_text("".join(f"{line(run)}\n" for run in lines))
    append(Store(tmp_path), past(MAX_KEPT, mse=-1.0))
    runs = read(Store(tmp_path))
    assert in_series(runs, old) == [old]
    assert len(in_series(runs, past())) == MAX_KEPT
    assert runs[-1].scores[0].mse == -1.0
    assert past(0, mse=0.0) not in runs


def test_a_damaged_table_is_set_aside_whole_and_its_good_lines_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(Store(tmp_path), past(0))
    append(Store(tmp_path), past(1, mse=0.7))
    damaged = table(tmp_path).read_bytes()[:-30] + b"\xff\n{}\n"
    table(tmp_path).write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        append(Store(tmp_path), past(2, mse=0.6))
    assert read(Store(tmp_path)) == [past(0), past(2, mse=0.6)]
    (aside,) = table(tmp_path).parent.glob("runs-damaged-*.jsonl")
    assert aside.read_bytes() == damaged
    assert "2 of its 3 lines cannot be read" in caplog.text
    assert aside.name in caplog.text


def test_a_sound_table_is_not_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for hour in range(3):
        append(Store(tmp_path), past(hour, mse=hour))
    assert [path.name for path in table(tmp_path).parent.iterdir()] == ["runs.jsonl"]
    assert not caplog.text


def test_what_a_later_version_wrote_into_a_line_stays(tmp_path: Path) -> None:
    append(Store(tmp_path), past(0))
    later = line(past(0), carbon=1.5)
    table(tmp_path).write_text(f"{later}\n")
    append(Store(tmp_path), past(1, mse=0.7))
    assert table(tmp_path).read_text().startswith(f"{later}\n")
    assert len(read(Store(tmp_path))) == 2


def test_a_digit_that_changes_in_a_line_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append(Store(tmp_path), past(0, mse=0.7))
    append(Store(tmp_path), past(1, mse=0.6))
    table(tmp_path).write_bytes(table(tmp_path).read_bytes().replace(b"0.7", b"0.5"))
    assert read(Store(tmp_path)) == [past(1, mse=0.6)]
    with caplog.at_level(logging.WARNING):
        append(Store(tmp_path), past(2, mse=0.8))
    assert "1 of its 2 lines cannot be read" in caplog.text


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    runs = [past(hour, mse=float(hour)) for hour in range(24)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: append(Store(tmp_path), run), runs))
    assert read(Store(tmp_path)) == runs


def test_a_changed_verdict_is_told_with_both_answers() -> None:
    before, now = past(0), past(30, side="tie", winner=None, headline="MF and DNN predict equally well")
    assert verdict_changed(before, now) == (
        "The verdict has changed: on 2026-11-03 03:00 UTC it was “MF is better”, and now it is “MF and DNN predict "
        "equally well”."
    )


def test_the_same_side_is_the_same_verdict_whatever_the_numbers() -> None:
    before = past(0, side="network", winner="DNN", headline="DNN is better")
    assert verdict_changed(before, past(1, side="network", winner="tuned DNN", headline="tuned DNN is better")) is None
    assert verdict_changed(past(0, side=None, winner=None), past(1, side=None, winner=None, headline="x")) is None


@pytest.fixture
def machines(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Store]:
    """Two machines with working copies of one shared store."""

    def on(machine: str) -> Store:
        monkeypatch.setenv(WORKING_COPIES, str(tmp_path / machine))
        return Store(memory)

    return {machine: on(machine) for machine in ("one", "another")}


def test_machines_that_share_a_store_share_its_history(machines: dict[str, Store]) -> None:
    one, another = machines.values()
    assert one.root != another.root
    append(one, past(0))
    append(another, past(1, mse=0.7))
    append(one, past(2, mse=0.6))
    assert read(one) == read(another) == [past(0), past(1, mse=0.7), past(2, mse=0.6)]


def test_a_run_that_another_machine_wrote_over_comes_back(machines: dict[str, Store]) -> None:
    one, another = machines.values()
    append(one, past(0))
    assert one.shared
    one.shared.remote.remove(TABLE)  # as by a machine that had read the table before
    append(another, past(1, mse=0.7))
    assert read(one) == [past(0), past(1, mse=0.7)]
    append(one, past(2, mse=0.6))
    assert read(another) == [past(0), past(1, mse=0.7), past(2, mse=0.6)]


def test_a_run_is_remembered_here_where_the_shared_store_cannot_be_reached(
    machines: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = machines.values()
    assert one.shared

    def refuse(path: str, *content: bytes) -> None:
        raise StoreUnavailable("no network")

    with monkeypatch.context() as away:
        away.setattr(one.shared.remote, "read", refuse)
        with pytest.raises(StoreUnavailable):
            append(one, past(0))
    append(one, past(1, mse=0.7))
    assert read(another) == [past(0), past(1, mse=0.7)]
