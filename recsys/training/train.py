"""The one door to training."""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.backend import keras
from recsys.energy import measured_energy
from recsys.errors import BadSettings, TrainingDiverged
from recsys.memory import peak_memory, release_memory
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.layers import table_rows
from recsys.models.predictor import SavedPredictor
from recsys.models.settings import EmbeddingSettings, FitSettings
from recsys.progress import Progress, silent
from recsys.seeding import derive_seed
from recsys.settings import Engine
from recsys.training.compiled.engine import train_compiled
from recsys.training.fit import Fit, FitData
from recsys.training.keras_engine import train_keras


def train(
    model: keras.Model,
    data: FitData,
    settings: EmbeddingSettings,
    seed: int,
    progress: Progress = silent,
    *,
    engine: Engine = "compiled",
    checkpoint: Path | None = None,
) -> Fit:
    """Fit `model` to the training rows with Adam on the mean squared error.

    Args:
        model: from [user code, item code] to ratings; holds the trained weights afterwards, those of
            the best epoch where there is early stopping.
        seed: of the shuffling, and of dropout in the compiled engine.
        engine: `compiled`, or `keras` for Keras's own `fit`, the reference.
        checkpoint: folder from which an interrupted training of the compiled engine continues.

    Raises:
        BadIds: a code has no row in the tables of `model`.
        BadSettings: there is no such engine, or the compiled engine cannot train such a model.
        TrainingDiverged: a loss became NaN or infinite.
    """
    if engine not in get_args(Engine):
        raise BadSettings(f"There is no engine {engine!r}: choose {' or '.join(get_args(Engine))}.")
    data.require_codes(*table_rows(model))
    if engine == "keras":
        return train_keras(model, data, settings, seed, progress)
    return train_compiled(model, data, settings, seed, progress, checkpoint)


Fitting = Callable[[], tuple[SavedPredictor, Fit]]
"""A call of `fit_model`, with all that it needs."""


def fit_model(
    name: str,
    build: str | None,
    fit_itself: str | None,
    users: int,
    items: int,
    data: FitData,
    settings: FitSettings,
    seed: int,
    progress: Progress = silent,
    *,
    standardised: bool = False,
    engine: Engine = "compiled",
    checkpoint: Path | None = None,
) -> tuple[SavedPredictor, Fit]:
    """Build a model, for so many user and item codes, and fit it as `train` does, or have it fit itself.

    Where it is fitted to `standardised` ratings, its predictions and losses are turned back into rating units. Its
    seeds are derived from `seed`, the run's, and its name; `build` and `fit_itself` are functions that
    `recsys.models.specs.ModelSpec` describes; where both are given, the settings say which of them it is.

    Raises:
        TrainingDiverged: a loss became NaN or infinite.
    """
    own = derive_seed(seed, name)
    if standardised:
        given, scale, offset = data.standardised()
        found, course = fit_model(
            name, build, fit_itself, users, items, given, settings, seed, progress, engine=engine, checkpoint=checkpoint
        )
        return found.rescaled(scale, offset), course.rescaled(scale)
    settings = settings.on(len(data.train))
    if fit_itself and (not build or settings.fits_itself):
        fitted: tuple[SavedPredictor, Fit] = resolve_name(fit_itself)(
            users, items, data, settings, own, progress, checkpoint
        )
        return fitted
    assert isinstance(settings, EmbeddingSettings), "what our engines train has embeddings"
    built = resolve_name(str(build))(users, items, settings, own, data)
    shuffling = derive_seed(seed, name, "shuffling")
    fit = train(built, data, settings, shuffling, progress, engine=engine, checkpoint=checkpoint)
    return KerasPredictor(built), fit


def fit_and_save(
    fit_it: Fitting, settings: FitSettings, folder: Path, file: str, *, among_others: bool = False
) -> dict[str, Any]:
    """Fit a model, and write it as `file`, and history.parquet (epoch, loss, val_loss), into `folder`.

    `among_others` is as in `recsys.energy.measured_energy`.

    Returns:
        The fields of `Fit`, with the model's `settings`, trained `parameters` and `summary`, when the training
        `started` and `ended`, as ISO 8601 in UTC, `peak_mb`, the most memory in 10⁶ bytes that the process held
        meanwhile, and its `watt_hours`, or why these are `energy_unmeasured`.
    """
    release_memory()
    started = datetime.now(UTC)
    with peak_memory() as peak, measured_energy(among_others=among_others) as energy:
        predictor, fit = fit_it()
    times = {"started": started.isoformat(), "ended": datetime.now(UTC).isoformat()}
    predictor.save(folder / file)
    write_learning_curve(fit, folder)
    used = {**energy.facts(fit.device, fit.seconds), "peak_mb": round(peak.megabytes, 1)}
    return {**facts_of(fit, predictor, settings), **times, **used}


def fit_and_validate(fit_it: Fitting, settings: FitSettings, folder: Path, data: FitData) -> dict[str, Any]:
    """Fit a model to `data`, and write history.parquet and validation.npy into `folder`.

    The latter has the predictions of the validation rows, float32 of shape (rows,), by the weights of the best epoch.

    Returns:
        The facts of the training, as `fit_and_save` returns them, without its times, memory and energy; of one that
        diverged, why it `failed` and the `seconds` that it took, and no file is written.
    """
    release_memory()
    start = time.perf_counter()
    try:
        predictor, fit = fit_it()
    except TrainingDiverged as error:
        return {"failed": str(error), "seconds": time.perf_counter() - start}
    write_learning_curve(fit, folder)
    user, item, _ = data.columns(data.validation)
    predicted = predictor.predict(user, item)
    np.save(folder / "validation.npy", predicted.astype(np.float32, copy=False), allow_pickle=False)
    return facts_of(fit, predictor, settings)


def facts_of(fit: Fit, predictor: SavedPredictor, settings: FitSettings) -> dict[str, Any]:
    """Return the fields of `fit`, with the model's `settings`, trained `parameters` and `summary`."""
    facts = {"settings": settings.model_dump(mode="json"), "parameters": predictor.parameters}
    return {**asdict(fit), **facts, "summary": predictor.summary}


def write_learning_curve(fit: Fit, folder: Path) -> None:
    """Write history.parquet (epoch, loss, val_loss) into `folder`."""
    epochs = pa.array(range(1, len(fit.loss) + 1), pa.int32())
    val_loss = pa.array(fit.val_loss, pa.float64()) if fit.val_loss else pa.nulls(len(epochs), pa.float64())
    curve = pa.table({"epoch": epochs, "loss": fit.loss, "val_loss": val_loss})
    pq.write_table(curve, folder / "history.parquet", compression="zstd")
