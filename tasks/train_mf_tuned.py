"""Task `train_mf_tuned`: matrix factorisation as the literature has it."""

from prefect import task

from recsys.settings import BiasedMFSettings, Engine
from recsys.store import Manifest
from tasks.caching import ByFingerprint
from tasks.training import make_model, training_recipe

RECIPE = training_recipe("train_mf_tuned", "recsys.models.biased_mf")


@task(
    name="train_mf_tuned",
    task_run_name="train mf tuned · {settings.embedding_size} factors · seed {seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_mf_tuned(
    settings: BiasedMFSettings, codes: Manifest, training: Manifest, seed: int, engine: Engine, store: str
) -> Manifest:
    """Train the matrix factorisation with mean, biases and penalties.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: the run's.
        engine: what trains.
        store: folder of the artefacts.
    """
    from recsys.models.biased_mf import build_biased_mf

    return make_model(RECIPE, build_biased_mf, settings, codes, training, seed, engine, store)
