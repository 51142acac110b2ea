"""The command that cleans a store."""

import os
import time
from pathlib import Path

import pytest

from flows.clean_store import main
from recsys.store.artifacts import MANIFEST
from recsys.store.fingerprint import Fingerprint
from recsys.store.remote import WORKING_COPIES
from recsys.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store with one artefact, used a month and a day ago."""
    root = tmp_path / "store"
    fingerprint = Fingerprint(task="encode", layer="codes", inputs={}, settings={}, code={}, versions={})
    made = Store(root).make(fingerprint, lambda folder: {"bytes": (folder / "a").write_bytes(bytes(2_000_000))})
    os.utime(root / "codes" / made["key"] / MANIFEST, (time.time() - 31 * 86_400,) * 2)
    return root


def test_it_says_what_it_removes(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, done in (("--dry-run", "Would remove"), ("", "Removed")):
        main(["--older-than", "30d", "--store", str(store), *option.split()])
        expected = f"{done} 1 results and 0 unfinished trainings, 2.0 MB, from {store}.\n"
        assert capsys.readouterr().out == expected
    main(["--older-than", "4w", "--store", str(store)])
    assert "Removed 0 results" in capsys.readouterr().out


def test_of_a_shared_store_only_the_working_copy_is_cleaned(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(WORKING_COPIES, str(tmp_path))
    store = Store(memory)
    fingerprint = Fingerprint(task="encode", layer="codes", inputs={}, settings={}, code={}, versions={})
    made = store.make(fingerprint, lambda folder: {"bytes": (folder / "a").write_bytes(b"1")})
    here = store.root / "codes" / made["key"]
    os.utime(here / MANIFEST, (time.time() - 31 * 86_400,) * 2)
    main(["--older-than", "30d", "--store", memory])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Removed 1 results")
    assert said[1:] == [f"That is this machine's working copy; {memory} keeps everything."]
    assert not here.exists()
    assert Store(memory).find(fingerprint) == made, "it is fetched again"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--older-than", "soon"], "--older-than soon is not a time: give days or weeks, such as 30d or 8w."),
        (["--older-than", "0d"], "What was used within a day stays"),
        (["--older-than", "30d", "--store", "/"], "/ is no store: give the folder that runs were told with --store."),
        (["--older-than", "30d", "--store", ""], "The path of the store is empty: give a folder, or a URL"),
        (["--older-then", "30d"], "--older-then"),
        ([], "--older-than"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str], store: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*options, *([] if "--store" in options else ["--store", str(store)])])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("clean-store: ")
    assert sentence in said
    assert said.count("\n") == 1
