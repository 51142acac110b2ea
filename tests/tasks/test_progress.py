import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

import tasks.progress
from tasks.progress import LISTENERS, STOP, Event, Stopped, TaskProgress, progress_key


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """What the UI was told."""
    calls: list[tuple[float, str]] = []

    def create(percent: float, *, key: str, description: str) -> str:
        assert key == "progress-train-mf"
        calls.append((percent, description))
        return "00000000-0000-0000-0000-000000000001"

    monkeypatch.setattr(tasks.progress, "create_progress_artifact", create)
    monkeypatch.setattr(
        tasks.progress, "update_progress_artifact", lambda _, percent, description: calls.append((percent, description))
    )
    return calls


def test_the_ui_is_told_at_most_once_a_second_and_of_the_end(shown: list[tuple[float, str]]) -> None:
    progress = TaskProgress("train_mf")
    for epoch in range(1, 11):
        progress(epoch, 10, f"epoch {epoch}")
    assert shown == [(10.0, "epoch 1"), (100.0, "epoch 10")]


def test_every_listener_hears_every_word(shown: list[tuple[float, str]]) -> None:
    heard: list[Event] = []
    LISTENERS.append(heard.append)
    try:
        TaskProgress("train_mf")(1, 4, "a quarter")
    finally:
        LISTENERS.remove(heard.append)
    assert heard == [Event("train_mf", "running", "a quarter", 1, 4)]


def test_a_ui_that_fails_does_not_fail_the_work_nor_keep_it_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    retries: list[int] = []

    def fails(*_: object, **__: object) -> None:
        retries.append(PREFECT_CLIENT_MAX_RETRIES.value())
        raise ConnectionError

    monkeypatch.setattr(tasks.progress, "create_progress_artifact", fails)
    monkeypatch.setattr(tasks.progress, "SECONDS_BETWEEN_UPDATES", 0.0)
    progress = TaskProgress("train_mf")
    for epoch in (1, 2, 3, 4):
        progress(epoch, 4, f"epoch {epoch}")
    assert retries == [0, 0]  # at the first word, and at the last
    assert PREFECT_CLIENT_MAX_RETRIES.value() > 0


def test_work_that_is_to_stop_stops(shown: list[tuple[float, str]]) -> None:
    STOP.set()
    try:
        with pytest.raises(Stopped, match="train_mf"):
            TaskProgress("train_mf")(1, 2, "half")
    finally:
        STOP.clear()


@pytest.mark.parametrize(
    ("run", "key"),
    [
        ("ingest", "progress-ingest"),
        ("train mf · 50 factors · seed 3", "progress-train-mf-seed-3"),
        ("choose epochs of dnn · dropout 0 · seed 42", "progress-choose-epochs-of-dnn-seed-42"),
        ("try dnn · dropout 0.3 · 12 epochs · trial 5", "progress-try-dnn-trial-5"),
        ("score · leave-one-out 43", "progress-score-leave-one-out-43"),
    ],
)
def test_each_run_of_a_task_has_an_artifact_of_its_own_with_the_same_key_in_every_run_of_the_flow(
    run: str, key: str
) -> None:
    assert progress_key(run) == key
