"""From a run's artefacts to its report."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recsys.evaluation.evaluate import Ratings, TrainedModel, evaluate
from recsys.progress import Progress, silent
from recsys.report.run_manifest import run_manifest
from recsys.report.write import write_report
from recsys.settings import Settings
from recsys.store import Facts, Manifest, Store


def build_report(
    store: Store,
    data: Mapping[str, Manifest],
    models: Mapping[str, Manifest | Exception],
    settings: Settings,
    source: Mapping[str, Any],
    folder: Path,
    progress: Progress = silent,
) -> Facts:
    """Write the report, its predictions and the manifest of the run into `folder`.

    Args:
        store: where the artefacts are.
        data: manifests of `ratings`, `codes`, `training` and `test`.
        models: name -> manifest of the trained model, or why there is none.
        settings: the run's.
        source: `label` and `licence` of the ratings.
        folder: an existing folder.
        progress: told after each model.
    """
    arrays = store.paths(data["codes"], data["training"], data["test"])
    ratings = Ratings(
        **{name: np.load(arrays[name], mmap_mode="r") for name in ("user", "item", "rating", "train", "validation")},
        test=np.load(arrays["test"], mmap_mode="r"),
        users=arrays["users"],
        items=arrays["items"],
    )
    trained = {name: made for name, made in models.items() if not isinstance(made, Exception)}
    comparison, predictions = evaluate(
        ratings,
        {name: TrainedModel(store.path(made, "model.keras"), made["facts"]) for name, made in trained.items()},
        {name: str(made) for name, made in models.items() if isinstance(made, Exception)},
        protocol=settings.protocol,
        seed=settings.seed,
        split=settings.split,
        evidence=settings.evidence,
        ranking=settings.ranking,
        data={
            "source": source["label"],
            "licence": source["licence"],
            "quarantined_rows": data["ratings"]["facts"]["quarantined_rows"],
            "ignored_columns": data["ratings"]["facts"]["ignored_columns"],
            "repeated_pairs": data["codes"]["facts"]["repeated_pairs"],
            "duplicates": settings.data.duplicates,
        },
        progress=progress,
    )
    progress(len(trained), len(trained) + 1, "drawing")
    write_report(comparison, predictions, folder)
    predictions.to_parquet(folder / "predictions.parquet", index=False, compression="zstd")
    if data["ratings"]["facts"]["quarantined_rows"]:
        shutil.copyfile(store.path(data["ratings"], "quarantine.csv"), folder / "quarantine.csv")
    described = run_manifest(settings, {**data, **trained}, comparison)
    (folder / "manifest.json").write_text(described.to_json(), encoding="utf-8")
    progress(1, 1, "written")
    return {"models": len(trained), "failed": len(models) - len(trained)}
