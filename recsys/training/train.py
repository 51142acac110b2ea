"""The one door to training."""

import math
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.backend import keras
from recsys.errors import TrainingDiverged
from recsys.memory import peak_memory, release_memory
from recsys.models.predictor import predictor
from recsys.models.serialization import save_model, summary_of
from recsys.progress import Progress, silent
from recsys.settings import Engine, FitSettings
from recsys.training.batches import Fit, FitData
from recsys.training.compiled.engine import train_compiled
from recsys.training.keras_engine import train_keras


def train(
    model: keras.Model,
    data: FitData,
    settings: FitSettings,
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
        data: ratings, and which to train and validate on.
        settings: epochs, batch size, learning rate and patience are read.
        seed: of the shuffling, and of dropout in the compiled engine.
        progress: told how far it is.
        engine: `compiled`, or `keras` for Keras's own `fit`, the reference.
        checkpoint: folder from which an interrupted training of the compiled engine continues.

    Raises:
        BadSettings: the compiled engine cannot train such a model.
        TrainingDiverged: a loss became NaN or infinite.
    """
    if engine == "keras":
        return train_keras(model, data, settings, seed, progress)
    return train_compiled(model, data, settings, seed, progress, checkpoint)


def train_and_save(
    model: keras.Model,
    data: FitData,
    settings: FitSettings,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    *,
    engine: Engine = "compiled",
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train, and write model.keras and history.parquet (epoch, loss, val_loss) into `folder`.

    Returns:
        The fields of `Fit`, with the model's `settings`, trained `parameters` and `summary`, when the training
        `started` and `ended`, as ISO 8601 in UTC, and `peak_mb`, the most memory in 10⁶ bytes that the process held
        meanwhile.
    """
    release_memory()
    started = datetime.now(UTC)
    with peak_memory() as peak:
        fit = train(model, data, settings, seed, progress, engine=engine, checkpoint=checkpoint)
    ended = datetime.now(UTC)
    save_model(model, folder / "model.keras")
    write_history(fit, folder)
    return {
        **facts_of(fit, model, settings),
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "peak_mb": round(peak.megabytes, 1),
    }


def facts_of(fit: Fit, model: keras.Model, settings: FitSettings) -> dict[str, Any]:
    """Return the fields of `fit`, with the model's `settings`, trained `parameters` and `summary`."""
    return {
        **asdict(fit),
        "settings": settings.model_dump(mode="json"),
        "parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "summary": summary_of(model),
    }


def write_history(fit: Fit, folder: Path) -> None:
    """Write history.parquet (epoch, loss, val_loss) into `folder`."""
    epochs = list(range(1, len(fit.loss) + 1))
    val_loss: list[float | None] = [*fit.val_loss] or [None] * len(epochs)
    history = pa.table(
        {"epoch": pa.array(epochs, pa.int32()), "loss": fit.loss, "val_loss": pa.array(val_loss, pa.float64())}
    )
    pq.write_table(history, folder / "history.parquet", compression="zstd")


def try_settings(
    model: keras.Model,
    data: FitData,
    settings: FitSettings,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    *,
    engine: Engine = "compiled",
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train, and write history.parquet and validation.npy into `folder`.

    The latter has the predictions of the validation rows, float32 of shape (rows,), by the weights that count.

    Returns:
        The facts of the training, as `train_and_save` returns them; of one that diverged, why it `failed` and
        the `seconds` that it took, and no file is written.
    """
    release_memory()
    start = time.perf_counter()
    try:
        fit = train(model, data, settings, seed, progress, engine=engine, checkpoint=checkpoint)
    except TrainingDiverged as error:
        return {"failed": str(error), "seconds": time.perf_counter() - start}
    write_history(fit, folder)
    rows = data.validation
    predicted = predictor(model)(np.asarray(data.user[rows]), np.asarray(data.item[rows]))
    np.save(folder / "validation.npy", predicted.astype(np.float32, copy=False), allow_pickle=False)
    return facts_of(fit, model, settings)
