"""Task `encode`: ids become contiguous codes."""

from pathlib import Path

from prefect import task

from recsys.settings import Duplicates
from recsys.store import Facts, Manifest, Store
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
def encode(ratings: Manifest, titles: str | None, duplicates: Duplicates, store: str) -> Manifest:
    """Number users and items in the order of their ids.

    Args:
        ratings: what `ingest` made.
        titles: path of a file of item titles, if there is one.
        duplicates: what to do where a user rated an item more than once.
        store: folder of the artefacts.
    """

    def build(folder: Path) -> Facts:
        from recsys.data.encoding import encode as encode_ratings

        path = Store(store).path(ratings, "ratings.parquet")
        return encode_ratings(path, Path(titles) if titles else None, duplicates, folder, TaskProgress("encode"))

    return RECIPE.make(build, ratings=ratings, titles=titles, duplicates=duplicates, store=store)
