"""A pickle runs what it likes when it is read: no run leaves one."""

import pickletools
from pathlib import Path

import numpy as np
import pytest

from recsys.settings import Settings
from tests.factories import small_settings
from tests.faults.conftest import Tell
from tests.interrupting import Run
from tests.processes import PrefectServer

pytestmark = pytest.mark.faults


def is_pickle(path: Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".npy":
        return bool(np.load(path, mmap_mode="r").dtype.hasobject)
    if path.suffix in (".pkl", ".pickle", ".joblib"):
        return True
    if content[:1] != b"\x80" or not content.endswith(b"."):
        return False
    try:
        return bool(list(pickletools.genops(content)))
    except ValueError:
        return False


@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_a_run_writes_no_pickle(runner: str, server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell) -> None:
    settings: Settings = small_settings(
        ratings, tmp_path, protocol="notebook", scaling={"runner": runner, "workers": 2}
    )
    run = Run(settings, {**server.environment, "PREFECT_LOCAL_STORAGE_PATH": str(tmp_path / "results")})
    assert run.ends() == 0, run.said()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".keras" for path in files)
    assert [path for path in files if is_pickle(path)] == []
    tell(f"a run in {runner}, store, report and Prefect's results searched", f"0 pickles in {len(files)} files")
