"""Tasks `use_all` and `winner`, which make the model to use, and `predict` and `recommend`, which use it."""

from pathlib import Path
from typing import Any

from prefect import task

from recsys.models.specs import MODEL
from recsys.store.store import Facts, Manifest, Store
from recsys.winner.settings import PredictSettings, RecommendSettings
from tasks.cache import ByFingerprint, Recipe
from tasks.progress import TaskProgress

USE_ALL = Recipe(
    task="use_all",
    layer="splits",
    manifests=("training", "test"),
    code=("recsys.data.split",),
    libraries=("numpy",),
)

WINNER = Recipe(
    task="winner",
    layer="winners",
    manifests=("model", "codes", "training", "fitted"),
    settings=("name", "reason", "refitted", "seed"),
    code=("recsys.winner.examples",),
    libraries=("numpy", "pandas", "pyarrow", "scipy"),
)


@task(name="use_all", task_run_name="use all ratings", cache_policy=ByFingerprint(recipe=USE_ALL))
def use_all(training: Manifest, test: Manifest, store: str) -> Manifest:
    """Return a manifest of training rows that are all rows, the test rows among them."""

    def build(folder: Path) -> Facts:
        import numpy as np

        from recsys.data.split import keep_all

        paths = Store(store).paths(training, test)
        train, validation, held_out = (np.load(paths[name]) for name in ("train", "validation", "test"))
        return keep_all(train, validation, held_out, folder)

    return USE_ALL.make(build, training=training, test=test, store=store)


@task(name="winner", task_run_name="winner · {name}", cache_policy=ByFingerprint(recipe=WINNER))
def winner(
    name: str,
    reason: str,
    model: Manifest | Exception,
    codes: Manifest,
    training: Manifest,
    fitted: Manifest,
    refitted: bool,
    seed: int,
    store: str,
) -> Manifest:
    """Keep a trained model with ids, titles, bounds and a fallback, so that it can be used without the store.

    Args:
        name: its row in the comparison.
        reason: why it is the one to use.
        model: what was trained; an exception, why that failed, is raised.
        training: the training and validation rows, which choose the regularisation of the fallback.
        fitted: the rows that the model was fitted to; `training`, or where it was `refitted`, all.
        seed: of its training.
    """
    if isinstance(model, Exception):
        raise model

    def build(folder: Path) -> Facts:
        from recsys.winner.examples import write_examples
        from recsys.winner.folder import pack_winner

        opened = Store(store)
        about = {"name": name, "title": MODEL[name].title, "reason": reason, "refitted": refitted, "seed": seed}
        arrays = (opened.paths(codes, rows) for rows in (training, fitted))
        about |= {"settings": model["facts"]["settings"]}
        found = pack_winner(folder, opened.files(model), about, *arrays)
        write_examples(folder)
        return found

    given: dict[str, Any] = {"model": model, "codes": codes, "training": training, "fitted": fitted}
    return WINNER.make(build, **given, name=name, reason=reason, refitted=refitted, seed=seed, store=store)


USED = dict.fromkeys(
    ("winner", "pairs", "out", "users", "items", "exclude_rated", "ratings_of_new_users", "store"), True
)
"""Paths of the settings: what is in these files counts."""

PREDICT = Recipe(
    task="predict",
    layer="predictions",
    files=("about", "pairs", "new_users"),
    settings=("settings", "ending"),
    unread=USED,
    code=("recsys.winner.predictions",),
    libraries=("numpy", "pandas", "pyarrow"),
)


@task(name="predict", task_run_name="predict", cache_policy=ByFingerprint(recipe=PREDICT))
def predict(
    about: str, pairs: str, new_users: str | None, settings: PredictSettings, ending: str, store: str
) -> Manifest:
    """Predict pairs by the winner whose winner.json is `about`; facts are what is said of it.

    The file of the manifest ends with `ending`; `new_users` is a file of ratings of users to be folded in, if there is
    one.
    """

    def build(folder: Path) -> Facts:
        from recsys.winner.predictions import predict_file
        from recsys.winner.recommender import Recommender

        files = {"pairs": pairs, "ratings_of_new_users": new_users}
        asked = settings.model_copy(update={**files, "out": str(folder / f"predictions{ending}")})
        predicted = predict_file(Recommender.load(Path(about).parent), asked, TaskProgress("predict"))
        return {"said": predicted.sentences}

    given: dict[str, Any] = {"about": about, "pairs": pairs, "new_users": new_users}
    return PREDICT.make(build, **given, settings=settings, ending=ending, store=store)


RECOMMEND = Recipe(
    task="recommend",
    layer="lists",
    files=("about", "users", "items", "rated", "new_users"),
    settings=("settings", "ids", "ending"),
    unread=USED,
    code=("recsys.winner.lists",),
    libraries=("numpy", "pandas", "pyarrow"),
)


@task(name="recommend", task_run_name="recommend", cache_policy=ByFingerprint(recipe=RECOMMEND))
def recommend(
    about: str,
    users: str | None,
    ids: str | None,
    items: str | None,
    rated: str | None,
    new_users: str | None,
    settings: RecommendSettings,
    ending: str,
    store: str,
) -> Manifest:
    """Write lists by the winner whose winner.json is `about`; facts are what is said of them.

    The file of the manifest ends with `ending`.

    Args:
        users: file of users; None where `ids` has their ids, or all.
        items: file of the items that may be listed, if there is one.
        rated: file of the pairs that are left out, if there is one.
        new_users: file of ratings of users to be folded in, if there is one.
    """

    def build(folder: Path) -> Facts:
        from recsys.winner.lists import write_lists
        from recsys.winner.recommender import Recommender

        files = {"users": users or ids, "items": items, "exclude_rated": rated, "ratings_of_new_users": new_users}
        asked = settings.model_copy(update={**files, "out": str(folder / f"lists{ending}")})
        return {"said": [write_lists(Recommender.load(Path(about).parent), asked, TaskProgress("recommend"))]}

    given: dict[str, Any] = {"about": about, "users": users, "items": items, "rated": rated, "new_users": new_users}
    return RECOMMEND.make(build, **given, ids=ids, settings=settings, ending=ending, store=store)
