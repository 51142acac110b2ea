"""Artefacts whose costs are known."""

import json
from pathlib import Path
from typing import Any

from recsys.store.artifacts import MANIFEST, manifest_in, with_checksum
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Manifest, Store


def fit(
    inputs: dict[str, Any], *, task: str = "train_mf", seed: int = 0, known: bool = True, **settings: Any
) -> Fingerprint:
    """The fingerprint of a training, of settings that are `known` or not."""
    given = {"settings": {"epochs": 10, "embedding_size": 50, **settings}} if known else {}
    layer = "trials" if task.startswith("try") else "models"
    return Fingerprint(task, layer, inputs, {**given, "seed": seed}, code={}, versions={})


def codes(store: Store, rows: int) -> Manifest:
    """An encoded data set of so many ratings."""
    fingerprint = Fingerprint("encode", "codes", {}, {"rows": rows}, code={}, versions={})
    return keep(store, fingerprint, seconds=1.0, rows=rows)


def keep(
    store: Store, fingerprint: Fingerprint, *, seconds: float, peak_mb: float | None = None, **facts: Any
) -> Manifest:
    """Make an artefact that took so long, and whose process held so much memory."""

    def build(folder: Path) -> dict[str, Any]:
        (folder / "file.json").write_text(json.dumps(fingerprint.key))
        return facts

    made = store.make(fingerprint, build)
    place = store.root / fingerprint.layer / made["key"] / MANIFEST
    costing = {**manifest_in(place.read_bytes(), place), "seconds": seconds, "peak_mb": peak_mb}
    place.write_bytes(with_checksum(costing))
    return made
