"""Task `score`: the test ratings of a further split are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task

from recsys.models.specs import MODEL
from recsys.settings import Settings, SplitSettings
from recsys.store.store import Facts, Manifest, Store
from tasks.cache import ByFingerprint, Recipe
from tasks.progress import TaskProgress

RECIPE = Recipe(
    task="score",
    layer="scores",
    manifests=("data", "models"),
    settings=("split", "settings"),
    unread={
        **dict.fromkeys(("data", "split", "tuning", "ranking", "output", "engine", "scaling", "refresh"), True),
        **dict.fromkeys(MODEL, True),
        "evidence": {"seeds", "splits", "splits_also"},
    },
    code=("recsys.evaluation.evaluate",),
    libraries=("keras", "numpy", "scikit-learn", "scipy", "tensorflow"),
)


@task(
    name="score", task_run_name="score · {split.split_by} {split.split_seed}", cache_policy=ByFingerprint(recipe=RECIPE)
)
def score(
    data: Mapping[str, Manifest],
    models: Mapping[str, Mapping[str, Any]],
    split: SplitSettings,
    settings: Settings,
    store: str,
) -> Manifest:
    """Score the models on the test ratings of a further split.

    Args:
        data: manifests of `codes`, `training` and `test`.
        models: row -> its fits, each a manifest or why there is none.
        split: what split the ratings so.
        settings: the run's.
        store: folder of the artefacts.
    """

    def build(folder: Path) -> Facts:
        from recsys.evaluation.evaluate import score_split

        return score_split(Store(store), data, models, split, settings, folder, TaskProgress("score"))

    return RECIPE.make(build, data=data, models=models, split=split, settings=settings, store=store)
