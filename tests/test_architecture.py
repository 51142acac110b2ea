"""The rules that the house is built by."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = ["deployments", "flows", "tasks", "recsys"]
"""A module may import from its own floor and those below."""

ROOMS = ["report", "tuning", "evaluation", "training", "models", "data", "store"]
"""The same inside recsys; modules beside these packages are the cellar, which imports no room."""

REGISTRIES = {"recsys.data.datasets", "recsys.models.settings", "recsys.models.specs", "recsys.store.remote"}
"""Modules of rooms that the settings are made from."""


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", modules(*FLOORS), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0]
    above = FLOORS[: FLOORS.index(floor)]
    assert not {name for name in imports(path) if name.split(".")[0] in above}


@pytest.mark.parametrize("path", modules("recsys"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_library_go_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT / "recsys").parts
    above = ROOMS[: ROOMS.index(parts[0])] if parts[0] in ROOMS else ROOMS
    found = {name for name in imports(path) if name.startswith("recsys.") and name.split(".")[1] in above}
    assert found <= (REGISTRIES if parts == ("settings.py",) else set())


def test_the_records_of_data_sets_import_nothing_of_the_library() -> None:
    assert not {name for name in imports(ROOT / "recsys/data/datasets.py") if name.startswith("recsys")}


@pytest.mark.parametrize("path", modules("recsys"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_does_not_know_prefect(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] == "prefect"}


def test_the_records_of_the_models_load_neither_keras_nor_tensorflow() -> None:
    code = "import sys, recsys.models.specs; print(*({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert loaded.stdout == "\n"


def test_settings_and_tasks_load_without_what_only_computing_needs() -> None:
    heavy = {"fastapi", "matplotlib", "numpy", "optuna", "pandas", "pyarrow", "scipy", "sklearn", "tensorflow"}
    code = f"import sys, flows.compare, flows.session; print(*({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert loaded.stdout == "\n"


@pytest.mark.parametrize("command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join)
def test_the_code_is_clean(command: list[str]) -> None:
    checked = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert checked.returncode == 0, checked.stdout + checked.stderr
