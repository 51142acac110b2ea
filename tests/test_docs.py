"""README, docs and metadata agree with the code; `python tests/test_docs.py` updates the option table."""

import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from flows.options import option, run
from recsys.data.settings import ReadingSettings
from recsys.report.checks import CHECKS
from recsys.settings import Settings
from recsys.winner.settings import PredictSettings, RecommendSettings

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("deployments/*.md"))]
CONFIGURATION = ROOT / "docs" / "configuration.md"
HEAD = "| option | default | meaning |\n|---|---|---|\n"

OTHER_OPTIONS = {
    *("--help", "--constraint", "--extra", "--older-than", "--dry-run", "--format", "--suffix", "--take-over"),
    *(
        f"--{name.replace('_', '-')}"
        for asked in (PredictSettings, RecommendSettings, ReadingSettings)
        for name in asked.model_fields
    ),
}
"""Options of other commands than the comparison."""

ANNOUNCED = {"recsys/models/specs.py"}
"""Modules that pages name already."""


def options(model: type[BaseModel], place: tuple[str, ...] = ()) -> list[str]:
    """Return one line of the table of options for each setting."""
    lines = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += options(field.annotation, (*place, name))
            continue
        default = "" if field.default in (None, PydanticUndefined) else f"{field.default}"
        if isinstance(field.default, tuple):
            default = " ".join(map(str, field.default))
        lines.append(f"| `{option((*place, name))}` | {default} | {field.description} |")
    return lines


def run_options() -> set[str]:
    names = [name for name in inspect.signature(run).parameters if name != "settings"]
    return {f"--{name.replace('_', '-')}" for name in names}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL)


def code(page: Path) -> str:
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text(page), flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_options_is_that_of_the_settings() -> None:
    assert HEAD + "\n".join(options(Settings)) + "\n\n" in text(CONFIGURATION), "run: python tests/test_docs.py"


def test_all_options_of_a_run_are_described() -> None:
    assert run_options() == set(re.findall(r"^\| `(--[a-z-]+)`(?=[^|]*\| [^|]+\|$)", text(CONFIGURATION), re.MULTILINE))


def test_the_yaml_example_is_valid() -> None:
    for example in re.findall(r"```yaml\n(.*?)```", text(CONFIGURATION), re.DOTALL):
        Settings.model_validate(yaml.safe_load(example))


def test_the_options_and_make_targets_that_pages_name_exist() -> None:
    known = set(re.findall(r"`(--[a-z0-9.-]+)`", "\n".join(options(Settings)))) | run_options() | OTHER_OPTIONS
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]:
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]+", text(page))) <= known, page
        assert set(re.findall(r"\bmake ([a-z-]+)", code(page))) <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_modules_and_files_that_pages_name_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    for path in re.findall(r"`((?:recsys|tasks|flows|deployments|tests|docs)/[\w./-]*)`", text(page)):
        assert path in ANNOUNCED or (ROOT / path).exists(), path


def test_each_check_has_a_heading_of_its_name_with_its_number_and_severity_and_its_tip_names_options() -> None:
    page = text(ROOT / "docs" / "checks.md")
    described = re.findall(r"^## (\S+)\n\n(C\d+), (\w+)\. ", page, re.MULTILINE)
    assert described == [(check.name, check.id, check.severity) for check in CHECKS]
    known = set(re.findall(r"`(--[a-z0-9.-]+)`", "\n".join(options(Settings)))) | run_options()
    assert {option for check in CHECKS for option in re.findall(r"--[a-z-]+", check.tip)} <= known


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 150


def test_all_files_name_the_same_version() -> None:
    version = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["version"]
    assert yaml.safe_load(text(ROOT / "CITATION.cff"))["version"] == version
    assert re.findall(r"^## \[?([\d.]+)", text(ROOT / "CHANGELOG.md"), re.MULTILINE)[0] == version
    compose = yaml.safe_load(text(ROOT / "deployments" / "compose.yaml"))
    images = [service["image"] for service in compose["services"].values() if service["image"].startswith("mf-or-dnn-")]
    template = json.loads(text(ROOT / "deployments" / "kubernetes-base-job-template.json"))
    images.append(template["variables"]["properties"]["image"]["default"])
    assert len(images) > 2
    assert {image.split(":")[1] for image in images} == {version}


if __name__ == "__main__":
    before, _, after = text(CONFIGURATION).partition(HEAD)
    table = HEAD + "\n".join(options(Settings)) + "\n\n"
    CONFIGURATION.write_text(before + table + after.partition("\n\n")[2], encoding="utf-8")
