"""Task `train_dnn_tuned`: the notebook's tuned deep network."""

from functools import partial

from prefect import task

from recsys.settings import Engine, TunedDNNSettings
from recsys.store import Manifest
from tasks.caching import ByFingerprint
from tasks.training import make_model, training_recipe, without_mean

RECIPE = training_recipe("train_dnn_tuned", "recsys.models.dnn")


@task(
    name="train_dnn_tuned",
    task_run_name="train dnn tuned · dropout {settings.dropout:g} · seed {seed}",
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_dnn_tuned(
    settings: TunedDNNSettings, codes: Manifest, training: Manifest, seed: int, engine: Engine, store: str
) -> Manifest:
    """Train the notebook's tuned deep network.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: the run's.
        engine: what trains.
        store: folder of the artefacts.
    """
    from recsys.models.dnn import build_dnn

    build = partial(build_dnn, name="dnn_tuned")
    return make_model(RECIPE, without_mean(build), settings, codes, training, seed, engine, store)
