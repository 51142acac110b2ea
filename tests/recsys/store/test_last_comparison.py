"""What was compared last."""

from pathlib import Path

import pytest

from recsys.settings import ScalingSettings, Settings
from recsys.store.last_comparison import Compared, last_compared, remember


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"output": {"store": str(tmp_path / "store")}})


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.html").touch()
    return Compared(ratings="ratings.csv", sha256="0123", report=str(report))


def test_it_is_remembered_under_the_same_settings(settings: Settings, compared: Compared) -> None:
    assert last_compared(settings) is None
    remember(settings, compared)
    assert last_compared(settings) == compared
    assert (
        last_compared(settings.model_copy(update={"refresh": True, "scaling": ScalingSettings(time_limit=5)}))
        == compared
    )
    assert last_compared(settings.model_copy(update={"seed": 43})) is None


def test_a_report_that_is_gone_was_not_compared(settings: Settings, compared: Compared) -> None:
    remember(settings, compared)
    (Path(compared.report) / "report.html").unlink()
    assert last_compared(settings) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"ratings": "a"}'])
def test_a_damaged_note_is_none(settings: Settings, compared: Compared, damage: str) -> None:
    remember(settings, compared)
    (note,) = Path(settings.output.store).glob("compared/*.json")
    note.write_text(damage)
    assert last_compared(settings) is None
