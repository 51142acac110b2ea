"""The compiled engine: Keras's own numbers, ten to a hundred times sooner.

`deferred_adam` has the mathematics and `graph` takes the model apart. Matrix factorisation takes its steps in a loop of
its own (`factor_steps`), any other model in an XLA program (`network_steps`). Here is the course of a training: epochs,
validation, early stopping, progress, checkpoints.
"""

import json
import math
from dataclasses import fields
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.models.settings import EmbeddingSettings
from recsys.progress import Progress, silent
from recsys.seeding import epoch_order
from recsys.training.callbacks import EarlyStopping, ProgressReporter, require_finite_loss, require_finite_weights
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.compiled.deferred_adam import Rates, Schedule, learning_rates, step_sizes, tails
from recsys.training.compiled.factor_steps import FactorSteps
from recsys.training.compiled.graph import Anatomy, parse_model
from recsys.training.compiled.network_steps import NetworkSteps
from recsys.training.compiled.steps import ROWS_PER_CALL, VALIDATION_BATCH, Steps, Weights
from recsys.training.fit import Fit, FitData, chunks


def train_compiled(
    model: keras.Model,
    data: FitData,
    settings: EmbeddingSettings,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    *,
    schedule: Schedule = None,
    checkpoint_share: float | None = None,
) -> Fit:
    """Fit `model` with Adam on the mean squared error.

    Same model, data, settings and seed: the same bits, whatever else runs beside it. Arguments that are not described
    here are those of `recsys.training.train.train`.

    Args:
        model: a functional model from [user code, item code] to ratings; its dropout rates, its embeddings'
            activity regularisers (L1, L2: per rating) and its weights' regularisers are used.
        checkpoint: a folder for checkpoints of this training; an interrupted training continues after
            its last checkpoint and ends with the same bits. Removed when the training has ended.
        schedule: learning rates instead of the settings': a Keras schedule, or one number a step.
        checkpoint_share: share of the time that checkpoints may take, if not CHECKPOINT_SHARE; the first epoch is kept
            in any case.

    Raises:
        BadSettings: the engine cannot train such a model; the message says what and why.
        TrainingDiverged: a loss or a weight became NaN or infinite.
    """
    data.require_rows(model.name, settings.patience)
    training = _Training(model, data, settings, seed, schedule)
    return training.run(ProgressReporter(progress, settings.epochs, len(data.train)), checkpoint, checkpoint_share)


