"""Task `encode`: ids become contiguous codes."""

from pathlib import Path

from prefect import task

from recsys.settings import Duplicates
from recsys.store import Facts, Manifest, Store, only
from tasks.caching import ByFingerprint, Recipe
from tasks.progress import TaskProgress

RECIPE = Recipe(
    task="encode",
    layer="codes",
    manifests=("ratings",),
    files=("titles",),
    settings=("duplicates",),
    code=("recsys.data.encoding",),
    libraries=("numpy", "pyarrow"),
)


@task(name="encode", task_run_name="encode", cache_policy=ByFingerprint(recipe=RECIPE))
def encode(ratings: Manifest, titles: str | None, duplicates: Duplicates, store: str) -> dict[str, Manifest]:
    """Number users and items in the order of their ids.

    Args:
        ratings: what `ingest` made.
        titles: path of a file of item titles, if there is one.
        duplicates: what to do where a user rated an item more than once.
        store: folder of the artefacts.

    Returns:
        `codes`: a manifest of codes, ratings and ids, which knows nothing of the times; `times`: a
        manifest of these, without a file where the ratings have none.
    """

    def build(folder: Path) -> Facts:
        from recsys.data.encoding import encode as encode_ratings

        path = Store(store).path(ratings, "ratings.parquet")
        return encode_ratings(path, Path(titles) if titles else None, duplicates, folder, TaskProgress("encode"))

    made = RECIPE.make(build, ratings=ratings, titles=titles, duplicates=duplicates, store=store)
    codes = only(made, "user.npy", "item.npy", "rating.npy", "users.parquet", "items.parquet")
    return {"codes": codes, "times": only(made, "timestamp.npy")}
