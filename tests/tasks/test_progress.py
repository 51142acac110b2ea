"""Progress in the UI and on the terminal, and the messages between the processes of a run."""

import json
from pathlib import Path

import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

import tasks.progress
from tasks.progress import (
    LISTENERS,
    STOP,
    Channel,
    Event,
    Message,
    Receiver,
    Stopped,
    TaskProgress,
    progress_key,
    receiving,
)


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


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    return Channel(tmp_path / "store" / "channels" / "run")


def test_a_message_is_received_once_and_in_order_and_nothing_is_left(channel: Channel) -> None:
    received: list[Message] = []
    with receiving(channel, received.append) as receiver:
        channel.send({"number": 1})
        channel.send({"number": 2, "text": "étude"})
        receiver.receive()
        receiver.receive()
        assert received == [{"number": 1}, {"number": 2, "text": "étude"}]
        channel.send({"number": 3})
    assert received[2:] == [{"number": 3}]
    assert not list(channel.folder.parent.iterdir())


def test_each_process_writes_a_file_of_its_own(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Message] = []
    with receiving(channel, received.append):
        for process in (11, 12):
            monkeypatch.setattr("os.getpid", lambda process=process: process)
            channel.send({"from": process})
        assert len(list(channel.folder.iterdir())) == 2
    assert sorted(message["from"] for message in received) == [11, 12]


def test_a_line_that_is_being_written_is_received_when_it_is_whole(channel: Channel) -> None:
    received: list[Message] = []
    channel.folder.mkdir(parents=True)
    receiver = Receiver(channel, received.append)
    with (channel.folder / "other.jsonl").open("w") as file:
        file.write(json.dumps({"number": 1}) + '\n{"num')
        file.flush()
        receiver.receive()
        assert received == [{"number": 1}]
        file.write('ber": 2}\n')
        file.flush()
        receiver.receive()
    assert received == [{"number": 1}, {"number": 2}]


def test_tasks_are_asked_to_end_and_do_so_too_when_their_flow_is_over(channel: Channel) -> None:
    with receiving(channel, print):
        assert not channel.stopped
        channel.stop()
        assert channel.stopped
    assert channel.stopped
    channel.send({"to": "nobody"})
    assert not channel.folder.exists()


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not(channel: Channel) -> None:
    left = Channel(channel.folder.with_name("killed"))
    left.folder.mkdir(parents=True)
    left.send({"number": 1})
    living = Channel(channel.folder.with_name("living"))
    with receiving(living, print), receiving(channel, print):
        assert not left.folder.exists()
        assert living.folder.is_dir()
    assert not list(channel.folder.parent.iterdir())