class _Training:
    """One training under way."""

    def __init__(
        self, model: keras.Model, data: FitData, settings: EmbeddingSettings, seed: int, schedule: Schedule
    ) -> None:
        self.model, self.data, self.settings, self.seed, self.schedule = model, data, settings, seed, schedule
        self.anatomy: Anatomy = parse_model(model)
        self.epoch_steps = math.ceil(len(data.train) / settings.batch_size)
        self.rates = learning_rates(schedule, settings.learning_rate, self.epoch_steps * settings.epochs)
        self.losses: list[float] = []
        self.stopping = EarlyStopping(settings.patience)
        self.best: Weights = []
        # an epoch's are asked for before it begins
        self.step_sizes = lru_cache(maxsize=2)(partial(_step_sizes, self.rates, self.epoch_steps))

    def run(self, teller: ProgressReporter, folder: Path | None, checkpoint_share: float | None) -> Fit:
        weights = [np.asarray(variable) for variable in self.anatomy.variables]
        keeper = Keeper(folder, partial(self._mark, weights), checkpoint_share)
        steps = self._begin(weights, keeper.found)
        del weights  # they can be a large part of the memory
        if keeper.found:
            teller.continued(self.model.name, keeper.found.epoch)
        while len(self.losses) < self.settings.epochs and not (self.losses and self.stopping.exhausted()):
            epoch = len(self.losses) + 1
            loss = self._train_epoch(steps, epoch, teller)
            val_loss = self._validate(steps, epoch) if len(self.data.validation) else None
            self.losses.append(loss)
            if val_loss is not None and self.stopping.better(val_loss) and self.settings.patience:
                self.best = steps.weights()
            teller.epoch(epoch, loss, val_loss)
            keeper.keep(partial(self._checkpoint, steps))
        teller.finished(len(self.losses), self.losses[-1])
        weights = self.best if self.settings.patience else steps.weights()
        epochs = len(self.losses)
        require_finite_weights(self.model.name, weights, epochs, self.rates(epochs * self.epoch_steps, 1)[0])
        for variable, value in zip(self.anatomy.variables, weights, strict=True):
            variable.assign(value)
        keeper.clear()
        return Fit(
            loss=self.losses,
            val_loss=self.stopping.losses,
            best_epoch=self.stopping.best_epoch,
            scored_epoch=self.stopping.scored_epoch(len(self.losses)),
            stopped_early=len(self.losses) < self.settings.epochs,
            seconds=keeper.seconds,
            engine="compiled",
            device=steps.device,
        )

    def _train_epoch(self, steps: Steps, epoch: int, teller: ProgressReporter) -> float:
        """Visit every training rating once; return their mean squared error."""
        order = epoch_order(len(self.data.train), self.seed, epoch)
        alphas, epoch_tails = self.step_sizes(epoch)
        batch, first_step = self.settings.batch_size, (epoch - 1) * self.epoch_steps + 1
        size = max(1, ROWS_PER_CALL // batch)
        error, done, rows = 0.0, 0, len(order)
        for batches in chunks(self.data, self.data.train, order, size, batch):
            count = int(np.count_nonzero(batches.counts))
            tails_of_chunk = epoch_tails[done : done + count + 1]
            error += steps.train(batches, alphas[done : done + count], tails_of_chunk, first_step + done)
            done += count
            seen = min(rows, done * batch)
            self._check(error / seen, epoch, first_step + done - 1)
            teller.chunk(epoch, seen, error / seen)
        next_tail = self.step_sizes(epoch + 1)[1][0] if epoch < self.settings.epochs else epoch_tails[-1]
        steps.settle(first_step + done - 1, next_tail)
        return error / rows

    def _validate(self, steps: Steps, epoch: int) -> float:
        """The mean squared error over the validation ratings."""
        everything = np.arange(len(self.data.validation), dtype=np.int32)
        batches = chunks(self.data, self.data.validation, everything, 1, VALIDATION_BATCH)
        loss = sum(map(steps.squared_error, batches)) / len(everything)
        self._check(loss, epoch, epoch * self.epoch_steps)
        return loss

    def _check(self, loss: float, epoch: int, step: int) -> None:
        require_finite_loss(self.model.name, loss, epoch, self.rates(step, 1)[0])

    def _checkpoint(self, steps: Steps, seconds: float) -> Checkpoint:
        best = {f"best-{i}": array for i, array in enumerate(self.best)}
        return Checkpoint(len(self.losses), self.losses, self.stopping.losses, seconds, {**steps.arrays(), **best})

    def _begin(self, weights: Weights, found: Checkpoint | None) -> Steps:
        """The state before the first step, or after the checkpoint."""
        form, batch, tail = self.anatomy.factor_form, self.settings.batch_size, self.step_sizes(1)[1][0]
        steps: Steps = (
            FactorSteps(form, weights, tail, batch)
            if form
            else NetworkSteps(self.anatomy, weights, tail, batch, self.seed)
        )
        if found:
            self.losses, self.stopping.losses = list(found.loss), list(found.val_loss)
            self.best = [found.arrays[f"best-{i}"] for i in range(len(weights)) if f"best-{i}" in found.arrays]
            steps.restore(found.arrays)
        return steps

    def _mark(self, weights: Weights) -> str:
        schedule: Any = self.schedule
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            schedule = [type(schedule).__name__, schedule.get_config()]
        elif schedule is not None:
            schedule = np.asarray(schedule, float).tolist()
        head, penalties = self.anatomy.head, [(lookup.l1, lookup.l2) for lookup in self.anatomy.lookups]
        facts: dict[str, Any] = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "schedule": json.dumps(schedule, default=float),
            "head": head.signature,
            "numbers": [head.rates, head.offsets, head.penalties, penalties],
            "versions": {library: version(library) for library in ("keras", "numba", "numpy", "tensorflow")},
        }
        columns = [getattr(self.data, field.name) for field in fields(self.data)]
        return fingerprint(facts, [*columns, *weights])


def _step_sizes(rates: Rates, steps: int, epoch: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """α of each of the steps of an epoch, and H and H' before the first and after each."""
    first = (epoch - 1) * steps + 1
    alphas = step_sizes(rates(first, steps), first)
    return alphas, tails(alphas)
