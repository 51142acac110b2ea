"""Task `train_mf`: the notebook's matrix factorisation."""

from prefect import task

from recsys.settings import MFSettings
from recsys.store import Manifest
from tasks.caching import ByFingerprint
from tasks.training import make_model, training_recipe

RECIPE = training_recipe("train_mf", "recsys.models.mf")


@task(
    name="train_mf",
    task_run_name="train mf · {settings.embedding_size} factors · seed {seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_mf(codes: Manifest, training: Manifest, settings: MFSettings, seed: int, store: str) -> Manifest:
    """Train the notebook's matrix factorisation.

    Args:
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        settings: the model's.
        seed: the run's.
        store: folder of the artefacts.
    """
    from recsys.models.mf import build_mf

    return make_model(RECIPE, build_mf, codes, training, settings, seed, store)
