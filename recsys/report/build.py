"""From a run's artefacts to the numbers and plots of its report."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.blocks import BLOCK, Scratch, give_back
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.histories import load_history_fits
from recsys.evaluation.inputs import Models, load_models, load_ratings
from recsys.evaluation.learning_curve import load_shares
from recsys.evaluation.results import Comparison, OtherSplit, Tuning, winners_of
from recsys.progress import Progress, silent
from recsys.report.answer import verdict_of
from recsys.report.checks import with_checks
from recsys.report.contents import draw_plots
from recsys.report.manifest import run_manifest
from recsys.report.sections.results import table_csv
from recsys.report.sections.tuning import trials_csv, trials_table
from recsys.report.svg import save_plots
from recsys.settings import Settings
from recsys.store.store import Facts, Manifest, Store

READ = (
    "quarantined_rows",
    "not_rated_rows",
    "unreadable_timestamps",
    "unreadable_time",
    "source_columns",
    "found_by",
    "ignored_columns",
)
"""What the report tells of the reading of the file."""


def write_report(comparison: Comparison, predictions: pd.DataFrame, folder: Path, *, plots: bool = True) -> None:
    """Write comparison.json, comparison.csv, plots.json and, with `plots`, plots/*.svg and *.png into a folder.

    Where settings were searched, also trials.parquet and trials.csv. The same comparison and predictions, as
    `draw_plots` takes them, give the same bytes.
    """
    texts = {"comparison.json": comparison.model_dump_json(indent=2) + "\n", "comparison.csv": table_csv(comparison)}
    if comparison.tuning:
        texts["trials.csv"] = trials_csv(comparison)
        pq.write_table(trials_table(comparison), folder / "trials.parquet", compression="zstd")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    save_plots(draw_plots(comparison, predictions) if plots else [], folder)


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write them in blocks, as a copy of all in Arrow's memory would be gigabytes of 20 million test ratings."""
    ids = {name: predictions[name].cat.categories.dtype for name in ("user", "item")}
    schema = pa.Schema.from_pandas(predictions.iloc[:1].astype(ids), preserve_index=False)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(predictions), BLOCK):
            block = predictions.iloc[start : start + BLOCK].astype(ids)
            writer.write_table(pa.Table.from_pandas(block, schema, preserve_index=False))
            give_back(*(predictions[name].to_numpy() for name in predictions.columns[2:]))


def build_report(
    store: Store,
    data: Mapping[str, Manifest],
    models: Models,
    tuning: Sequence[Tuning],
    others: Mapping[str, Manifest],
    histories: Models,
    learning_curve: Models,
    left_out: Mapping[str, str],
    settings: Settings,
    source: Mapping[str, Any],
    folder: Path,
    progress: Progress = silent,
) -> Facts:
    """Write what a report is made of, its predictions and the manifest of the run into `folder`.

    `data` are manifests of `ratings`, `codes`, `training` and `test`; `models` the fits of each row, each a manifest or
    why there is none; `others` what `score_split` made of other splits; `histories` the fits of models by whose
    histories they read; `learning_curve` the rows and the fits of both winners by share of the ratings; `left_out` why
    models did not take part; `source` the `label` and `licence` of the ratings.
    """
    trained, failed = load_models(store, models)
    comparison, predictions = evaluate(
        load_ratings(store, data),
        trained,
        failed,
        protocol=settings.protocol,
        seed=settings.seed,
        split=settings.split,
        evidence=settings.evidence,
        ranking=settings.ranking,
        data={
            "source": source["label"],
            "licence": source["licence"],
            **{name: data["ratings"]["facts"][name] for name in READ},
            "repeated_pairs": data["codes"]["facts"]["repeated_pairs"],
            "duplicates": settings.data.duplicates,
            "period": data["codes"]["facts"]["period"],
            "apart": data["codes"]["facts"]["apart"],
            "ties": data["training"]["facts"].get("ties"),
        },
        winners=winners_of(tuning),
        tuning=tuning,
        other_splits=[OtherSplit.model_validate(made["facts"]) for made in others.values()],
        histories=load_history_fits(store, histories),
        shares=load_shares(store, learning_curve),
        left_out=left_out,
        scratch=Scratch(folder.parent),
        progress=progress,
    )
    comparison = comparison.model_copy(update={"verdict": verdict_of(comparison)})
    progress(len(trained), len(trained) + 1, "drawing")
    comparison = with_checks(comparison)
    write_report(comparison, predictions, folder, plots=settings.output.plots)
    write_predictions(predictions, folder / "predictions.parquet")
    if data["ratings"]["facts"]["quarantined_rows"]:
        shutil.copyfile(store.path(data["ratings"], "quarantine.csv"), folder / "quarantine.csv")
    rows = (*models.items(), *histories.items(), *learning_curve.items())
    made = {f"{name} {fit}": manifest for name, fits in rows for fit, manifest in fits.items()}
    artefacts = {**data, **{name: manifest for name, manifest in made.items() if not isinstance(manifest, Exception)}}
    (folder / "manifest.json").write_text(run_manifest(settings, artefacts, comparison).to_json(), encoding="utf-8")
    progress(1, 1, "written")
    return {"models": len(trained), "failed": len(failed)}
