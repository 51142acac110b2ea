"""Tasks `train_*`, which train the models, and `try_*`, which try settings of those that are tuned.

There is one of each for every record of `recsys.models.specs`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prefect import Task, task

from recsys.models.settings import FitSettings
from recsys.models.specs import MODELS, TUNED, ModelSpec
from recsys.seeding import derive_seed
from recsys.settings import Engine
from recsys.store.store import Facts, Manifest, Store
from tasks.cache import ByFingerprint, Recipe
from tasks.observability import tagged
from tasks.progress import TaskProgress, task_channel


def choosing(train: Task[..., Any]) -> Task[..., Any]:
    """Return a task that trains, under the name of a run that chooses the number of epochs for the others."""
    return train.with_options(task_run_name=str(train.task_run_name).replace("train", "choose epochs of", 1))


def refitting(train: Task[..., Any]) -> Task[..., Any]:
    """Return a task that trains, under the name of a run that fits the model to use to all ratings."""
    return train.with_options(task_run_name=str(train.task_run_name).replace("train", "refit", 1))


def reading(train: Task[..., Any], histories: str) -> Task[..., Any]:
    """Return a task that trains, under the name of a run that shows what reading these histories brings."""
    return train.with_options(task_run_name=f"{train.task_run_name} · histories {histories}")


def on_share(train: Task[..., Any], share: float) -> Task[..., Any]:
    """Return a task that trains, under the name of a run on a share of the ratings."""
    return train.with_options(task_run_name=f"{train.task_run_name} · {share:.0%} of the ratings")


def _train(spec: ModelSpec) -> Task[..., Manifest]:
    recipe = _recipe(spec, f"train_{spec.name}", "models", ("codes", "training", "chosen"))

    def train(
        settings: FitSettings,
        codes: Manifest,
        training: Manifest | Exception,
        seed: int,
        engine: Engine,
        store: str,
        chosen: Manifest | Exception | None = None,
    ) -> Manifest:
        """Train a model and keep it, unless the store has it.

        `chosen` is the fit that chose the number of epochs on the validation rows: these are then fitted too, for that
        many epochs, or for those of the settings where the model does not choose them. Without it the fit chooses for
        itself. An exception, why that fit or the rows are missing, is raised.
        """
        for given in (training, chosen):
            if isinstance(given, Exception):
                raise given
        inputs = {"codes": codes, "training": training, "chosen": chosen}
        return _make(spec, recipe, **inputs, settings=settings, seed=seed, engine=engine, store=store)

    return _task(spec, train, recipe, f"train {spec.name.replace('_', ' ')} · {spec.detail} · seed {{seed}}")


def _try(spec: ModelSpec) -> Task[..., Manifest]:
    recipe = _recipe(spec, f"try_{spec.short_name}", "trials", ("codes", "training"), "sampled")

    def try_settings(
        number: int,
        settings: FitSettings,
        codes: Manifest,
        training: Manifest,
        seed: int,
        engine: Engine,
        store: str,
        sampled: int,
    ) -> Manifest:
        """Try settings on the validation rows, unless the store has the result, which does not depend on `number`.

        With `sampled`, only some users have ratings, so many that these are about so many training ratings.
        """
        inputs = {"codes": codes, "training": training, "sampled": sampled}
        return _make(spec, recipe, **inputs, settings=settings, seed=seed, engine=engine, store=store)

    name = f"try {spec.short_name} · {spec.detail} · {{settings.epochs}} epochs · trial {{number}}"
    return _task(spec, try_settings, recipe, name, "trial")


def _recipe(spec: ModelSpec, task: str, layer: str, manifests: tuple[str, ...], *settings: str) -> Recipe:
    return Recipe(
        task=task,
        layer=layer,
        manifests=manifests,
        settings=("settings", "seed", "engine", *settings),
        constants={"standardised": True} if spec.standardised else {},
        code=(*spec.modules, "recsys.training.train"),
        libraries=spec.libraries,
    )


def _make(spec: ModelSpec, recipe: Recipe, **arguments: Any) -> Manifest:
    """Fit a model, unless the store has the result; trials keep validation predictions, other fits the model."""

    def build(folder: Path) -> Facts:
        from recsys.training.fit import FitData
        from recsys.training.train import fit_and_save, fit_and_validate, fit_model

        codes, settings, seed = arguments["codes"], arguments["settings"], arguments["seed"]
        users = codes["facts"]["users"]
        data = FitData.load(Store(arguments["store"]).paths(codes, arguments["training"]))
        if chosen := arguments.get("chosen"):
            data = data.with_validation
            epochs = chosen["facts"]["scored_epoch"] if spec.chooses_epochs else settings.epochs
            unstopped = {"patience": 0} if hasattr(settings, "patience") else {}
            settings = settings.model_copy(update={"epochs": epochs, **unstopped})
        if sampled := arguments.get("sampled"):
            data, users = data.of_some_users(sampled, derive_seed(seed, "users of the first step of a search"))
        fit_it = partial(
            fit_model,
            spec.name,
            spec.build,
            spec.fit,
            users,
            codes["facts"]["items"],
            data,
            settings,
            seed,
            TaskProgress(recipe.task),
            standardised=spec.standardised and arguments["training"]["facts"]["protocol"] == "fair",
            engine=arguments["engine"],
            checkpoint=recipe.checkpoint(arguments),
        )
        if recipe.layer == "trials":
            return fit_and_validate(fit_it, settings, folder, data)
        elsewhere = task_channel() is not None  # where tasks of other processes may run beside it
        return fit_and_save(fit_it, settings, folder, spec.file, among_others=elsewhere)

    return recipe.make(build, **arguments)


def _task(spec: ModelSpec, run: Callable[..., Manifest], recipe: Recipe, name: str, *tags: str) -> Task[..., Manifest]:
    run.__name__ = run.__qualname__ = recipe.task
    run.__annotations__["settings"] = spec.settings
    decorate = task(
        name=recipe.task,
        task_run_name=name,
        on_running=[tagged(spec.family.upper(), *tags)],
        cache_policy=ByFingerprint(recipe=recipe),
    )
    return decorate(run)


TRAIN = {spec.name: _train(spec) for spec in MODELS}
"""Name of a model -> the task that trains it."""

TRY = {spec.name: _try(spec) for spec in TUNED}
"""Name of a tuned model -> the task that tries its settings."""
