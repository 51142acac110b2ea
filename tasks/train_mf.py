"""Task `train_mf`: the notebook's matrix factorisation."""

from prefect import task

from recsys.settings import Engine, MFSettings
from recsys.store import Manifest
from tasks.caching import ByFingerprint
from tasks.training import make_model, training_recipe, without_mean

RECIPE = training_recipe("train_mf", "recsys.models.mf")


@task(
    name="train_mf",
    task_run_name="train mf · {settings.embedding_size} factors · seed {seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_mf(
    settings: MFSettings, codes: Manifest, training: Manifest, seed: int, engine: Engine, store: str
) -> Manifest:
    """Train the notebook's matrix factorisation.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: the run's.
        engine: what trains.
        store: folder of the artefacts.
    """
    from recsys.models.mf import build_mf

    return make_model(RECIPE, without_mean(build_mf), settings, codes, training, seed, engine, store)
