"""A hundred broken files, and the one sentence that each gets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.data.ingest import ingest
from recsys.errors import BadRatings
from recsys.settings import DataSettings
from tests.factories import small_settings
from tests.faults.broken_files import BROKEN
from tests.faults.conftest import Tell
from tests.interrupting import config
from tests.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

FROM_THE_COMMAND_LINE = (
    "empty",
    "a field too many",
    "UTF-16, cut",
    "gzip, cut",
    "parquet with lists",
    "a pickle",
)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere.csv")


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: None, "does not exist; give the path of your ratings file."),
    "a folder": (Path.mkdir, "is a folder; give the path of a ratings file."),
    "a pipe": (os.mkfifo, "is not a regular file; give the path of a ratings file."),
    "a link to nowhere": (link_to_nowhere, "does not exist; give the path of your ratings file."),
    "a link to itself": (
        link_to_itself,
        "cannot be opened (Too many levels of symbolic links); give the path of a file.",
    ),
}


def sentence_on(path: Path, folder: Path) -> str:
    with pytest.raises(BadRatings) as refused:
        ingest(path, DataSettings(), folder)
    return str(refused.value)


@pytest.mark.quick
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_gets_one_sentence(what: str, tmp_path: Path, tell: Tell) -> None:
    content, expected = BROKEN[what]
    path, folder = tmp_path / "ratings.csv", tmp_path / "made"
    path.write_bytes(content)
    folder.mkdir()
    sentence = sentence_on(path, folder)
    assert sentence == f"ratings.csv{expected}"
    assert sentence.isprintable()
    assert not (folder / "ratings.parquet").exists()
    tell(f"{what} ({len(content):,} bytes)", sentence)


def test_there_are_a_hundred_of_them() -> None:
    assert len(BROKEN) >= 100


@pytest.mark.quick
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_gets_one_sentence(what: str, tmp_path: Path, tell: Tell) -> None:
    make, expected = NO_FILES[what]
    path = tmp_path / "ratings.csv"
    make(path)
    sentence = sentence_on(path, tmp_path)
    assert sentence == f"{path} {expected}"
    tell(what, expected)


@pytest.mark.parametrize("what", FROM_THE_COMMAND_LINE)
def test_the_command_line_says_it_and_leaves_nothing(what: str, tmp_path: Path, tell: Tell) -> None:
    content, expected = BROKEN[what]
    ratings = tmp_path / "ratings.csv"
    ratings.write_bytes(content)
    settings = small_settings(ratings, tmp_path)
    done = subprocess.run(
        [sys.executable, "flows/compare.py", *config(settings, tmp_path / "run.yaml"), "--without-server"],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == f"compare: ratings.csv{expected}\n"
    assert "Traceback" not in done.stdout
    assert not list(tmp_path.rglob("*.parquet"))
    assert not (tmp_path / "reports").exists()
    tell(f"{what}, from the command line", "the same sentence, exit code 2, nothing written")
