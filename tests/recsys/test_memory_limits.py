"""How much memory may still be taken."""

import resource
from pathlib import Path

import psutil
import pytest

from recsys import memory as module
from recsys.errors import NotEnoughMemory
from recsys.memory import Available, available_memory, require_memory, require_memory_for_tensorflow

UNLIMITED_V1 = "9223372036854771712"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in place of the kernel's."""
    monkeypatch.setattr(module, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "MEMBERSHIP", tmp_path / "membership")
    return tmp_path / "cgroup"


def member_of(groups: Path, line: str) -> None:
    groups.with_name("membership").write_text(f"12:cpuset:/elsewhere\n{line}\n")


def limited(group: Path, files: dict[str, str]) -> None:
    group.mkdir(parents=True)
    for name, content in files.items():
        (group / name).write_text(f"{content}\n")


def test_a_group_of_version_2_leaves_its_limit_without_what_is_used_and_not_cached(groups: Path) -> None:
    member_of(groups, "0::/a/b")
    limited(groups / "a" / "b", {"memory.max": "max", "memory.current": "7", "memory.stat": "anon 1"})
    limits = {"memory.max": "1000", "memory.current": "600", "memory.stat": "anon 500\ninactive_file 50"}
    (groups / "a" / "memory.max").write_text("")
    for name, content in limits.items():
        (groups / "a" / name).write_text(content)
    assert available_memory() == Available(450, "are left below the memory limit of this process's cgroup")


def test_a_group_of_version_1_leaves_its_limit_without_what_is_used_and_not_cached(groups: Path) -> None:
    member_of(groups, "4:memory:/a/b")
    files = {"memory.usage_in_bytes": "600", "memory.stat": "inactive_file 1\ntotal_inactive_file 50"}
    limited(groups / "memory" / "a" / "b", {"memory.limit_in_bytes": "1000", **files})
    assert available_memory().bytes == 450


@pytest.mark.parametrize("most", [UNLIMITED_V1, "max"])
def test_a_group_without_a_limit_leaves_what_the_machine_has(groups: Path, most: str) -> None:
    member_of(groups, "0::/a")
    files = {"memory.current": "600", "memory.usage_in_bytes": "600", "memory.stat": ""}
    limited(groups / "a", {"memory.max": most, "memory.limit_in_bytes": most, **files})
    assert available_memory().limit == "are free on this machine"


def test_where_there_are_no_groups_the_machine_is_the_limit(groups: Path) -> None:
    assert available_memory().limit == "are free on this machine"


def test_addresses_that_are_limited_count(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda what: (used + 2 * 10**9, used + 2 * 10**9))
    found = available_memory()
    assert 1e9 < found.bytes <= 1.7e9
    assert found.limit == "are left below the limit of ulimit -v"
    monkeypatch.setattr(resource, "getrlimit", lambda what: (10**9, 10**9))
    with pytest.raises(NotEnoughMemory, match=r"reserves about 4\.5 GB of address space, and ulimit -v allows 1\.0 GB"):
        require_memory_for_tensorflow()


def test_what_fits_is_no_matter_and_what_does_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: Available(2.04e9, "are free on this machine"))
    require_memory("Training mf", 2e9)
    with pytest.raises(
        NotEnoughMemory,
        match=r"^Training mf needs about 3\.0 GB of memory, and 2\.0 GB are free on this machine: give it more, or",
    ):
        require_memory("Training mf", 3e9)
    monkeypatch.setattr(module, "available_memory", lambda: Available(1e6, "are free on this machine"))
    with pytest.raises(NotEnoughMemory, match="needs about 50 MB"):
        require_memory("Training mf", 5e7)
