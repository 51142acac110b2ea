"""What the training tasks have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import Task

from recsys.seeding import derive_seed
from recsys.settings import Engine, FitSettings
from recsys.store.store import Facts, Manifest, Store
from tasks.cache import Recipe
from tasks.progress import TaskProgress

if TYPE_CHECKING:
    from recsys.backend import keras
    from recsys.training.batches import FitData

S = TypeVar("S", bound=FitSettings)

Build = Callable[[int, int, S, int, "FitData"], "keras.Model"]
"""From the numbers of users and items, settings, a seed and the ratings that are fitted to an untrained model."""

LIBRARIES = ("keras", "numpy", "tensorflow")


def training_recipe(task: str, model: str) -> Recipe:
    """Return the recipe of a task that trains the model of module `model`."""
    return Recipe(
        task=task,
        layer="models",
        manifests=("codes", "training", "chosen"),
        settings=("settings", "seed", "engine"),
        code=(model, "recsys.training.train"),
        libraries=LIBRARIES,
    )


def trial_recipe(task: str, model: str) -> Recipe:
    """Return the recipe of a task that tries settings of the model of module `model`."""
    return Recipe(
        task=task,
        layer="trials",
        manifests=("codes", "training"),
        settings=("settings", "seed", "engine"),
        code=(model, "recsys.training.train"),
        libraries=LIBRARIES,
    )


def choosing(train: Task[..., Any]) -> Task[..., Any]:
    """Return a task that trains, under the name of a run that chooses the number of epochs for the others."""
    return train.with_options(task_run_name=str(train.task_run_name).replace("train", "choose epochs of", 1))


def make_model(
    recipe: Recipe,
    name: str,
    build_model: "Build[S]",
    settings: S,
    codes: Manifest,
    training: Manifest,
    chosen: Manifest | Exception | None,
    seed: int,
    engine: Engine,
    store: str,
) -> Manifest:
    """Train a model and keep it, unless the store has it.

    Args:
        recipe: the task's.
        name: the model's, from which its seeds are derived.
        build_model: makes it.
        settings: its settings.
        codes: what `encode` made.
        training: training and validation rows.
        chosen: the fit that chose the number of epochs on the validation rows: these are then fitted too, for
            that many epochs. None: the fit chooses for itself. An exception, why that fit failed, is raised.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
    """
    if isinstance(chosen, Exception):
        raise chosen
    arguments = {
        "settings": settings,
        "codes": codes,
        "training": training,
        "chosen": chosen,
        "seed": seed,
        "engine": engine,
        "store": store,
    }

    def build(folder: Path) -> Facts:
        from recsys.training.batches import FitData
        from recsys.training.train import train_and_save

        data, fitted = FitData.load(Store(store).paths(codes, training)), settings
        if chosen:
            data = data.with_validation
            fitted = settings.model_copy(update={"epochs": chosen["facts"]["scored_epoch"], "patience": 0})
        return train_and_save(
            build_model(codes["facts"]["users"], codes["facts"]["items"], fitted, derive_seed(seed, name), data),
            data,
            fitted,
            derive_seed(seed, name, "shuffling"),
            folder,
            TaskProgress(recipe.task),
            engine=engine,
            checkpoint=recipe.checkpoint(arguments),
        )

    return recipe.make(build, **arguments)


def make_trial(
    recipe: Recipe,
    name: str,
    build_model: "Build[S]",
    settings: S,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
) -> Manifest:
    """Train a model for its validation losses, unless the store has them; the arguments are those of `make_model`."""
    arguments: dict[str, Any] = {
        "settings": settings,
        "codes": codes,
        "training": training,
        "seed": seed,
        "engine": engine,
        "store": store,
    }

    def build(folder: Path) -> Facts:
        from recsys.training.batches import FitData
        from recsys.training.train import try_settings

        data = FitData.load(Store(store).paths(codes, training))
        return try_settings(
            build_model(codes["facts"]["users"], codes["facts"]["items"], settings, derive_seed(seed, name), data),
            data,
            settings,
            derive_seed(seed, name, "shuffling"),
            folder,
            TaskProgress(recipe.task),
            engine=engine,
            checkpoint=recipe.checkpoint(arguments),
        )

    return recipe.make(build, **arguments)
