"""Task `train_dnn`: the notebook's deep network."""

from typing import TYPE_CHECKING

from prefect import task

from recsys.settings import DNNSettings, Engine
from recsys.store.store import Manifest
from tasks.cache import ByFingerprint
from tasks.observability import tagged
from tasks.training import make_model, training_recipe

if TYPE_CHECKING:
    from recsys.backend import keras
    from recsys.training.batches import FitData

RECIPE = training_recipe("train_dnn", "recsys.models.mlp")


def build(users: int, items: int, settings: DNNSettings, seed: int, data: "FitData") -> "keras.Model":
    """Return the untrained model; of `data` it reads nothing."""
    from recsys.models.mlp import build_dnn

    return build_dnn(users, items, settings, seed)


@task(
    name="train_dnn",
    task_run_name="train dnn · dropout {settings.dropout:g} · seed {seed}",
    on_running=[tagged("DNN")],
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_dnn(
    settings: DNNSettings,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
    chosen: Manifest | Exception | None = None,
) -> Manifest:
    """Train the notebook's deep network.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
        chosen: the fit that chose the number of epochs, see `make_model`.
    """
    return make_model(RECIPE, "dnn", build, settings, codes, training, chosen, seed, engine, store)
