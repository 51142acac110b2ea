"""The reference engine: Keras's own `fit`."""

import math
import time

import numpy as np

from recsys.backend import device, keras
from recsys.errors import TrainingDiverged
from recsys.progress import Progress
from recsys.settings import FitSettings
from recsys.training.early_stopping import EarlyStopping
from recsys.training.fit import Fit, FitData
from recsys.training.shuffling import epoch_order

VALIDATION_BATCH = 8192
"""Ratings per forward pass on validation rows: their loss does not depend on it, their time does."""


def train_keras(model: keras.Model, data: FitData, settings: FitSettings, seed: int, progress: Progress) -> Fit:
    """Fit `model` with Adam on the mean squared error, an epoch at a time.

    Each epoch is one call of `fit` on rows that are shuffled here: Keras would draw the order from
    a global generator, which parallel trainings share.

    Raises:
        BadSettings: there are no ratings to train or to validate on.
        TrainingDiverged: a loss became NaN or infinite.
    """
    data.require_rows(model.name, settings.patience)
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss="mean_squared_error")
    validation = _columns(data, data.validation) if len(data.validation) else None
    stopping = EarlyStopping(settings.patience)
    losses: list[float] = []
    best_weights = model.get_weights()
    start = time.perf_counter()
    for epoch in range(1, settings.epochs + 1):
        inputs, ratings = _columns(data, data.train[epoch_order(len(data.train), seed, epoch)])
        history = model.fit(inputs, ratings, batch_size=settings.batch_size, shuffle=False, verbose=0).history
        losses.append(float(history["loss"][0]))
        val_loss = validation and float(model.evaluate(*validation, batch_size=VALIDATION_BATCH, verbose=0))
        for loss in (losses[-1], val_loss):
            if loss is not None and not math.isfinite(loss):
                raise TrainingDiverged(
                    f"{model.name}: the loss became {loss} in epoch {epoch} at learning rate "
                    f"{settings.learning_rate:g}; try a smaller learning rate or a larger batch."
                )
        if val_loss is not None and stopping.better(val_loss) and settings.patience:
            best_weights = model.get_weights()
        words = f"epoch {epoch}/{settings.epochs} · loss {losses[-1]:.5g}"
        progress(epoch, settings.epochs, words if val_loss is None else f"{words} · val {val_loss:.5g}")
        if stopping.exhausted():
            break
    if settings.patience:
        model.set_weights(best_weights)
    return Fit(
        loss=losses,
        val_loss=stopping.losses,
        best_epoch=stopping.best_epoch,
        scored_epoch=stopping.scored_epoch(len(losses)),
        stopped_early=len(losses) < settings.epochs,
        seconds=time.perf_counter() - start,
        engine="keras",
        device=device(),
    )


def _columns(data: FitData, rows: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    return [data.user[rows, None], data.item[rows, None]], data.rating[rows, None]
