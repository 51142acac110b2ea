import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import write_ratings
from tests.processes import ROOT

PRINTING = """
from flows.stdio import output_error, prepare_streams
prepare_streams()
{}
print(output_error(), file=sys.stderr)
"""


CUT = (
    "standard output cannot be written (No space left on device), so the output is incomplete; all results are kept: "
    "free some space and repeat the command.\n"
)

always_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")


def python(code: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run some Python after its streams were prepared; it says at the end what could not be written."""
    return subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec "$0" -c "$1" {redirection}',
            sys.executable,
            "import os, sys\n" + PRINTING.format(code),
        ],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
    )


def test_what_can_be_written_is_written() -> None:
    done = python("print('✓', 1); sys.stdout.buffer.write(b'2')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "✓ 1\n2".encode(), b"None\n")


def test_a_terminal_without_a_character_gets_another() -> None:
    done = python("print('✓ 1')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, b"? 1\n")


@always_full
def test_a_full_disk_is_told_at_the_end() -> None:
    done = python("for line in range(10_000): print(line)", "> /dev/full")
    assert (done.returncode, done.stderr) == (0, CUT.encode())


def test_nobody_who_reads_is_no_reason() -> None:
    done = python("for line in range(100_000): print(line)", "| exec true")
    assert b"Error" not in done.stderr
    assert b"None" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_closed_stream_is_nobody_else_s_file(closed: str) -> None:
    done = python("file = open('/dev/null'); print(file.fileno() > 2, file=sys.stderr); print('lost')", closed)
    assert (done.returncode, done.stderr) == (0, b"True\nNone\n")
    assert done.stdout == (b"" if ">" in closed else b"lost\n")


def test_closed_standard_error_costs_nothing() -> None:
    assert python("print(1)", "2>&-").stdout == b"1\n"


@always_full
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("compare", ["flows/compare.py", "--plan", "--ratings", "my.csv"]),
        ("clean-store", ["-m", "flows.clean_store", "--older-than", "30d"]),
    ],
)
def test_a_command_on_a_full_disk_ends_with_a_sentence(name: str, command: list[str], tmp_path: Path) -> None:
    write_ratings(tmp_path / "my.csv")
    (tmp_path / "store" / "locks").mkdir(parents=True)
    first = str(ROOT / command[0]) if command[0].endswith(".py") else command[0]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, first, *command[1:], "--store", "store"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (2, f"{name}: {CUT}")


@pytest.mark.slow
def test_a_run_that_nobody_reads_goes_on_to_its_end(prefect_server: str, tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "my.csv")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [
                *(sys.executable, "flows/compare.py", "--ratings", str(ratings), "--protocol", "notebook"),
                *("--mf.epochs", "1", "--dnn.epochs", "1", "--dnn-tuned.epochs", "1", "--name", "unread", "--plots=no"),
                *("--store", str(tmp_path / "store"), "--reports", str(tmp_path / "reports")),
            ],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": prefect_server},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "reports" / "unread" / "report.html").is_file()
