"""What is known of the packages that are locked."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import Tell
from tests.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

NOT_REACHED = "Dependency not found on PyPI|Connection ?Error|Max retries|Name or service not known"

UV = Path(".venv/bin/uv")


def test_the_installed_packages_go_together(tell: Tell) -> None:
    if not (ROOT / UV).exists():
        pytest.skip("make has not installed uv here")
    done = subprocess.run([ROOT / UV, "pip", "check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tell("uv pip check", " ".join(done.stderr.split()))


def test_every_package_is_pinned(tell: Tell) -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1] not in {"", " ", "#"}]
    assert len(lines) > 100
    assert not [line for line in lines if not re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ]+( ; .+)?$", line)]
    tell("requirements.lock", f"{len(lines)} packages, each pinned, and no address of an index")


def test_no_package_is_known_as_vulnerable(tell: Tell) -> None:
    done = subprocess.run(["make", "audit"], cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode and re.search(NOT_REACHED, said, re.IGNORECASE):
        pytest.skip("the advisories of PyPI cannot be reached from here")
    assert done.returncode == 0, said[-3000:]
    tell("make audit", said.strip().splitlines()[-1])
