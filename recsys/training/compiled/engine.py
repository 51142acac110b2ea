"""The compiled engine: Keras's own numbers, ten to a hundred times sooner.

`deferred_adam` has the mathematics, `graph` takes the model apart, `step` and `tables` are what is compiled. Here is
the course of a training: epochs, validation, early stopping, progress, checkpoints.
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
from recsys.backend import tensorflow as tf
from recsys.models.settings import EmbeddingSettings
from recsys.progress import Progress, silent
from recsys.seeding import epoch_order
from recsys.training.callbacks import EarlyStopping, ProgressReporter, require_finite_loss, require_finite_weights
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.compiled.deferred_adam import Schedule, learning_rates, step_sizes, tails
from recsys.training.compiled.dropout import site_keys
from recsys.training.compiled.graph import Anatomy, parse_model
from recsys.training.compiled.step import Chunk, Program, numbers_of, program_for
from recsys.training.compiled.tables import State, Weights, new_state, weights_of
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
        self.program: Program = program_for(self.anatomy, settings.batch_size)
        self.steps = math.ceil(len(data.train) / settings.batch_size)
        self.rates = learning_rates(schedule, settings.learning_rate, self.steps * settings.epochs)
        self.numbers = numbers_of(self.anatomy, site_keys(seed, self.anatomy.head.rates))
        self.initial = [np.asarray(variable) for variable in self.anatomy.variables]
        self.losses: list[float] = []
        self.stopping = EarlyStopping(settings.patience)
        self.best: Weights = []
        self.step_sizes = lru_cache(maxsize=2)(self._step_sizes)  # an epoch's are asked for before it begins

    def run(self, teller: ProgressReporter, folder: Path | None, checkpoint_share: float | None) -> Fit:
        keeper = Keeper(folder, self._mark, checkpoint_share)
        state = self._begin(keeper.found)
        if keeper.found:
            teller.continued(self.model.name, keeper.found.epoch)
        while len(self.losses) < self.settings.epochs and not (self.losses and self.stopping.exhausted()):
            epoch = len(self.losses) + 1
            loss = self._train_epoch(state, epoch, teller)
            val_loss = self._validate(state, epoch) if len(self.data.validation) else None
            self.losses.append(loss)
            if val_loss is not None and self.stopping.better(val_loss) and self.settings.patience:
                self.best = weights_of(self.anatomy, state)
            teller.epoch(epoch, loss, val_loss)
            keeper.keep(partial(self._checkpoint, state))
        teller.finished(len(self.losses), self.losses[-1])
        weights = self.best if self.settings.patience else weights_of(self.anatomy, state)
        epochs = len(self.losses)
        require_finite_weights(self.model.name, weights, epochs, self.rates(epochs * self.steps, 1)[0])
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
            device=state.tables[0].device.split(":")[-2],
        )

    def _train_epoch(self, state: State, epoch: int, teller: ProgressReporter) -> float:
        """Visit every training rating once; return their mean squared error."""
        order = epoch_order(len(self.data.train), self.seed, epoch)
        alphas, epoch_tails = self.step_sizes(epoch)
        program, first_step, size = self.program, (epoch - 1) * self.steps + 1, self.program.steps
        error, done, rows = 0.0, 0, len(order)
        for batches in chunks(self.data, self.data.train, order, size, program.batch):
            steps = int(np.count_nonzero(batches.counts))
            chunk = Chunk(
                ids=[tf.constant(batches.user), tf.constant(batches.item)],
                ratings=tf.constant(batches.rating),
                counts=tf.constant(batches.counts),
                alphas=tf.constant(_padded(alphas[done : done + size], size)),
                tails=tf.constant(_padded(epoch_tails[done : done + size + 1], size + 1)),
            )
            start, count = tf.constant(first_step + done), tf.constant(steps)
            error += float(program.train(state, chunk, start, count, self.numbers))
            done += steps
            seen = min(rows, done * program.batch)
            self._check(error / seen, epoch, first_step + done - 1)
            teller.chunk(epoch, seen, error / seen)
        next_tail = self.step_sizes(epoch + 1)[1][0] if epoch < self.settings.epochs else epoch_tails[-1]
        program.settle(state, tf.constant(first_step + done - 1), tf.constant(next_tail))
        return error / rows

    def _validate(self, state: State, epoch: int) -> float:
        """The mean squared error over the validation ratings."""
        error = 0.0
        everything = np.arange(len(self.data.validation), dtype=np.int32)
        for batches in chunks(self.data, self.data.validation, everything, 1, self.program.validation_batch):
            user, item, ratings, count = (tf.constant(part[0]) for part in batches)
            error += float(self.program.squared_error(state, [user, item], ratings, count, self.numbers))
        loss = error / len(everything)
        self._check(loss, epoch, epoch * self.steps)
        return loss

    def _check(self, loss: float, epoch: int, step: int) -> None:
        require_finite_loss(self.model.name, loss, epoch, self.rates(step, 1)[0])

    def _step_sizes(self, epoch: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """α of each step of an epoch, and H and H' before the first and after each."""
        first = (epoch - 1) * self.steps + 1
        alphas = step_sizes(self.rates(first, self.steps), first)
        return alphas, tails(alphas)

    def _checkpoint(self, state: State, seconds: float) -> Checkpoint:
        variables = {f"state-{i}": variable.numpy() for i, variable in enumerate(tf.nest.flatten(state))}
        best = {f"best-{i}": array for i, array in enumerate(self.best)}
        return Checkpoint(len(self.losses), self.losses, self.stopping.losses, seconds, {**variables, **best})

    def _begin(self, found: Checkpoint | None) -> State:
        """The state before the first step, or after the checkpoint."""
        state = new_state(self.anatomy, self.initial, self.step_sizes(1)[1][0])
        if found:
            self.losses, self.stopping.losses = list(found.loss), list(found.val_loss)
            self.best = [found.arrays[f"best-{i}"] for i in range(len(self.initial)) if f"best-{i}" in found.arrays]
            for i, variable in enumerate(tf.nest.flatten(state)):
                variable.assign(found.arrays[f"state-{i}"])
        return state

    def _mark(self) -> str:
        schedule: Any = self.schedule
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            schedule = [type(schedule).__name__, schedule.get_config()]
        elif schedule is not None:
            schedule = np.asarray(schedule, float).tolist()
        facts: dict[str, Any] = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "schedule": json.dumps(schedule, default=float),
            "head": self.anatomy.head.signature,
            "numbers": [part.numpy().tolist() for part in tf.nest.flatten(self.numbers)],
            "versions": {library: version(library) for library in ("keras", "numpy", "tensorflow")},
        }
        columns = [getattr(self.data, field.name) for field in fields(self.data)]
        return fingerprint(facts, [*columns, *self.initial])


def _padded(values: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    return np.concatenate([values, np.zeros((size - len(values), *values.shape[1:]), np.float32)])
