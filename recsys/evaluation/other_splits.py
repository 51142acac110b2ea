"""The same comparison under another split."""

from collections.abc import Mapping
from pathlib import Path

from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.inputs import Models, load_models, load_ratings
from recsys.evaluation.results import OtherScore, OtherSplit
from recsys.progress import Progress, silent
from recsys.settings import RankingSettings, Settings, SplitSettings
from recsys.store.store import Facts, Manifest, Store


def score_split(
    store: Store,
    data: Mapping[str, Manifest],
    models: Models,
    split: SplitSettings,
    settings: Settings,
    folder: Path,
    progress: Progress = silent,
) -> Facts:
    """Read the test ratings of a split, write scores.json (an `OtherSplit`) into `folder` and return its content.

    Args:
        store: where the artefacts are.
        data: manifests of `codes`, `training` and `test`.
        models: row -> its fits.
        split: what split the ratings so.
        settings: the run's; evidence, protocol and seed are read.
        folder: an existing folder.
        progress: told after each model.
    """
    trained, failed = load_models(store, models)
    comparison, _ = evaluate(
        load_ratings(store, data),
        trained,
        failed,
        protocol=settings.protocol,
        seed=settings.seed,
        split=split,
        evidence=settings.evidence,
        ranking=RankingSettings(ranking_users=0),
        data={
            "source": "",
            "licence": None,
            "quarantined_rows": 0,
            "ignored_columns": [],
            "repeated_pairs": 0,
            "duplicates": settings.data.duplicates,
        },
        progress=progress,
    )
    found = OtherSplit(
        split_by=split.split_by,
        split_seed=split.split_seed,
        test_rows=comparison.data.test_rows,
        cold_test_rows=comparison.data.cold_test_rows,
        rating_sd=comparison.data.rating_sd,
        scores=[
            OtherScore(name=row.name, title=row.title, mse=row.mse)
            for row in (*comparison.models, *comparison.combinations, *comparison.baselines)
        ],
        differences=comparison.differences,
    )
    (folder / "scores.json").write_text(found.model_dump_json(indent=1) + "\n")
    return found.model_dump(mode="json")
