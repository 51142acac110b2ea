"""Task `split`: which ratings are fitted, which choose, which judge."""

from pathlib import Path

from prefect import task

from recsys.settings import Protocol, SplitSettings
from recsys.store import Facts, Manifest, only
from tasks.caching import ByFingerprint, Recipe

RECIPE = Recipe(
    task="split",
    layer="splits",
    manifests=("codes",),
    settings=("settings", "protocol"),
    code=("recsys.data.splitting",),
    libraries=("numpy", "scikit-learn"),
)


@task(name="split", task_run_name="split-{protocol}", cache_policy=ByFingerprint(recipe=RECIPE))
def split(codes: Manifest, settings: SplitSettings, protocol: Protocol, store: str) -> dict[str, Manifest]:
    """Draw the training, validation and test rows.

    Args:
        codes: what `encode` made.
        settings: sizes and random state.
        protocol: `fair` or `notebook`.
        store: folder of the artefacts.

    Returns:
        `training`: a manifest of training and validation rows, which knows nothing of the test
        rows; `test`: a manifest of these.
    """

    def build(folder: Path) -> Facts:
        from recsys.data.splitting import split as split_rows

        return split_rows(codes["facts"]["rows"], settings, protocol, folder)

    made = RECIPE.make(build, codes=codes, settings=settings, protocol=protocol, store=store)
    return {"training": only(made, "train.npy", "validation.npy"), "test": only(made, "test.npy")}
