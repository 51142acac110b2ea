"""What settings can do besides being read."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recsys.settings import Settings


def test_folders_become_absolute_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate({"output": {"store": "s3://bucket/name", "reports": "reports"}})
    assert settings.anchored.output.store == "s3://bucket/name"
    assert settings.anchored.output.reports == str(tmp_path / "reports")


@pytest.mark.parametrize("given", [{"data": {"ratings": "a\0b"}}, {"output": {"store": "a\0b"}}])
def test_no_setting_holds_a_nul(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="settings cannot hold a NUL character"):
        Settings.model_validate(given)


@pytest.mark.parametrize("text", ["", " ", "\t"])
@pytest.mark.parametrize(
    ("section", "name"),
    [("output", "store"), ("output", "reports"), ("data", "ratings"), ("data", "downloads"), ("data", "user_column")],
)
def test_no_text_is_empty(section: str, name: str, text: str) -> None:
    with pytest.raises(ValidationError, match=f"{section}.{name}\n  is empty: give it a value, or leave it out"):
        Settings.model_validate({section: {name: text}})


@pytest.mark.parametrize("name", ["ratings\udcff.csv", "\ud800"])
def test_a_name_that_is_not_utf_8_is_told_so(name: str) -> None:
    with pytest.raises(ValidationError, match=r"have to be: rename 'r?a?.*\\ud[8c]"):
        Settings.model_validate({"data": {"ratings": name}})
