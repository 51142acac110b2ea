"""Task `train_mf`: the notebook's matrix factorisation."""

from typing import TYPE_CHECKING

from prefect import task

from recsys.settings import Engine, MFSettings
from recsys.store.store import Manifest
from tasks.cache import ByFingerprint
from tasks.observability import tagged
from tasks.training import make_model, training_recipe

if TYPE_CHECKING:
    from recsys.backend import keras
    from recsys.training.batches import FitData

RECIPE = training_recipe("train_mf", "recsys.models.mf")


def build(users: int, items: int, settings: MFSettings, seed: int, data: "FitData") -> "keras.Model":
    """Return the untrained model; of `data` it reads nothing."""
    from recsys.models.mf import build_mf

    return build_mf(users, items, settings, seed)


@task(
    name="train_mf",
    task_run_name="train mf · {settings.embedding_size} factors · seed {seed}",
    on_running=[tagged("MF")],
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_mf(
    settings: MFSettings,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
    chosen: Manifest | Exception | None = None,
) -> Manifest:
    """Train the notebook's matrix factorisation.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
        chosen: the fit that chose the number of epochs, see `make_model`.
    """
    return make_model(RECIPE, "mf", build, settings, codes, training, chosen, seed, engine, store)
