import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from recsys.store.artifacts import lock_of, replacing, write_atomically
from recsys.store.prune import SECONDS_TO_WRITE, remove_unfinished


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    return tmp_path


def killed_while_writing(path: Path, seconds_ago: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = path.with_name(f".{path.name}.0123456789abcdef.tmp")
    left.write_bytes(b"hal")
    os.utime(left, (time.time() - seconds_ago,) * 2)
    return left


def test_a_file_that_is_being_written_has_the_name_that_is_looked_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(root / "notes" / "a.json", b"whole")
    monkeypatch.undo()
    (left,) = (root / "notes").iterdir()
    os.utime(left, (0, 0))
    remove_unfinished(root)
    assert not left.exists()


def test_small_files_go_once_nobody_can_be_writing_them(root: Path) -> None:
    old = killed_while_writing(root / "results" / "keys" / "k", SECONDS_TO_WRITE + 60)
    new = killed_while_writing(root / "results" / "keys" / "l", 5)
    remove_unfinished(root)
    assert not old.exists()
    assert new.exists()


def test_folders_go_unless_their_artefact_is_being_made(root: Path) -> None:
    for key in ("dead", "alive"):
        for ending in (".new", ".old"):
            (root / "models" / f".{key}{ending}").mkdir(parents=True)
    with FileLock(lock_of(root, "models/alive")):
        remove_unfinished(root)
    assert {path.name for path in (root / "models").iterdir()} == {".alive.new", ".alive.old"}


def test_an_artefact_that_is_being_replaced_stays(root: Path) -> None:
    with FileLock(lock_of(root, "models/key")), replacing(root / "models" / "key") as temporary:
        remove_unfinished(root)
        (temporary / "weights").write_bytes(b"1")
    assert (root / "models" / "key" / "weights").read_bytes() == b"1"


def test_what_comes_and_goes_meanwhile_is_passed_over(root: Path) -> None:
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            epoch = root / "checkpoints" / "key" / "epoch-00001"
            epoch.mkdir(parents=True)
            shutil.rmtree(epoch.parent)

    with ThreadPoolExecutor() as pool:
        busy = pool.submit(come_and_go)
        try:
            for _ in range(1000):
                remove_unfinished(root)
        finally:
            over.set()
        busy.result()
