"""Task `split`: which ratings are fitted, which choose, which judge."""

from pathlib import Path

from prefect import task

from recsys.settings import Protocol, SplitSettings
from recsys.store import Facts, Manifest, Store, only
from tasks.caching import ByFingerprint, Recipe

RECIPE = Recipe(
    task="split",
    layer="splits",
    manifests=("codes", "times"),
    settings=("settings", "protocol"),
    code=("recsys.data.splitting",),
    libraries=("numpy", "scikit-learn"),
)


@task(
    name="split",
    task_run_name="split · {protocol} · {settings.split_by} {settings.split_seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def split(
    codes: Manifest, times: Manifest | None, settings: SplitSettings, protocol: Protocol, store: str
) -> dict[str, Manifest]:
    """Draw the training, validation and test rows.

    Args:
        codes: the codes that `encode` made.
        times: the times that `encode` found, None for a split that does not read them.
        settings: how to split, sizes and random state.
        protocol: `fair` or `notebook`.
        store: folder of the artefacts.

    Returns:
        `training`: a manifest of training and validation rows, which knows nothing of the test
        rows; `test`: a manifest of these.
    """

    def build(folder: Path) -> Facts:
        import numpy as np

        from recsys.data.splitting import split as split_rows

        paths = Store(store).paths(codes, times) if times else {}
        arrays = {name: np.load(paths[name], mmap_mode="r") for name in ("user", "timestamp") if name in paths}
        rows = codes["facts"]["rows"]
        return split_rows(rows, settings, protocol, folder, user=arrays.get("user"), time=arrays.get("timestamp"))

    made = RECIPE.make(build, codes=codes, times=times, settings=settings, protocol=protocol, store=store)
    return {"training": only(made, "train.npy", "validation.npy"), "test": only(made, "test.npy")}
