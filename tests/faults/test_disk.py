"""Disks that are full, read-only or emptied under a run, and files of the store that have changed."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.compare import wire
from flows.plan import Planned, Planner
from recsys.data.source import locate
from recsys.errors import DamagedArtefact
from recsys.settings import Settings
from recsys.store.artifacts import MADE_FROM, MANIFEST, verified, with_checksum
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store, hidden
from tests.interrupting import config, numbers
from tests.processes import PrefectServer, kill, started, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

DISK = 64 * 2**20
"""Bytes of a small disk."""

LEFT_FREE = (0, 16, 64, 128, 192, 320, 640, 1280, 2560, 5120)
"""What is free of it at the beginning of a run, in KiB."""

MOMENTS = ("ingest", "split", "train_mf", "train_dnn_tuned", "report")
"""What a run has begun when its store is deleted."""

LAYERS = ("ratings", "codes", "splits", "models", "results", "history")

Damage = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, random: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


DAMAGES: dict[str, Damage] = {
    "cut": lambda content, random: content[: random.randrange(len(content))],
    "zeroed": lambda content, random: bytes(len(content)),
    "with a bit flipped": flipped,
}


@contextmanager
def mounted(place: Path) -> Iterator[Path]:
    """Mount a small disk."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def filled(disk: Path, free: int = 0) -> Path:
    """Fill a disk but for so many bytes, and return the file that does."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free - free))
    return filler


def run(settings: Settings, server: PrefectServer, place: Path) -> tuple[int, str]:
    """Run the command line, with its files in `place`, and return its exit code and what it said."""
    output = place / "output"
    output.unlink(missing_ok=True)
    process = started(
        "flows/compare.py", *config(settings, place / "run.yaml"), environment=server.environment, output=output
    )
    try:
        code = process.wait(300)
    finally:
        kill(process)
    said = output.read_text()
    assert "Traceback" not in said, said
    return code, said


@pytest.fixture(scope="module")
def undisturbed(server: PrefectServer, ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a run that has come to its end."""
    place = tmp_path_factory.mktemp("undisturbed")
    settings = small_settings(ratings, place, protocol="notebook")
    assert run(settings, server, place)[0] == 0
    return settings


def test_a_full_disk_is_told_and_costs_nothing(
    server: PrefectServer, ratings: Path, undisturbed: Settings, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path / "disk", protocol="notebook")
    ends: list[int] = []
    with mounted(tmp_path / "disk") as disk:
        for free in LEFT_FREE:
            filler = filled(disk, free * 1024)
            code, said = run(settings, server, tmp_path)
            ends.append(code)
            filler.unlink()
            if code:
                assert "No space left on device" in said, said
                assert "make room" in said, said
            check_store(Path(settings.output.store))
        code, said = run(settings, server, tmp_path)
        assert code == 0, said
        assert numbers(settings) == numbers(undisturbed)
        assert hidden(disk) == []
    assert set(ends) <= {0, 1, 2}
    assert len({*ends}) > 1, "the disk should be too small, and then large enough"
    tell(
        f"{len(LEFT_FREE)} runs on a disk with {LEFT_FREE[0]} to {LEFT_FREE[-1]} KiB free",
        f"{len(ends) - ends.count(0)} ended with a sentence, store valid, numbers as ever",
    )


@pytest.mark.parametrize("task", ["ingest", "split", "train_mf", "report"])
def test_a_disk_that_is_full_when_a_task_writes_is_told_of_that_task(
    task: str, server: PrefectServer, ratings: Path, undisturbed: Settings, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path / "disk", protocol="notebook")
    marks, output = tmp_path / "marks", tmp_path / "output"
    with mounted(tmp_path / "disk") as disk:
        process = started(
            *("tests/faults/marked_run.py", str(marks), *config(settings, tmp_path / "run.yaml")),
            environment={**server.environment, "HOLD": f"{task} begun"},
            output=output,
        )
        until(lambda: process.poll() is not None or (marks.exists() and "held" in marks.read_text().split()), task)
        filler = filled(disk)
        marks.with_suffix(".go").touch()
        code, said = process.wait(300), output.read_text()
        assert code in {1, 2}, said
        assert "Traceback" not in said, said
        (told,) = [line for line in said.splitlines() if line.startswith(f"✗ {task} ")]
        assert "No space left on device" in told
        assert "make room" in told
        filler.unlink()
        check_store(Path(settings.output.store))
        code, said = run(settings, server, tmp_path)
        assert code == 0, said
        assert numbers(settings) == numbers(undisturbed)
        assert hidden(disk) == []
    tell(f"a disk that is full when {task} writes", "told in a sentence, store valid, numbers as ever")


