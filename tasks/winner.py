"""Tasks `use_all`, `blend` and `winner`, which make the model to use; `predict` and `recommend`, which use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task

from recsys.models.specs import ROW
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

BLEND = Recipe(
    task="blend",
    layer="blends",
    manifests=("chosen", "codes", "training", "fitted"),
    code=("recsys.winner.weights",),
    libraries=("numpy", "pandas", "pyarrow", "scipy"),
)

WINNER = Recipe(
    task="winner",
    layer="winners",
    manifests=("models", "blend", "codes", "training", "fitted"),
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


@task(name="blend", task_run_name="blend", cache_policy=ByFingerprint(recipe=BLEND))
def blend(
    chosen: Mapping[str, Manifest | Exception], codes: Manifest, training: Manifest, fitted: Manifest, store: str
) -> Manifest:
    """Weigh the models and baselines on the validation ratings; facts are `weights` by row, and the `mean`.

    Args:
        chosen: row -> the fit of each model to the training rows; those that failed have no weight.
        training: the training and validation rows.
        fitted: the rows that the baselines are fitted to.
    """

    def build(folder: Path) -> Facts:
        from recsys.winner.weights import write_weights

        opened = Store(store)
        made = {name: opened.paths(fit) for name, fit in chosen.items() if not isinstance(fit, Exception)}
        validation = {name: files["validation"] for name, files in made.items() if "validation" in files}
        return write_weights(folder, validation, opened.paths(codes, training), opened.paths(codes, fitted))

    given: dict[str, Any] = {"chosen": chosen, "codes": codes, "training": training, "fitted": fitted}
    return BLEND.make(build, **given, store=store)


@task(name="winner", task_run_name="winner · {name}", cache_policy=ByFingerprint(recipe=WINNER))
def winner(
    name: str,
    reason: str,
    models: Mapping[str, Mapping[str, Manifest | Exception]],
    blend: Manifest | Exception | None,
    codes: Manifest,
    training: Manifest,
    fitted: Manifest,
    refitted: bool,
    seed: int,
    store: str,
) -> Manifest:
    """Keep a model or a blend with ids, titles, bounds and a fallback, so that it can be used without the store.

    Args:
        name: its row in the comparison.
        reason: why it is the one to use.
        models: row -> its fits by seed, of the model or of those in the blend; an exception, why one failed, is raised.
        blend: what `blend` made; None for a model.
        training: the training and validation rows, which choose the regularisation of the fallback.
        fitted: the rows that the model was fitted to; `training`, or where it was `refitted`, all.
        seed: of the model's training, or of the first fits of the blend.
    """
    if isinstance(blend, Exception):
        raise blend
    fits: dict[str, list[Manifest]] = {row: [] for row in models}
    for row, of_row in models.items():
        for fit in of_row.values():
            if isinstance(fit, Exception):
                raise fit
            fits[row].append(fit)

    def build(folder: Path) -> Facts:
        from recsys.winner.examples import write_examples
        from recsys.winner.packing import pack_winner

        opened = Store(store)
        about: dict[str, Any] = {"name": name, "title": ROW[name].title if name in ROW else name, "reason": reason}
        about |= {"refitted": refitted, "seed": seed}
        about["settings"] = {} if blend else fits[name][0]["facts"]["settings"]
        files = {row: [opened.files(fit) for fit in of_row] for row, of_row in fits.items()}
        weighed = (blend["facts"], opened.files(blend)) if blend else None
        arrays = (opened.paths(codes, rows) for rows in (training, fitted))
        found = pack_winner(folder, files, weighed, about, *arrays)
        write_examples(folder)
        return found

    given: dict[str, Any] = {"models": models, "blend": blend, "codes": codes, "training": training, "fitted": fitted}
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
