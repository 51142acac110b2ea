"""The services of deployments/compose.yaml, read as Compose reads them."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "deployments" / "compose.yaml"

Service = dict[str, Any]
"""A service as it stands in the file."""

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")

SECRETS = {"POSTGRES_PASSWORD": "a p@ss/word%", "PREFECT_API_AUTH_STRING": "team:al:so secret"}
"""What has to be in the environment; with characters that are easily lost on the way."""


def document(**environment: str) -> dict[str, Any]:
    """Return the whole file, its variables replaced by those of `environment` or by their defaults.

    Raises:
        KeyError: a variable has neither.
    """

    def value(found: re.Match[str]) -> str:
        if found["kind"] == "-":
            return environment.get(found["name"], found["text"])
        return environment[found["name"]]

    def replaced(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: replaced(inner) for name, inner in part.items()}
        if isinstance(part, list):
            return [replaced(inner) for inner in part]
        return VARIABLE.sub(value, part) if isinstance(part, str) else part

    whole: dict[str, Any] = replaced(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return whole


def services(**environment: str) -> dict[str, Service]:
    """Return the services, variables replaced."""
    found: dict[str, Service] = document(**environment)["services"]
    return found
