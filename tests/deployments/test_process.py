"""Processes that outlive the shell which began them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from deployments.process import Background

WAITS = [sys.executable, "-c", "import time; print('waiting', flush=True); time.sleep(600)"]

HAS_A_CHILD = [
    sys.executable,
    "-c",
    "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)",
]


def first_line(background: Background) -> str:
    while background.process and "\n" not in background.log.read_text():
        pass
    return background.log.read_text().split("\n")[0]


def test_it_is_found_again_and_ends_when_told(tmp_path: Path) -> None:
    background = Background("waits", tmp_path, tmp_path)
    assert not background.process
    background.start(WAITS, about="the test")
    again = Background("waits", tmp_path, tmp_path)
    assert again.process
    assert again.record.about == "the test"
    assert again.record.command == WAITS
    assert first_line(again) == "waiting"
    assert again.stop()
    assert not background.process
    assert not again.stop()


def test_it_outlives_whoever_began_it(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from deployments.process import Background\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        f"Background('waits', Path({str(tmp_path)!r}), Path({str(tmp_path)!r})).start({WAITS!r})\n"
        "os.killpg(0, signal.SIGHUP)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    begun = subprocess.run([sys.executable, "-c", code], env=environment, start_new_session=True)
    assert begun.returncode < 0
    background = Background("waits", tmp_path, tmp_path)
    assert first_line(background) == "waiting"
    assert background.stop()


def test_its_children_end_with_it(tmp_path: Path) -> None:
    background = Background("parent", tmp_path, tmp_path)
    background.start(HAS_A_CHILD)
    child = psutil.Process(int(first_line(background)))
    background.stop()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_another_process_with_its_number_is_left_alone(tmp_path: Path) -> None:
    background = Background("waits", tmp_path, Path.cwd())
    (tmp_path / "waits.json").write_text(json.dumps({"pid": os.getpid(), "born": 1.0}))
    assert not background.process
    assert not background.stop()


def test_that_of_a_copied_folder_is_left_alone_and_that_of_a_moved_one_is_found(tmp_path: Path) -> None:
    first, copy, moved = (tmp_path / name for name in ("first", "copy", "moved"))
    first.mkdir()
    background = Background("waits", first / "state", first)
    background.start(WAITS)
    shutil.copytree(first, copy)
    of_the_copy = Background("waits", copy / "state", copy)
    assert not of_the_copy.process
    assert not of_the_copy.stop()
    assert background.process
    first.rename(moved)
    assert Background("waits", moved / "state", moved).stop()


def test_one_that_has_ended_says_why(tmp_path: Path) -> None:
    background = Background("fails", tmp_path, tmp_path)
    background.start([sys.executable, "-c", "raise SystemExit('no room')"])
    while background.process:
        pass
    assert background.last_line() == "no room"
