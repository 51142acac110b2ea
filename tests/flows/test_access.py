"""Where the runs of deployments may read and write."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from flows.access import ALLOWED_PATHS, PROJECT, check_paths
from recsys.errors import BadSettings
from recsys.settings import Settings


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have the process run a deployment, for a user whose home is returned."""
    run = SimpleNamespace(flow_run=SimpleNamespace(deployment_id=uuid4()))
    monkeypatch.setattr("flows.access.FlowRunContext", SimpleNamespace(get=lambda: run))
    monkeypatch.delenv(ALLOWED_PATHS, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def check(section: str, **values: Any) -> None:
    check_paths(Settings.model_validate({section: values}))


@pytest.mark.parametrize(
    ("section", "name", "place"),
    [
        ("data", "ratings", "/etc/passwd"),
        ("data", "ratings", "../../etc/passwd"),
        ("data", "ratings", "~/.ssh/id_rsa"),
        ("data", "downloads", "/var/lib"),
        ("output", "reports", "/srv/www"),
        ("output", "reports", "~/.config/autostart"),
        ("output", "store", "/var/lib/store"),
        ("output", "store", "s3://elsewhere/store"),
        ("output", "store", "file:///etc/store"),
    ],
)
def test_a_place_elsewhere_is_refused_without_being_told(deployed: Path, section: str, name: str, place: str) -> None:
    with pytest.raises(BadSettings, match=f"^{section}.{name} is outside of the paths") as refused:
        check(section, **{name: place})
    assert place not in str(refused.value)


def test_project_home_and_defaults_may_be_used(deployed: Path) -> None:
    check_paths(Settings())
    check("data", ratings="incoming/my.csv")
    check("data", ratings=str(PROJECT / "incoming" / "my.csv"))
    check("data", ratings=str(deployed / "my.csv"))
    check("output", store="~/stores/one", reports="~/reports")


def test_what_the_worker_was_told_may_be_used(deployed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOWED_PATHS, "/data/ratings;s3://team/stores/")
    check("data", ratings="/data/ratings/my.csv")
    check("output", store="s3://team/stores/one")
    for section, values in (
        ("data", {"ratings": "/data/ratings-of-others/my.csv"}),
        ("data", {"ratings": "/data/ratings/../secret"}),
        ("output", {"store": "s3://team/stores-of-others"}),
        ("output", {"store": "s3://team/stores/../others"}),
    ):
        with pytest.raises(BadSettings, match="is outside of the paths"):
            check(section, **values)


def test_links_are_followed(deployed: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1,2,3\n")
    (deployed / "my.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(BadSettings, match=r"data\.ratings is outside"):
        check("data", ratings=str(deployed / "my.csv"))


def test_the_command_line_may_use_any_place() -> None:
    check("data", ratings="/etc/passwd")


def test_a_part_of_a_folder_may_not_lead_elsewhere(deployed: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1,2,3\n")
    (deployed / "events").mkdir()
    (deployed / "events" / "part-0").write_text("1,2,3\n")
    check("data", ratings=str(deployed / "events"))
    (deployed / "events" / "part-1").symlink_to(tmp_path / "secret")
    with pytest.raises(BadSettings, match=r"a part of data\.ratings is outside"):
        check("data", ratings=str(deployed / "events"))
