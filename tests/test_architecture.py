"""The architecture: which packages may import which, what loads heavy libraries, and how large the code is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = ["deployments", "flows", "tasks", "recsys"]
"""A module may import from its own package and those after it."""

LAYERS = ["report", "winner", "tuning", "evaluation", "training", "models", "data", "store"]
"""The same inside recsys; modules beside these packages import none of them."""

REGISTRIES = {
    "recsys.data.datasets",
    "recsys.data.settings",
    "recsys.models.settings",
    "recsys.models.specs",
    "recsys.store.remote",
}
"""What recsys/settings.py may import nevertheless, as the settings are made from it."""

MOST_LINES, MOST_MODULES, FEWEST_LINES = 36_300, 221, 30
"""Limits of all packages together, and of each module that is not an interface."""

INTERFACES = {"recsys/progress.py"}


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


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = PACKAGES[: PACKAGES.index(package)]
    assert not {name for name in imports(path) if name.split(".")[0] in above}


@pytest.mark.parametrize("path", modules("recsys"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_library_go_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT / "recsys").parts
    above = LAYERS[: LAYERS.index(parts[0])] if len(parts) > 1 else LAYERS
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


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def named_modules() -> list[Path]:
    return [path for path in modules(*PACKAGES) if path.name != "__init__.py"]


def test_the_code_stays_small() -> None:
    assert sum(map(lines, modules(*PACKAGES))) < MOST_LINES
    assert len(named_modules()) <= MOST_MODULES


def test_no_module_is_a_fragment() -> None:
    short = {str(path.relative_to(ROOT)) for path in named_modules() if lines(path) < FEWEST_LINES}
    assert short <= INTERFACES
