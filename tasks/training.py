"""What the training tasks have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recsys.seeds import derive_seed
from recsys.settings import Engine, FitSettings
from recsys.store import Facts, Manifest, Store
from tasks.caching import Recipe
from tasks.progress import TaskProgress

if TYPE_CHECKING:
    from recsys.backend import keras

S = TypeVar("S", bound=FitSettings)

LIBRARIES = ("keras", "numpy", "tensorflow")


def training_recipe(task: str, model: str) -> Recipe:
    """Return the recipe of a task that trains the model of module `model`."""
    return Recipe(
        task=task,
        layer="models",
        manifests=("codes", "training"),
        settings=("settings", "seed", "engine"),
        code=(model, "recsys.training.train"),
        libraries=LIBRARIES,
    )


def without_mean(
    build_model: Callable[[int, int, S, int], "keras.Model"],
) -> Callable[[int, int, S, int, float], "keras.Model"]:
    """Return `build_model` for use by `make_model`: a model that does not start from the mean rating."""
    return lambda users, items, settings, seed, mean: build_model(users, items, settings, seed)


def make_model(
    recipe: Recipe,
    build_model: Callable[[int, int, S, int, float], "keras.Model"],
    settings: S,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
) -> Manifest:
    """Train what `build_model(users, items, settings, seed, mean rating)` returns, unless the store has it."""
    arguments = {
        "settings": settings,
        "codes": codes,
        "training": training,
        "seed": seed,
        "engine": engine,
        "store": store,
    }

    def build(folder: Path) -> Facts:
        from recsys.training.fit import FitData
        from recsys.training.train import train_and_save

        name = recipe.task.removeprefix("train_")
        data, facts = FitData.load(Store(store).paths(codes, training)), codes["facts"]
        return train_and_save(
            build_model(facts["users"], facts["items"], settings, derive_seed(seed, name), data.mean),
            data,
            settings,
            derive_seed(seed, name, "shuffling"),
            folder,
            TaskProgress(recipe.task),
            engine=engine,
            checkpoint=recipe.checkpoint(arguments),
        )

    return recipe.make(build, **arguments)
