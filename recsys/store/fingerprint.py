"""What a result was made from: content of its inputs, settings, code and library versions.

Parsing a hundred modules takes half a second, too long for a fully cached run, so their digests are saved, with the
size, time of change and inode of each file.
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
from recsys.store.artifacts import verified, with_checksum

PACKAGE = Path(__file__).parent.parent

RESULT_NEUTRAL = {
    "recsys.config",
    "recsys.models.settings",
    "recsys",
    "recsys.arrays",
    "recsys.backend",
    "recsys.data.settings",
    "recsys.energy",
    "recsys.errors",
    "recsys.memory",
    "recsys.progress",
    "recsys.settings",
    "recsys.store.artifacts",
    "recsys.store.compared",
    "recsys.store.costs",
    "recsys.store.fingerprint",
    "recsys.store.prune",
    "recsys.store.remote",
    "recsys.store.run_history",
    "recsys.store.store",
}
"""Modules that change no number: the settings' values are part of the fingerprint themselves, and of the arrays that
tasks read none has to be converted."""

SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file is sure to show in its time."""

PARSE_ATTEMPTS = 10


@dataclass(frozen=True)
class Fingerprint:
    """Everything that a task's result depends on; two equal ones name the same artefact.

    Its artefacts are in the folder `layer` of the store. `inputs` is argument -> file name -> SHA-256, `settings` has
    those that the task reads, as JSON values, `code` is module of `recsys` that the task runs -> digest, and `versions`
    is library that makes its numbers -> version.
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
        return differing(asdict(self), asdict(other))


def differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (dotted name, old value, new value) of each leaf in which the two differ, None where it is missing."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differing(before, after, f"{prefix}{name}.")
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
    Imports inside functions count; modules that are `RESULT_NEUTRAL` are left out, with their imports.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (package == PACKAGE and name in RESULT_NEUTRAL):
            continue
        if (path := _file_of(name, package)) is None:
            raise ModuleNotFoundError(f"{name} is no module of {package}")
        module = read_module(path, package.name)
        found[name] = module.digest
        waiting += [other for other in (*module.imports, name.rpartition(".")[0]) if _file_of(other, package)]
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class ModuleDigest:
    """Size, time of change and inode of a source file, its digest, and the names it imports from its package.

    Some of the names are no modules.
    """

    state: tuple[int, int, int]
    digest: str
    imports: tuple[str, ...]


def read_module(path: Path, package: str) -> ModuleDigest:
    """Return the digest of a source file of a package, parsing it unless that was done before.

    Raises ImportError if it has a relative import, which is not followed.
    """
    found = path.stat()
    state = (found.st_size, found.st_mtime_ns, found.st_ino)
    known = _DIGESTS.get(path)
    if known and known.state == state:
        return known
    module = _DIGESTS[path] = ModuleDigest(state, *_parse(path, package))
    _UNSAVED.add(path)
    return module


def load_digests(place: str, read: Callable[[], bytes | None]) -> None:
    """Load the digests that an earlier process has saved; those of another Python, or damaged ones, are ignored.

    Each place is read once, by `read`, which returns None if there are none.
    """
    if place in _LOADED:
        return
    _LOADED.add(place)
    with suppress(DamagedArtefact, KeyError):
        document = verified(read() or b"", place)
        if document["python"] == sys.version:
            for path, saved in document["modules"].items():
                size, changed, inode = saved["state"]
                module = ModuleDigest((size, changed, inode), saved["digest"], tuple(saved["imports"]))
                _DIGESTS.setdefault(Path(path), module)


def digests_to_save() -> bytes | None:
    """Return all digests in the form that `load_digests` reads; None if no module was parsed since the last time."""
    if not _UNSAVED:
        return None
    _UNSAVED.clear()
    settled = time.time_ns() - SETTLED
    modules = {str(path): asdict(module) for path, module in list(_DIGESTS.items()) if module.state[1] < settled}
    return with_checksum({"python": sys.version, "modules": modules})


@cache
def _file_of(module: str, package: Path) -> Path | None:
    """The file of a module of a package, None if it has none."""
    head, *parts = module.split(".")
    if head != package.name:
        return None
    place = package.joinpath(*parts)
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _parse(path: Path, package: str) -> tuple[str, tuple[str, ...]]:
    tree = _syntax_tree(path.read_text(encoding="utf-8"))
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


def _syntax_tree(source: str) -> ast.Module:
    """The syntax tree of a module, also where other threads parse: CPython 3.11 counts all threads' depths together."""
    with _PARSING:
        for _ in range(PARSE_ATTEMPTS - 1):
            with suppress(SystemError):  # TensorFlow parses too, without our lock
                return ast.parse(source)
        return ast.parse(source)


_PARSING = threading.Lock()
_DIGESTS: dict[Path, ModuleDigest] = {}
_UNSAVED: set[Path] = set()
_LOADED: set[str] = set()
