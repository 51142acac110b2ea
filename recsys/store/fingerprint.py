"""What a result was made from: content of its inputs, settings, code and library versions.

Reading a hundred modules takes half a second, which a run that finds everything cached has no time for. So
what was read is noted, by the path, size, time and inode of each module.
"""

import ast
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recsys.errors import DamagedArtefact
from recsys.store.artifacts import sealed, unsealed

TRIES_TO_PARSE = 9

SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file is sure to show in its time."""


@dataclass(frozen=True)
class Module:
    """What a file of source code says.

    Attributes:
        state: its size in bytes, time of change and inode.
        digest: of its syntax tree without docstrings: comments and formatting change nothing.
        imports: names of the package's that it imports, inside functions too; some are no modules.
    """

    state: tuple[int, int, int]
    digest: str
    imports: tuple[str, ...]


def read_module(path: Path, package: str) -> Module:
    """Return what a file of a package says.

    Raises:
        ImportError: it has a relative import, which cannot be followed.
    """
    found = path.stat()
    state = (found.st_size, found.st_mtime_ns, found.st_ino)
    known = _KNOWN.get(path)
    if known and known.state == state:
        return known
    module = _KNOWN[path] = Module(state, *_read(path, package))
    _UNNOTED.add(path)
    return module


def recall(place: str, notes: Callable[[], bytes | None]) -> None:
    """Remember what an earlier process has noted in some place.

    Notes that cannot be read, or of another Python, are no help.

    Args:
        place: where the notes are; they are read once.
        notes: reads them, None if there are none.
    """
    if place in _RECALLED:
        return
    _RECALLED.add(place)
    with suppress(DamagedArtefact, KeyError):
        document = unsealed(notes() or b"", place)
        if document["python"] == sys.version:
            for path, noted in document["modules"].items():
                size, changed, inode = noted["state"]
                module = Module((size, changed, inode), noted["digest"], tuple(noted["imports"]))
                _KNOWN.setdefault(Path(path), module)


def news() -> bytes | None:
    """Return what there is to note, in the form that `recall` reads; None if nothing was read since the last time."""
    if not _UNNOTED:
        return None
    _UNNOTED.clear()
    settled = time.time_ns() - SETTLED
    modules = {str(path): asdict(module) for path, module in list(_KNOWN.items()) if module.state[1] < settled}
    return sealed({"python": sys.version, "modules": modules})


@cache
def file_of(module: str, package: Path) -> Path | None:
    """Return the file of a module of a package, None if it has none."""
    head, *parts = module.split(".")
    if head != package.name:
        return None
    place = package.joinpath(*parts)
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _parsed(source: str) -> ast.Module:
    """The syntax tree of a module, also where other threads parse: CPython 3.11 counts all threads' depths together."""
    with _PARSING:
        for _ in range(TRIES_TO_PARSE):
            with suppress(SystemError):  # TensorFlow parses too, under no lock of ours
                return ast.parse(source)
        return ast.parse(source)


def _read(path: Path, package: str) -> tuple[str, tuple[str, ...]]:
    tree = _parsed(path.read_text(encoding="utf-8"))
    imports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ImportError(f"{path} has a relative import, which the code's digest does not follow")
            imports += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
    return digest, tuple(dict.fromkeys(name for name in imports if name.split(".")[0] == package))


_PARSING = threading.Lock()
_KNOWN: dict[Path, Module] = {}
_UNNOTED: set[Path] = set()
_RECALLED: set[str] = set()


PACKAGE = Path(__file__).parent.parent

RESULT_NEUTRAL = {
    "recsys.backend",
    "recsys.config",
    "recsys.models.settings",
    "recsys",
    "recsys.store.artifacts",
    "recsys.errors",
    "recsys.store.fingerprint",
    "recsys.store.run_history",
    "recsys.store.prune",
    "recsys.store.remote",
    "recsys.progress",
    "recsys.memory",
    "recsys.settings",
    "recsys.store.store",
}
"""Modules that decide no number: the settings' values are part of the fingerprint themselves."""


@dataclass(frozen=True)
class Fingerprint:
    """Everything that a task's result depends on; two equal ones name the same artefact.

    Attributes:
        task: name of the task.
        layer: folder of the store that its artefacts are in.
        inputs: argument -> file name -> SHA-256.
        settings: the settings that this task reads, as JSON values.
        code: module -> digest, of the modules of `recsys` that the task runs.
        versions: library -> version, of the libraries that make its numbers.
    """

    task: str
    layer: str
    inputs: dict[str, Any]
    settings: dict[str, Any]
    code: dict[str, str]
    versions: dict[str, str]

    @property
    def key(self) -> str:
        """The name of the artefact: 32 hexadecimal digits."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()[:32]

    def differences(self, other: "Fingerprint") -> list[tuple[str, Any, Any]]:
        """Return (dotted name, own value, other's value) of each leaf in which the two differ."""
        return _differences(asdict(self), asdict(other), "")


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append((f"{prefix}{name}", before, after))
    return found


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """Return library -> installed version, without importing any of them."""
    return {library: _installed(library) for library in sorted(libraries)}


_installed = cache(version)


def code_of(modules: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """Return module -> digest for `modules` and all that they import, directly or not, of `package`.

    The digest is of the syntax tree without docstrings: comments and formatting change nothing.
    Imports inside functions count.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or (package == PACKAGE and module in RESULT_NEUTRAL):
            continue
        path = file_of(module, package)
        if path is None:
            raise ModuleNotFoundError(f"{module} is no module of {package}")
        said = read_module(path, package.name)
        found[module] = said.digest
        waiting += [name for name in (*said.imports, module.rpartition(".")[0]) if file_of(name, package)]
    return dict(sorted(found.items()))
