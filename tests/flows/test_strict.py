"""--strict: a finished comparison with a check of severity error ends with exit code 3."""

from pathlib import Path
from typing import Any

import pytest

from flows import command_line
from flows.screen import console_for, show_result
from recsys.errors import ChecksFailed
from recsys.evaluation.results import Comparison
from recsys.report.checks import with_checks, with_muted
from recsys.settings import Settings
from tests.recsys.report.conftest import made


@pytest.fixture(scope="module")
def small() -> Comparison:
    """A comparison with so few test ratings that an error-level check fires."""
    return with_checks(made(rows=90)[0])


def written(comparison: Comparison, folder: Path) -> Path:
    (folder / "comparison.json").write_text(comparison.model_dump_json(), encoding="utf-8")
    return folder


def test_an_error_that_fired_is_named_after_everything_was_shown(
    small: Comparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(small, tmp_path)
    with pytest.raises(ChecksFailed, match=r"--strict: .*C03 test-small"):
        show_result(console_for(as_json=False), folder, Settings(), strict=True)
    shown = capsys.readouterr().out
    assert "C03 few test ratings" in shown
    assert shown.splitlines()[-1] == f"Report: {folder / 'report.html'}"


def test_without_strict_or_with_all_errors_muted_nothing_is_wrong(small: Comparison, tmp_path: Path) -> None:
    errors = [check.id for check in small.checks or [] if check.severity == "error"]
    console = console_for(as_json=False)
    show_result(console, written(small, tmp_path), Settings())
    show_result(console, written(with_muted(small, errors), tmp_path), Settings(), strict=True)


def test_the_command_ends_with_exit_code_3(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: Any, **options: Any) -> bool:
        raise ChecksFailed("--strict: C03 test-small fired.")

    monkeypatch.setattr(command_line, "prepare_streams", lambda: None)
    monkeypatch.setattr(command_line, "handle_early_interrupt", lambda: None)
    monkeypatch.setattr("flows.options.application", lambda: run)
    with pytest.raises(SystemExit) as exit_:
        command_line.main(["--strict"])
    assert exit_.value.code == 3
    assert "--strict: C03 test-small fired." in capfd.readouterr().err
