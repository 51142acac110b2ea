"""Tasks `train_dnn_tuned` and `try_dnn`: the tuned deep network, and trials of its settings."""

from typing import TYPE_CHECKING

from prefect import task

from recsys.settings import Engine, TunedDNNSettings
from recsys.store.store import Manifest
from tasks.cache import ByFingerprint
from tasks.observability import tagged
from tasks.training import make_model, make_trial, training_recipe, trial_recipe

if TYPE_CHECKING:
    from recsys.backend import keras
    from recsys.training.batches import FitData

RECIPE = training_recipe("train_dnn_tuned", "recsys.models.neumf")
TRIAL = trial_recipe("try_dnn", "recsys.models.neumf")


def build(users: int, items: int, settings: TunedDNNSettings, seed: int, data: "FitData") -> "keras.Model":
    """Return the untrained model; of `data` it reads the mean."""
    from recsys.models.neumf import build_deep

    return build_deep(users, items, settings, seed, data.mean)


@task(
    name="train_dnn_tuned",
    task_run_name="train dnn tuned · dropout {settings.dropout:g} · seed {seed}",
    on_running=[tagged("DNN")],
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_dnn_tuned(
    settings: TunedDNNSettings,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
    chosen: Manifest | Exception | None = None,
) -> Manifest:
    """Train the tuned deep network.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
        chosen: the fit that chose the number of epochs, see `make_model`.
    """
    return make_model(RECIPE, "dnn_tuned", build, settings, codes, training, chosen, seed, engine, store)


@task(
    name="try_dnn",
    task_run_name="try dnn · dropout {settings.dropout:g} · {settings.epochs} epochs · trial {number}",
    on_running=[tagged("DNN", "trial")],
    cache_policy=ByFingerprint(recipe=TRIAL),
)
def try_dnn(
    number: int,
    settings: TunedDNNSettings,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
) -> Manifest:
    """Try settings on the validation rows.

    Args:
        number: of the trial; the result does not depend on it.
        settings: what is tried.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
    """
    return make_trial(TRIAL, "dnn_tuned", build, settings, codes, training, seed, engine, store)
