"""Runs that may take little memory."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings
from tests.factories import small_settings, write_ratings
from tests.faults.conftest import Tell
from tests.faults.stores import check_store
from tests.interrupting import config
from tests.processes import ROOT, PrefectServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

GROUP = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
GROUP_V2 = Path("/sys/fs/cgroup"), "memory.max"

LIMIT = 600 * 10**6
"""Bytes of a group in which TensorFlow cannot be loaded."""


def run(settings: Settings, server: PrefectServer, place: Path, before: Callable[[], None]) -> tuple[int, list[str]]:
    """Run the command line, and return its exit code and what it complained of."""
    done = subprocess.run(
        [sys.executable, "flows/compare.py", *config(settings, place / "run.yaml")],
        cwd=ROOT,
        env={**os.environ, **server.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=before,
        timeout=300,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, [
        line for line in (done.stdout + done.stderr).splitlines() if " memory" in line or "GB" in line
    ]


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a control group with a limit."""
    root, limit = GROUP if GROUP[0].is_dir() else GROUP_V2
    made = root / f"mf-or-dnn-{os.getpid()}"
    try:
        made.mkdir()
        (made / limit).write_text(str(LIMIT))
    except OSError as error:
        if made.is_dir():
            made.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield made
    made.rmdir()


@pytest.mark.parametrize("allowed", [1.5e9, 3e9])
def test_addresses_that_do_not_do_for_tensorflow_are_told(
    allowed: float, server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (int(allowed),) * 2)  # noqa: E731
    code, complaints = run(settings, server, tmp_path, limited)
    assert code == 2
    assert complaints == [
        f"compare: TensorFlow reserves about 4.5 GB of address space, and ulimit -v allows {allowed / 1e9:.1f} GB: "
        "raise it, or limit what is used (a cgroup) instead of what is reserved."
    ]
    assert not check_store(Path(settings.output.store))
    tell(f"ulimit -v of {allowed / 1e9:.1f} GB", "told in a sentence before anything is loaded")


def test_a_group_with_too_little_memory_is_told(
    group: Path, server: PrefectServer, ratings: Path, tmp_path: Path, tell: Tell
) -> None:
    settings = small_settings(ratings, tmp_path, protocol="notebook")

    def limited() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    code, complaints = run(settings, server, tmp_path, limited)
    assert code == 2
    (complaint,) = complaints
    assert complaint.startswith("compare: Loading TensorFlow and Keras needs about ")
    assert " are left below the memory limit of this process's cgroup: give it more, or " in complaint
    tell(f"a cgroup of {LIMIT / 1e6:.0f} MB", "told in a sentence before anything is loaded")


@pytest.mark.parametrize("allowed", [5.5e9, 7e9])
def test_a_model_that_has_no_room_leaves_the_others_alone(
    allowed: float, server: PrefectServer, tmp_path: Path, tell: Tell
) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv", rows=30_000, users=20_000, items=10_000)
    models: dict[str, Any] = {"mf": {"embedding_size": 4096, "epochs": 1, "batch_size": 10_000}}
    settings = small_settings(ratings, tmp_path, protocol="notebook", **models)
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (int(allowed),) * 2)  # noqa: E731
    code, complaints = run(settings, server, tmp_path, limited)
    assert code == 1
    reasons = r"Training .* needs about .* GB of memory|train_mf has run out of memory"
    sentence = rf"MF has no score, because its training failed: ({reasons})"
    (told,) = [match for match in (re.match(sentence, line) for line in complaints) if match]
    assert (tmp_path / "reports" / "run" / "report.html").exists()
    tell(
        f"MF with 4,096 factors of 25,000 users and items in {allowed / 1e9:.1f} GB of addresses",
        f"“{told[1]} …”; the other models are compared",
    )
