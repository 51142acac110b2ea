"""Messages between the processes of a run."""

import json
from pathlib import Path

import pytest

from tasks.progress import Channel, Message, Receiver, receiving


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
