"""Tasks `download`, `ingest`, `encode` and `split`: from a ratings file to training, validation and test rows."""

from dataclasses import asdict
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys.data.settings import DataSettings, Duplicates
from recsys.data.source import locate
from recsys.settings import Protocol, SplitSettings
from recsys.store.store import Facts, Manifest, Store, only
from tasks.cache import ByFingerprint, Recipe
from tasks.progress import TaskProgress
from tasks.retries import RETRYING


@task(name="download", task_run_name="download {data.dataset}", cache_policy=NO_CACHE, persist_result=False, **RETRYING)
def download(data: DataSettings) -> None:
    """Download a public data set, unless it is in the download folder; raise DatasetUnavailable if that fails."""
    locate(data, TaskProgress("download"))


INGEST = Recipe(
    task="ingest",
    layer="ratings",
    files=("ratings",),
    settings=("data",),
    unread={"ratings": True, "dataset": True, "downloads": True, "duplicates": True},
    code=("recsys.data.ingest",),
    libraries=("pyarrow",),
)


@task(name="ingest", task_run_name="ingest", cache_policy=ByFingerprint(recipe=INGEST))
def ingest(ratings: str, data: DataSettings, store: str) -> Manifest:
    """Read the file `ratings`, of any supported format, into ratings.parquet."""

    def build(folder: Path) -> Facts:
        from recsys.data.ingest import ingest as read_ratings

        return asdict(read_ratings(Path(ratings), data, folder, TaskProgress("ingest")))

    return INGEST.make(build, ratings=ratings, data=data, store=store)


ENCODE = Recipe(
    task="encode",
    layer="codes",
    manifests=("ratings",),
    files=("titles",),
    settings=("duplicates",),
    code=("recsys.data.encode",),
    libraries=("numpy", "pyarrow"),
)


@task(name="encode", task_run_name="encode", cache_policy=ByFingerprint(recipe=ENCODE))
def encode(ratings: Manifest, titles: str | None, duplicates: Duplicates, store: str) -> dict[str, Manifest]:
    """Number users and items in the order of their ids, with titles from a file if there is one.

    Returns `codes`, a manifest of codes, ratings and ids, and `times`, a manifest without a file where there are none.
    """

    def build(folder: Path) -> Facts:
        from recsys.data.encode import encode as encode_ratings

        path = Store(store).path(ratings, "ratings.parquet")
        made = encode_ratings(path, Path(titles) if titles else None, duplicates, folder, TaskProgress("encode"))
        return {**made, "unreadable_time": ratings["facts"]["unreadable_time"]}

    made = ENCODE.make(build, ratings=ratings, titles=titles, duplicates=duplicates, store=store)
    codes = only(made, "user.npy", "item.npy", "rating.npy", "users.parquet", "items.parquet")
    return {"codes": codes, "times": only(made, "timestamp.npy")}


SUBSAMPLE = Recipe(
    task="subsample",
    layer="splits",
    manifests=("training",),
    settings=("share", "seed"),
    code=("recsys.data.subsample",),
    libraries=("numpy",),
)


@task(
    name="subsample",
    task_run_name="draw {share:.0%} of the training ratings",
    cache_policy=ByFingerprint(recipe=SUBSAMPLE),
)
def subsample(training: Manifest, share: float, seed: int, store: str) -> Manifest:
    """Return a manifest of a share of the training and validation rows; shares by the same seed are nested."""

    def build(folder: Path) -> Facts:
        import numpy as np

        from recsys.data.subsample import subsample as draw

        paths = Store(store).paths(training)
        return draw(np.load(paths["train"]), np.load(paths["validation"]), share, seed, folder)

    return SUBSAMPLE.make(build, training=training, share=share, seed=seed, store=store)


SPLIT = Recipe(
    task="split",
    layer="splits",
    manifests=("codes", "times"),
    settings=("settings", "protocol"),
    code=("recsys.data.split",),
    libraries=("numpy", "scikit-learn"),
)


@task(
    name="split",
    task_run_name="split · {protocol} · {settings.split_by} {settings.split_seed}",
    cache_policy=ByFingerprint(recipe=SPLIT),
)
def split(
    codes: Manifest, times: Manifest | None, settings: SplitSettings, protocol: Protocol, store: str
) -> dict[str, Manifest]:
    """Draw the training, validation and test rows, by their times if the split reads these, and pair by pair.

    Returns `training`, a manifest of training and validation rows, and `test`, a manifest of the test rows alone.
    """

    def build(folder: Path) -> Facts:
        import numpy as np

        from recsys.data.split import split as split_rows

        rows, repeats = codes["facts"]["rows"], codes["facts"]["pairs"] < codes["facts"]["rows"]
        paths = Store(store).paths(codes, *([times] if times else [])) if times or repeats else {}
        arrays = {name: np.load(paths[name], mmap_mode="r") for name in ("user", "item", "timestamp") if name in paths}
        columns = {"user": arrays.get("user"), "item": arrays.get("item") if repeats else None}
        columns |= {"time": arrays.get("timestamp")}
        unreadable = codes["facts"]["unreadable_time"]
        return split_rows(rows, settings, protocol, folder, **columns, unreadable=unreadable)

    made = SPLIT.make(build, codes=codes, times=times, settings=settings, protocol=protocol, store=store)
    return {"training": only(made, "train.npy", "validation.npy"), "test": only(made, "test.npy")}