def test_a_store_that_is_read_only_gives_what_it_has(
    server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    with mounted(tmp_path / "disk") as disk:
        settings = small_settings(ratings, disk, protocol="notebook", output={"reports": str(tmp_path / "reports")})
        assert run(settings, server, tmp_path)[0] == 0
        before = numbers(settings)
        shutil.rmtree(tmp_path / "reports")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, said = run(settings, server, tmp_path)
        assert code == 0, said
        assert numbers(settings) == before
        code, said = run(settings.model_copy(update={"seed": 7}), server, tmp_path)
        assert code == 2, said
        assert "Read-only file system" in said, said
        assert "choose another place with --store" in said
    tell("a store that is read-only", "what it has is reported; what it has not is refused with a sentence")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_store_that_is_deleted_under_a_run_is_made_again(
    moment: str, server: PrefectServer, ratings: Path, undisturbed: Settings, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    marks, output = tmp_path / "marks", tmp_path / "output"
    options = config(settings, tmp_path / "run.yaml")
    process = started("tests/faults/marked_run.py", str(marks), *options, environment=server.environment, output=output)
    until(lambda: process.poll() is not None or (marks.exists() and moment in marks.read_text().split()), moment)
    time.sleep(0.05)
    while Path(settings.output.store).exists():
        shutil.rmtree(settings.output.store, ignore_errors=True)
    code = process.wait(300)
    said = output.read_text()
    assert "Traceback" not in said, said
    assert code in {0, 1, 2}, said
    if code:
        assert "repeat the command" in said, said
    code, said = run(settings, server, tmp_path)
    assert code == 0, said
    assert numbers(settings) == numbers(undisturbed)
    tell(f"the store deleted while {moment} runs", "told in a sentence, and made again by the next run")


def planned(settings: Settings) -> list[Planned]:
    planning = Planner(settings.output.store)
    wire(settings, locate(settings.data), planning)
    return planning.tasks


def files(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_file_of_the_store_is_used_once_it_has_changed(
    damage: str, undisturbed: Settings, tmp_path: Path, tell: Tell
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed.output.store, store)
    settings = undisturbed.model_copy(update={"output": undisturbed.output.model_copy(update={"store": str(store)})})
    for path in (store / "results" / "keys").iterdir():
        moved = {"storage_key": str(store / "results" / "values" / path.name)}
        path.write_bytes(with_checksum(verified(path.read_bytes(), path) | moved))
    assert all(task.cached for task in planned(settings))
    moments = random.Random(2)
    found, notes = 0, 0
    for path in files(store):
        content = path.read_bytes()
        path.write_bytes(DAMAGES[damage](content, moments))
        layer = path.relative_to(store).parts[0]
        if path.name in (MANIFEST, MADE_FROM):
            with pytest.raises(DamagedArtefact):
                verified(path.read_bytes(), path)
            found += 1
        elif layer in {"digests", "notes", "locks", "history", "compared"}:
            assert all(task.cached for task in planned(settings)), path
            notes += 1
        else:
            assert path.name in " ".join(task.why for task in planned(settings)), path
            found += 1
        path.write_bytes(content)
    tell(f"each file of a store {damage}, one after the other", f"{found} found by digest, {notes} notes done without")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_is_made_anew(
    damage: str, server: PrefectServer, ratings: Path, undisturbed: Settings, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    assert run(settings, server, tmp_path)[0] == 0
    moments = random.Random(3)
    store = Path(settings.output.store)
    for layers in (("reports",), LAYERS):  # models that are made anew are the matter of another report
        for layer in layers:
            path = moments.choice([path for path in files(store / layer) if path.name not in (MANIFEST, MADE_FROM)])
            path.write_bytes(DAMAGES[damage](path.read_bytes(), moments))
        code, said = run(settings, server, tmp_path)
        assert code == 0, said
        assert numbers(settings) == numbers(undisturbed)
        check_store(store)
    tell(
        f"a file {damage} in each of reports, {', '.join(LAYERS)}", "made anew, with the numbers of an undisturbed run"
    )
