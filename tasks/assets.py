"""Lineage: what was made from what, as Prefect's asset events."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect.context import TaskRunContext
from prefect.events import emit_event

from recsys.artefacts import placed
from recsys.store import Manifest, Store

RESTRICTED = re.compile(r"[\s#?&%\"'<>\[\]{}|\\^`]")
"""What Prefect allows in no key of an asset."""

LONGEST_KEY = 512


def asset(path: Path) -> str:
    """Return the key of the asset that lies at a path."""
    return _key(f"file://{path.absolute()}")


def artefact(store: Store, manifest: Manifest) -> str:
    """Return the key of an artefact that has files: where all machines that share the store find it."""
    folder, _ = placed(manifest["files"][0])
    return _key(f"{store.mirror.remote.url}/{folder}") if store.mirror else asset(store.root / folder)


def tell_made(made: str, name: str, upstream: Iterable[str], **payload: Any) -> None:
    """Tell Prefect that an asset was made in this task run from others.

    Outside of a task run nobody is told.

    Args:
        made: key of what was made.
        name: what people call it.
        upstream: keys of what it was made from.
        payload: what else there is to say.
    """
    if TaskRunContext.get() is None:
        return
    emit_event(
        "prefect.asset.materialization.succeeded",
        {"prefect.resource.id": made, "prefect.resource.name": name},
        related=[
            {"prefect.resource.id": source, "prefect.resource.role": "asset"} for source in dict.fromkeys(upstream)
        ],
        payload=payload,
    )


def _key(url: str) -> str:
    return RESTRICTED.sub("-", url)[:LONGEST_KEY]
