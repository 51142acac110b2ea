"""Task `ingest`: the ratings file becomes parquet."""

from dataclasses import asdict
from pathlib import Path

from prefect import task

from recsys.settings import DataSettings
from recsys.store import Facts, Manifest
from tasks.caching import ByFingerprint, Recipe
from tasks.progress import TaskProgress

RECIPE = Recipe(
    task="ingest",
    layer="ratings",
    files=("ratings",),
    settings=("data",),
    unread={"ratings": True, "dataset": True, "downloads": True, "duplicates": True},
    code=("recsys.data.reading",),
    libraries=("pyarrow",),
)


@task(name="ingest", task_run_name="ingest", cache_policy=ByFingerprint(recipe=RECIPE))
def ingest(ratings: str, data: DataSettings, store: str) -> Manifest:
    """Read a ratings file, whatever its form, into ratings.parquet.

    Args:
        ratings: path of the file.
        data: how to read it.
        store: folder of the artefacts.
    """

    def build(folder: Path) -> Facts:
        from recsys.data.reading import ingest as read_ratings

        return asdict(read_ratings(Path(ratings), data, folder, TaskProgress("ingest")))

    return RECIPE.make(build, ratings=ratings, data=data, store=store)
