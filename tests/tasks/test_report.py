"""What the report is made from."""

from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tasks.report import REPORT


def key(place: Path, **changes: Any) -> str:
    nothing: dict[str, Any] = {
        "data": {},
        "models": {},
        "others": {},
        "histories": {},
        "learning_curve": {},
        "source": {},
        "tuning": [],
        "left_out": {},
    }
    settings = Settings.model_validate(changes)
    return REPORT.fingerprint({**nothing, "settings": settings, "store": str(place)}).key


@pytest.mark.parametrize("changed", [{"ranking_users": 201}, {"ranking_threshold": 4.0}])
def test_a_setting_of_the_ranking_makes_another_report(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert key(tmp_path) == key(tmp_path, output={"reports": "elsewhere", "mute": ("C07",)})
    assert key(tmp_path) != key(tmp_path, ranking=changed)
