"""A comparison of which nothing has changed is shown without Prefect, unless a server is there to record it."""

import os
from pathlib import Path
from typing import Any

import pytest

from flows import server, session, unchanged
from flows.plan import Planner
from flows.screen import console_for
from recsys.data.source import locate
from recsys.errors import DamagedArtefact, StoreUnavailable
from recsys.settings import DataSettings, OutputSettings, Settings


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Prefect's environment nor a file of settings names a server, and none runs from this folder."""
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setattr(server, "STATE", tmp_path / "state")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def named(name: str, content: str) -> bool:
    """Whether a server is taken for named with a file of this content."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content)
    return not server.none_configured()


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_PROFILE"])
def test_the_environment_names_a_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.none_configured()
    monkeypatch.setenv(name, "http://127.0.0.1:4200/api")
    assert not server.none_configured()


@pytest.mark.parametrize(("profile", "expected"), [("team", True), ("alone", False), ("ephemeral", False)])
def test_the_environment_names_a_profile(profile: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_PROFILE", profile)
    text = 'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://x/api"\n[profiles.alone]\nX = 1\n'
    assert named("../prefect/profiles.toml", text) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("../prefect/profiles.toml", 'active = "local"\n[profiles.local]\nPREFECT_API_URL = "http://x/api"\n', True),
        ("../prefect/profiles.toml", 'active = "ephemeral"\n[profiles.ephemeral]\n', False),
        ("../prefect/profiles.toml", '[profiles.team]\nPREFECT_API_URL = "http://x/api"\n', False),
        ("../prefect/profiles.toml", 'active = "local"\n', True),
        ("../prefect/profiles.toml", "active = 1\nprofiles = 2\n", True),
        ("../prefect/profiles.toml", "active =\n", True),
        (".env", "PREFECT_API_URL=http://x/api\n", True),
        (".env", "COLOUR=1\n", False),
        ("prefect.toml", '[api]\nurl = "http://x/api"\n', True),
        ("prefect.toml", "[server]\n", False),
        ("prefect.toml", "[api\n", True),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://x/api"\n', True),
        ("pyproject.toml", "[api]\n[tool.prefect.server]\n", False),
    ],
)
def test_a_file_of_settings_names_a_server(name: str, content: str, expected: bool) -> None:
    assert named(name, content) is expected


def test_prefect_reads_the_same_settings_from_such_files(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings.context import get_current_settings
    from prefect.settings.models.root import Settings as PrefectSettings

    assert get_current_settings()
    Path("prefect.toml").write_text('[api]\nurl = "http://x/api"\n')
    assert PrefectSettings().api.url == "http://x/api"


def test_a_server_of_this_folder_records_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(server.PROJECT)
    assert server.none_configured()
    server.server_record("ui").write(os.getpid())
    assert not server.none_configured()


@pytest.mark.parametrize("changes", [{}, {"refresh": True}], ids=["nothing noted", "refresh"])
def test_what_is_not_noted_or_to_be_made_anew_is_not_shown(
    changes: dict[str, bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.csv").write_text("user,item,rating\n1,2,3\n")
    settings = Settings(data=DataSettings(ratings=str(tmp_path / "r.csv")), **changes)
    console = console_for(as_json=False)
    assert not unchanged.show_unchanged(console, settings, as_json=False, strict=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("error", [OSError("no room"), StoreUnavailable("gone"), DamagedArtefact("changed")])
def test_an_answer_that_cannot_be_noted_costs_no_run(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(*_: Any, **__: Any) -> None:
        asked.append(error)
        raise error

    monkeypatch.setattr(session, "note_unchanged", note)
    source = locate(DataSettings(ratings=str(tmp_path / "r.csv")))
    for store, times in ((str(tmp_path / "store"), 1), ("memory://answers", 1)):
        settings = Settings(output=OutputSettings(store=store))
        session.Session(settings)._note(source, tmp_path, Planner(store))
        assert len(asked) == times
