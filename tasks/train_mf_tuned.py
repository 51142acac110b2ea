"""Tasks `train_mf_tuned` and `try_mf`: matrix factorisation as the literature has it, and trials of its settings."""

from typing import TYPE_CHECKING

from prefect import task

from recsys.seeding import derive_seed
from recsys.settings import BiasedMFSettings, Engine
from recsys.store.store import Manifest
from tasks.cache import ByFingerprint
from tasks.observability import tagged
from tasks.training import make_model, make_trial, training_recipe, trial_recipe

if TYPE_CHECKING:
    from recsys.backend import keras
    from recsys.training.batches import FitData

RECIPE = training_recipe("train_mf_tuned", "recsys.models.biased_mf")
TRIAL = trial_recipe("try_mf", "recsys.models.biased_mf")


def build(users: int, items: int, settings: BiasedMFSettings, seed: int, data: "FitData") -> "keras.Model":
    """Return the untrained model; of `data` it reads the mean and, for SVD++, who rated what."""
    from recsys.models.biased_mf import build_biased_mf
    from recsys.models.implicit_feedback import rated_items

    histories = None
    if settings.history:
        rated = data.user[data.train], data.item[data.train]
        histories = rated_items(*rated, users, items, settings.history, derive_seed(seed, "history"))
    return build_biased_mf(users, items, settings, seed, data.mean, histories=histories)


@task(
    name="train_mf_tuned",
    task_run_name="train mf tuned · {settings.embedding_size} factors · seed {seed}",
    on_running=[tagged("MF")],
    cache_policy=ByFingerprint(recipe=RECIPE),
)
def train_mf_tuned(
    settings: BiasedMFSettings,
    codes: Manifest,
    training: Manifest,
    seed: int,
    engine: Engine,
    store: str,
    chosen: Manifest | Exception | None = None,
) -> Manifest:
    """Train matrix factorisation as the literature has it.

    Args:
        settings: the model's.
        codes: what `encode` made.
        training: training and validation rows, from `split`.
        seed: initialisation seed.
        engine: what trains.
        store: folder of the artefacts.
        chosen: the fit that chose the number of epochs, see `make_model`.
    """
    return make_model(RECIPE, "mf_tuned", build, settings, codes, training, chosen, seed, engine, store)


@task(
    name="try_mf",
    task_run_name="try mf · {settings.embedding_size} factors · {settings.epochs} epochs · trial {number}",
    on_running=[tagged("MF", "trial")],
    cache_policy=ByFingerprint(recipe=TRIAL),
)
def try_mf(
    number: int,
    settings: BiasedMFSettings,
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
    return make_trial(TRIAL, "mf_tuned", build, settings, codes, training, seed, engine, store)
