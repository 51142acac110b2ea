"""The reference engine: Keras's own `fit`."""

import time

import numpy as np

from recsys.backend import device, keras
from recsys.models.settings import EmbeddingSettings
from recsys.progress import Progress
from recsys.seeding import epoch_order
from recsys.training.callbacks import EarlyStopping, require_finite_loss, require_finite_weights, require_float32
from recsys.training.fit import Fit, FitData

VALIDATION_BATCH = 8192
"""Ratings per forward pass on validation rows: their loss does not depend on it, their time does."""


def train_keras(model: keras.Model, data: FitData, settings: EmbeddingSettings, seed: int, progress: Progress) -> Fit:
    """Fit `model` with Adam on the mean squared error, an epoch at a time.

    Each epoch is one call of `fit` on rows that are shuffled here: Keras would draw the order from
    a global generator, which parallel trainings share.

    Raises:
        BadSettings: there are no ratings to train or to validate on, or the model does not compute in float32.
        TrainingDiverged: a loss or a weight became NaN or infinite.
    """
    data.require_rows(model.name, settings.patience)
    require_float32(model)
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss="mean_squared_error", metrics=["mse"])
    validation = _columns(data, data.validation) if len(data.validation) else None
    stopping = EarlyStopping(settings.patience)
    losses: list[float] = []
    best_weights = model.get_weights()
    start = time.perf_counter()
    for epoch in range(1, settings.epochs + 1):
        inputs, ratings = _columns(data, data.train[epoch_order(len(data.train), seed, epoch)])
        history = model.fit(inputs, ratings, batch_size=settings.batch_size, shuffle=False, verbose=0).history
        # Keras's own `loss` contains the penalties
        losses.append(float(history["mse"][0]))
        val_loss = validation and float(
            model.evaluate(*validation, batch_size=VALIDATION_BATCH, verbose=0, return_dict=True)["mse"]
        )
        for loss in (losses[-1], val_loss):
            if loss is not None:
                require_finite_loss(model.name, loss, epoch, settings.learning_rate)
        if val_loss is not None and stopping.better(val_loss) and settings.patience:
            best_weights = model.get_weights()
        words = f"epoch {epoch}/{settings.epochs} · loss {losses[-1]:.5g}"
        progress(epoch, settings.epochs, words if val_loss is None else f"{words} · val {val_loss:.5g}")
        if stopping.exhausted():
            break
    if settings.patience:
        model.set_weights(best_weights)
    require_finite_weights(model.name, model.get_weights(), len(losses), settings.learning_rate)
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
