import os
from pathlib import Path

import pytest

from recsys.errors import BadSettings
from recsys.report.publish import publish


def report(folder: Path, text: str = "{}") -> dict[str, Path]:
    """A report of one file."""
    folder.mkdir(exist_ok=True)
    (folder / "comparison.json").write_text(text)
    return {"comparison.json": folder / "comparison.json"}


def test_the_name_of_the_link_to_the_newest_report_is_refused(tmp_path: Path) -> None:
    publish(report(tmp_path / "made"), tmp_path / "reports", "first")
    with pytest.raises(BadSettings, match="latest leads to the newest report; choose another --name"):
        publish(report(tmp_path / "made"), tmp_path / "reports", "latest")
    assert os.readlink(tmp_path / "reports" / "latest") == "first"


def test_a_report_that_is_a_link_is_replaced_again_and_again(tmp_path: Path) -> None:
    reports, elsewhere = tmp_path / "reports", tmp_path / "elsewhere"
    report(elsewhere)
    reports.mkdir()
    (reports / "run").symlink_to(elsewhere)
    for text in ("1", "2", "3"):
        folder = publish(report(tmp_path / "made", text), reports, "run")
        assert (folder / "comparison.json").read_text() == text
    assert sorted(path.name for path in reports.iterdir()) == [".lock", "latest", "run"]
    assert (elsewhere / "comparison.json").read_text() == "{}"


def test_a_folder_where_the_link_would_stand_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "reports" / "latest"
    own.mkdir(parents=True)
    folder = publish(report(tmp_path / "made"), tmp_path / "reports", "run")
    assert (folder / "comparison.json").is_file()
    assert own.is_dir()
    assert not own.is_symlink()
    assert sorted(path.name for path in own.parent.iterdir()) == [".lock", "latest", "run"]
