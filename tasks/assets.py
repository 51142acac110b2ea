"""Lineage: what was made from what, as Prefect's asset events."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect.context import TaskRunContext
from prefect.events import emit_event

from recsys.store import Manifest

RESTRICTED = re.compile(r"[\s#?&%\"'<>\[\]{}|\\^`]")
"""What Prefect allows in no key of an asset."""

LONGEST_KEY = 512


def asset(path: Path) -> str:
    """Return the key of the asset that lies at a path."""
    return f"file://{RESTRICTED.sub('-', str(path.absolute()))}"[:LONGEST_KEY]


def folder_of(manifest: Manifest, store: Path) -> Path:
    """Return where an artefact of the store lies, one that has files."""
    return store.joinpath(*Path(manifest["files"][0]["path"]).parts[:2])


def tell_made(path: Path, name: str, upstream: Iterable[Path], **payload: Any) -> None:
    """Tell Prefect that what lies at `path` was made in this task run from what lies at the paths `upstream`.

    Outside of a task run nobody is told.

    Args:
        path: of the file or folder that was made.
        name: what people call it.
        upstream: what it was made from.
        payload: what else there is to say.
    """
    if TaskRunContext.get() is None:
        return
    emit_event(
        "prefect.asset.materialization.succeeded",
        {"prefect.resource.id": asset(path), "prefect.resource.name": name},
        related=[
            {"prefect.resource.id": asset(source), "prefect.resource.role": "asset"}
            for source in dict.fromkeys(upstream)
        ],
        payload=payload,
    )
