"""One trial of a search: a training that is kept for its losses and its validation predictions."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from recsys.backend import keras
from recsys.errors import TrainingDiverged
from recsys.memory import give_back
from recsys.models.predicting import predictor
from recsys.progress import Progress, silent
from recsys.settings import Engine, FitSettings
from recsys.training.fit import FitData
from recsys.training.train import facts_of, train, write_history


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
    give_back()
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
