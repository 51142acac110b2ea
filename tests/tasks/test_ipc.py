"""Words between processes."""

import json
from pathlib import Path

import pytest

from tasks.progress import Hearing, Relay, Words, hearing


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    return Relay(tmp_path / "store" / "relay" / "run")


def test_what_is_said_is_heard_once_and_in_order_and_nothing_is_left(relay: Relay) -> None:
    heard: list[Words] = []
    with hearing(relay, heard.append) as ear:
        relay.say({"number": 1})
        relay.say({"number": 2, "text": "étude"})
        ear.listen()
        ear.listen()
        assert heard == [{"number": 1}, {"number": 2, "text": "étude"}]
        relay.say({"number": 3})
    assert heard[2:] == [{"number": 3}]
    assert not list(relay.folder.parent.iterdir())


def test_each_process_is_heard_and_writes_a_file_of_its_own(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Words] = []
    with hearing(relay, heard.append):
        for process in (11, 12):
            monkeypatch.setattr("os.getpid", lambda process=process: process)
            relay.say({"from": process})
        assert len(list(relay.folder.iterdir())) == 2
    assert sorted(words["from"] for words in heard) == [11, 12]


def test_a_line_that_is_being_written_is_heard_when_it_is_whole(relay: Relay) -> None:
    heard: list[Words] = []
    relay.folder.mkdir(parents=True)
    ear = Hearing(relay, heard.append)
    with (relay.folder / "other.jsonl").open("w") as file:
        file.write(json.dumps({"number": 1}) + '\n{"num')
        file.flush()
        ear.listen()
        assert heard == [{"number": 1}]
        file.write('ber": 2}\n')
        file.flush()
        ear.listen()
    assert heard == [{"number": 1}, {"number": 2}]


def test_tasks_are_asked_to_end_and_do_so_too_when_their_flow_is_over(relay: Relay) -> None:
    with hearing(relay, print):
        assert not relay.stopped
        relay.stop()
        assert relay.stopped
    assert relay.stopped
    relay.say({"to": "nobody"})
    assert not relay.folder.exists()


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not(relay: Relay) -> None:
    left = Relay(relay.folder.with_name("killed"))
    left.folder.mkdir(parents=True)
    left.say({"number": 1})
    living = Relay(relay.folder.with_name("living"))
    with hearing(living, print), hearing(relay, print):
        assert not left.folder.exists()
        assert living.folder.is_dir()
    assert not list(relay.folder.parent.iterdir())
