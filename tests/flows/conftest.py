"""A comparison small enough to be run many times."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.settings import Settings

SMALL = {
    "mf": {"embedding_size": 4, "epochs": 2},
    "dnn": {"embedding_size": 4, "units": [8], "epochs": 2},
    "dnn_tuned": {"embedding_size": 4, "units": [8], "epochs": 3},
}

MakeSettings = Callable[..., Settings]


@pytest.fixture
def small_settings(tmp_path: Path) -> MakeSettings:
    """Return a function that makes the settings of a small run on a ratings file."""

    def make(ratings: Path | None, **changes: dict[str, object] | object) -> Settings:
        whole: dict[str, object] = {
            "data": {"ratings": str(ratings)} if ratings else {},
            "output": {"store": str(tmp_path / "store"), "reports": str(tmp_path / "reports"), "name": "run"},
            **SMALL,
        }
        for name, value in changes.items():
            known = whole.get(name, {})
            whole[name] = {**known, **value} if isinstance(value, dict) and isinstance(known, dict) else value
        return Settings.model_validate(whole)

    return make
