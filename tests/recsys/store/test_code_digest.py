"""Modules that are read once and remembered."""

import ast
import json
import os
from pathlib import Path

import pytest

from recsys.store import fingerprint as modules
from recsys.store.fingerprint import ModuleDigest, digests_to_save, load_digests, read_module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of source code that was written a minute ago."""
    path = tmp_path / "lib" / "model.py"
    path.parent.mkdir()
    return written(path, "import lib.numbers\nFIFTY = 50\n")


def written(path: Path, text: str, age: int = 60) -> Path:
    path.write_text(text)
    long_ago = path.stat().st_mtime_ns - age * 10**9
    os.utime(path, ns=(long_ago, long_ago))
    return path


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(modules, "_DIGESTS", {})
    monkeypatch.setattr(modules, "_UNSAVED", set())
    monkeypatch.setattr(modules, "_LOADED", set())


def known_of(source: Path) -> ModuleDigest:
    """Read a module and note it for a process that comes after, which is where we are then."""
    said = read_module(source, "lib")
    notes = digests_to_save()
    assert notes
    (source.parent / "notes.json").write_bytes(notes)
    modules._DIGESTS.clear()
    modules._LOADED.clear()
    return said


def test_a_later_process_does_not_read_it_again(source: Path, forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = known_of(source)
    assert said.imports == ("lib.numbers",)
    monkeypatch.setattr(modules, "_parse", lambda *_: pytest.fail("it was read"))
    load_digests("here", (source.parent / "notes.json").read_bytes)
    assert read_module(source, "lib") == said
    assert digests_to_save() is None


def test_a_changed_file_is_read_again(source: Path, forgotten: None) -> None:
    said = known_of(source)
    load_digests("here", (source.parent / "notes.json").read_bytes)
    assert read_module(written(source, "import lib.numbers\nFIFTY = 500\n"), "lib").digest != said.digest


def test_a_file_that_has_just_been_written_is_not_noted(source: Path, forgotten: None) -> None:
    read_module(written(source, "FIFTY = 50\n", age=0), "lib")
    noted = digests_to_save()
    assert noted
    assert json.loads(noted)["modules"] == {}


@pytest.mark.parametrize("notes", ["", "[]", "{", '{"python": "another", "modules": {}}'])
def test_notes_that_cannot_be_read_are_no_help(source: Path, forgotten: None, notes: str) -> None:
    said = known_of(source)
    (source.parent / "notes.json").write_text(notes)
    load_digests("here", (source.parent / "notes.json").read_bytes)
    assert read_module(source, "lib") == said
    assert digests_to_save()


def test_a_module_is_read_though_the_interpreter_stumbles_over_other_threads(
    source: Path, forgotten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, stumbles = ast.parse, iter([True, True])

    def stumbling(text: str) -> ast.Module:
        if next(stumbles, False):
            raise SystemError("AST constructor recursion depth mismatch (before=207, after=49)")
        return parse(text)

    monkeypatch.setattr(ast, "parse", stumbling)
    assert read_module(source, "lib").imports == ("lib.numbers",)
