"""JSON documents that carry their own digest, so that a changed one is found."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from recsys.errors import DamagedArtefact

SEAL = "seal"
"""The field that holds the SHA-256 of all others."""


def sealed(document: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Return a document with its digest, as JSON."""
    return json.dumps({**document, SEAL: _digest(document)}, indent=indent).encode()


def unsealed(content: bytes, name: object) -> dict[str, Any]:
    """Return the document that `sealed` wrote, without its digest.

    Args:
        content: what was read.
        name: what to call it in an error.

    Raises:
        DamagedArtefact: it is cut or changed.
    """
    try:
        document = json.loads(content)
        seal = document.pop(SEAL)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedArtefact(f"{name} cannot be read ({type(error).__name__})") from error
    if seal != _digest(document):
        raise DamagedArtefact(f"{name} has changed since it was written")
    return dict(document)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
