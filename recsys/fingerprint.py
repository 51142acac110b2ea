"""What a result was made from: content of its inputs, settings, code and library versions."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recsys.modules import file_of, read_module

PACKAGE = Path(__file__).parent

WITHOUT_NUMBERS = {
    "recsys.backend",
    "recsys",
    "recsys.artefacts",
    "recsys.errors",
    "recsys.fingerprint",
    "recsys.history",
    "recsys.leftovers",
    "recsys.mirror",
    "recsys.modules",
    "recsys.progress",
    "recsys.pruning",
    "recsys.remote",
    "recsys.room",
    "recsys.seals",
    "recsys.settings",
    "recsys.store",
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
        if module in found or (package == PACKAGE and module in WITHOUT_NUMBERS):
            continue
        path = file_of(module, package)
        if path is None:
            raise ModuleNotFoundError(f"{module} is no module of {package}")
        said = read_module(path, package.name)
        found[module] = said.digest
        waiting += [name for name in (*said.imports, module.rpartition(".")[0]) if file_of(name, package)]
    return dict(sorted(found.items()))
