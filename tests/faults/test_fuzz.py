"""The reader under a fuzzer, for a minute."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.broken_files import BROKEN
from tests.faults.conftest import Tell
from tests.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SECONDS = 60

BETWEEN = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
"""A process between the suite and the fuzzer: a new program inherits the peak memory of the process that begins it, and
the fuzzer would take the suite's gigabytes for its own."""

WAYS = 9
"""In which the fuzzer gives a file to the reader, by the first byte."""


def test_the_reader_answers_whatever_it_is_given(tmp_path: Path, tell: Tell) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python and machine")
    files = tmp_path / "files"
    files.mkdir()
    for number, (content, _) in enumerate(BROKEN.values()):
        for way in range(WAYS):
            if len(content) < 4096:
                (files / f"{number}-{way}").write_bytes(bytes([way]) + content)
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN, sys.executable, "tests/faults/fuzz_reader.py", str(tmp_path), str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    runs = re.search(r"Done (\d+) runs in", said)
    assert runs, said[-3000:]
    assert int(runs[1]) > len(BROKEN)
    tell(f"{int(runs[1]):,} files made by a fuzzer in {SECONDS} s", "read, or refused with a sentence")
