"""Task `train_dnn`: the notebook's deep network."""

from prefect import task

from recsys.settings import DNNSettings, Engine
from recsys.store import Manifest
from tasks.caching import ByFingerprint
from tasks.training import make_model, training_recipe, without_mean

RECIPE = training_recipe("train_dnn", "recsys.models.dnn")


@task(
    name="train_dnn",
    task_run_name="train dnn · dropout {settings.dropout:g} · seed {seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_dnn(
    settings: DNNSettings, codes: Manifest, training: Manifest, seed: int, engine: Engine, store: str
) -> Manifest:
    """Train the notebook's deep network.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: the run's.
        engine: what trains.
        store: folder of the artefacts.
    """
    from recsys.models.dnn import build_dnn

    return make_model(RECIPE, without_mean(build_dnn), settings, codes, training, seed, engine, store)
