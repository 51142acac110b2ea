"""What settings can do besides being read."""

from pathlib import Path

import pytest

from recsys.settings import Settings


def test_folders_become_absolute_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate({"output": {"store": "s3://bucket/name", "reports": "reports"}})
    assert settings.anchored.output.store == "s3://bucket/name"
    assert settings.anchored.output.reports == str(tmp_path / "reports")
