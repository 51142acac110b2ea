"""AutoRec: an autoencoder of the ratings of each item (I-AutoRec), or of each user (U-AutoRec).

    prediction(u, i) = μ + b_u + b_i + d_u + w_u · h_i,    h_i = sigmoid(a + Σ_v (r_vi - μ - b_v - b_i) x_v + Σ_v y_v)

over the v who rated i; for U-AutoRec users and items change places (Sedhain et al. 2015, 'AutoRec: Autoencoders Meet
Collaborative Filtering'). It works on what ridge-regression biases leave of the ratings, on known ratings only. It is
fitted to the squared error plus λ (|x|² + |w|² + |d|²) + λ_y |y|², by Adam on batches of rows.

Three things are optional. The y are implicit feedback: the input also says who rated. A rating may be left out of the
input while it is predicted, as it is of any rating that is new, together with others of the same user and item. And x
and w may be multiplied by a kernel, max(0, 1 - |p_v - q_k|²) of learnt places of each column v and unit k, which makes
them sparse (SparseFC; Muller, Martel and Indiveri 2018, 'Kernelized Synaptic Weight Matrices').

With a linear output, the trained network is a factor model of vectors h and w, as which it is kept.
"""

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recsys.data.pairs import in_order, pairs_of
from recsys.memory import require_memory
from recsys.models.baselines import fit_biases
from recsys.models.factors import Factors
from recsys.models.keras_predictor import FittedFactors
from recsys.models.settings import AutoRecSettings
from recsys.progress import Progress, silent
from recsys.seeding import derive_seed, epoch_order
from recsys.training.autorec_step import (
    BETA_1,
    BETA_2,
    Floats,
    Rows,
    Weights,
    adam_step,
    add_gradients,
    add_kernel_gradients,
    decode,
    encode,
    kernel,
)
from recsys.training.callbacks import EarlyStopping, ProgressReporter, require_finite_loss, require_finite_weights
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.fit import Fit, FitData

NAME = "autorec"

INITIAL_SD = 0.03
INITIAL_SPREAD = 0.1
"""Standard deviations of the initial weights, and of the initial places of the kernel."""

DIMENSIONS = 5
"""Of the places of the kernel."""

WARM_UP, DECAY = 2.0, 0.9
"""Epochs in which the learning rate rises, and by what it is multiplied after each epoch.

It does not hang on the number of epochs, so that a refit of as many as were best repeats their course.
"""

WITH_KERNEL = ("input", "output")

Arrays = dict[str, Floats]
T = TypeVar("T")


def fit(
    users: int,
    items: int,
    data: FitData,
    settings: AutoRecSettings,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> tuple[FittedFactors, Fit]:
    """Fit the autoencoder to the training rows, on one core; the same bits wherever and beside whatever it runs.

    Args:
        users: number of user codes, as `items` of item codes.
        data: with standardised ratings.
        checkpoint: folder from which an interrupted training continues; removed when it has ended.

    Raises:
        BadIds: a code is not of one of so many users and items.
        BadSettings: there are no training rows, or no validation rows for early stopping.
        NotEnoughMemory: there is no room for the weights.
        TrainingDiverged: a loss or a weight became NaN or infinite.
    """
    data.require_rows(NAME, settings.patience)
    data.require_codes(users, items)
    require_memory(
        f"Training AutoRec with {users:,} users, {items:,} items and {settings.units:,} units",
        settings.bytes_needed(len(data.train), users, items),
    )
    training = _Training(users, items, data, settings, seed)
    return training.run(ProgressReporter(progress, settings.epochs, len(data.train)), checkpoint)


class _Training:
    """One training under way."""

    def __init__(self, users: int, items: int, data: FitData, settings: AutoRecSettings, seed: int) -> None:
        self.data, self.settings = data, settings
        self.shuffling = derive_seed(seed, "shuffling")
        self.mean = data.mean
        user, item, rating = data.columns(data.train)
        deviation = (rating - self.mean).astype(np.float32)
        [self.biases] = fit_biases(user, item, deviation, users, items, (settings.l2_biases,))
        residual = (deviation - self.biases[0][user] - self.biases[1][item]).astype(np.float32)
        del rating, deviation
        row, column = self._sides(user, item)
        count, columns = self._sides(users, items)
        self.rows = compressed(row, column, residual, count)
        self.rated = np.flatnonzero(np.diff(self.rows.ptr))
        self.weights = _initial(columns, settings, seed)
        self.weights["output"][np.bincount(column, minlength=columns) == 0] = 0  # nothing would ever teach them
        self.gradients, self.m, self.v = (
            {name: np.zeros_like(array) for name, array in self.weights.items()} for _ in range(3)
        )
        self.steps = -(-len(self.rated) // settings.batch_rows)
        self.l2 = {"input": settings.l2, "implicit": settings.l2_implicit, "output": settings.l2}
        self.l2["output_bias"] = settings.l2
        self.indicator, self.left_out = np.float32(settings.implicit_input), np.float32(settings.leave_out)
        self.losses: list[float] = []
        self.stopping = EarlyStopping(settings.patience)
        self.best: Arrays = {}

    def run(self, teller: ProgressReporter, folder: Path | None) -> tuple[FittedFactors, Fit]:
        keeper = Keeper(folder, self._mark)
        if keeper.found:
            self._restore(keeper.found)
            teller.continued(NAME, keeper.found.epoch)
        while len(self.losses) < self.settings.epochs and not (self.losses and self.stopping.exhausted()):
            epoch = len(self.losses) + 1
            loss = self._train_epoch(epoch)
            val_loss = self._validate(epoch) if len(self.data.validation) else None
            self.losses.append(loss)
            if val_loss is not None and self.stopping.better(val_loss) and self.settings.patience:
                self.best = {name: array.copy() for name, array in self.weights.items()}
            teller.epoch(epoch, loss, val_loss)
            keeper.keep(self._checkpoint)
        teller.finished(len(self.losses), self.losses[-1])
        self.weights = self.best or self.weights
        epochs = len(self.losses)
        require_finite_weights(NAME, self.weights.values(), epochs, self.settings.learning_rate)
        predictor = FittedFactors(self._factors(), NAME, self._learnt())
        keeper.clear()
        return predictor, Fit(
            loss=self.losses,
            val_loss=self.stopping.losses,
            best_epoch=self.stopping.best_epoch,
            scored_epoch=self.stopping.scored_epoch(epochs),
            stopped_early=epochs < self.settings.epochs,
            seconds=keeper.seconds,
            engine="numba",
            device="CPU",
        )

    def _sides(self, user: T, item: T) -> tuple[T, T]:
        """What belongs to the encoded side, the rows, and to the other, the columns."""
        return (item, user) if self.settings.side == "item" else (user, item)

    def _train_epoch(self, epoch: int) -> float:
        """Visit every row once; return the mean squared error of its ratings."""
        order = self.rated[epoch_order(len(self.rated), self.shuffling, epoch)]
        error, first = 0.0, (epoch - 1) * self.steps + 1
        gradients = _of_network(self.gradients)
        for number in range(self.steps):
            batch = order[number * self.settings.batch_rows : (number + 1) * self.settings.batch_rows]
            kernels, network = self._network()
            error += add_gradients(batch, self.rows, network, self.indicator, self.left_out, gradients)
            self._update(kernels, epoch, first + number)
        loss = error / len(self.rows.residual)
        require_finite_loss(NAME, loss, epoch, self.settings.learning_rate)
        return loss

    def _network(self) -> tuple[Arrays, Weights]:
        """The kernels of the tables that have one, and the weights, multiplied by them."""
        weights = self.weights
        if not self.settings.kernel:
            return {}, _of_network(weights)
        kernels = {name: kernel(weights[f"{name}_u"], weights[f"{name}_v"]) for name in WITH_KERNEL}
        return kernels, _of_network({**weights, **{name: weights[name] * kernels[name] for name in WITH_KERNEL}})

    def _update(self, kernels: Arrays, epoch: int, step: int) -> None:
        """Make a step of Adam; each of an epoch's steps pays its share of the regularisation."""
        weights, gradients = self.weights, self.gradients
        for name, table in kernels.items():
            u, v = f"{name}_u", f"{name}_v"
            l2 = np.float32(self.settings.l2_kernel / self.steps)
            places = weights[u], weights[v]
            add_kernel_gradients(weights[name], *places, table, l2, gradients[name], gradients[u], gradients[v])
        rate = self.settings.learning_rate * min(1.0, step / self.steps / WARM_UP) * DECAY ** (epoch - 1)
        step_size = np.float32(rate * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step))
        for name in weights:
            w, g, m, squares = (array[name].reshape(-1) for array in (weights, gradients, self.m, self.v))
            adam_step(w, g, m, squares, step_size, np.float32(self.l2.get(name, 0.0) / self.steps))

    def _validate(self, epoch: int) -> float:
        """The mean squared error over the validation ratings."""
        user, item, rating = self.data.columns(self.data.validation)
        _, network = self._network()
        predicted = decode(encode(self.rows, network, self.indicator), network, *self._sides(user, item))
        error = predicted + self.mean + self.biases[0][user] + self.biases[1][item] - rating
        loss = float(np.square(error).mean())
        require_finite_loss(NAME, loss, epoch, self.settings.learning_rate)
        return loss

    def _factors(self) -> Factors:
        _, network = self._network()
        user, item = self._sides(encode(self.rows, network, self.indicator), network.output)
        user_bias, item_bias = self.biases
        if self.settings.side == "item":
            return Factors(user, item, user_bias + network.output_bias, item_bias, self.mean)
        return Factors(user, item, user_bias, item_bias + network.output_bias, self.mean)

    def _learnt(self) -> int:
        unused = 0 if self.settings.implicit_input else self.weights["implicit"].size
        biases = sum(array.size for array in self.biases) + 1
        return sum(array.size for array in self.weights.values()) + biases - unused

    def _checkpoint(self, seconds: float) -> Checkpoint:
        parts = {"weights": self.weights, "m": self.m, "v": self.v, "best": self.best}
        arrays = {f"{part}-{name}": array for part, named in parts.items() for name, array in named.items()}
        return Checkpoint(len(self.losses), self.losses, self.stopping.losses, seconds, arrays)

    def _restore(self, found: Checkpoint) -> None:
        def part(prefix: str) -> Arrays:
            whole = f"{prefix}-"
            return {name.removeprefix(whole): array for name, array in found.arrays.items() if name.startswith(whole)}

        self.losses, self.stopping.losses = list(found.loss), list(found.val_loss)
        self.weights, self.m, self.v, self.best = part("weights"), part("m"), part("v"), part("best")

    def _mark(self) -> str:
        facts = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.shuffling,
            "versions": {library: version(library) for library in ("numba", "numpy", "scipy")},
        }
        columns = [getattr(self.data, field.name) for field in fields(self.data)]
        return fingerprint(facts, [*columns, *self.weights.values()])


def _of_network(arrays: Arrays) -> Weights:
    return Weights(**{name: arrays[name] for name in Weights._fields})


def compressed(row: npt.NDArray[np.integer], column: npt.NDArray[np.integer], residual: Floats, rows: int) -> Rows:
    """Return ratings, shape (ratings,) each, by the row that they are of; `rows` is how many there are."""
    order = in_order(row)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int64)
    row, columns, residual = row[order], column[order].astype(np.int32), residual[order]
    del order
    pairs, together, times = pairs_of(row, columns), residual, np.ones(len(residual), np.float32)
    if pairs is not None:
        together = np.empty_like(residual)
        together[pairs.rows] = np.repeat(np.add.reduceat(residual[pairs.rows], pairs.starts), pairs.sizes)
        times[pairs.rows] = np.repeat(pairs.sizes, pairs.sizes)
    return Rows(ptr, columns, residual, together, times)


def _initial(columns: int, settings: AutoRecSettings, seed: int) -> Arrays:
    """The weights before training: biases are 0, tables normal, each by a seed of its own."""

    def normal(name: str, sd: float, *shape: int) -> Floats:
        drawn = np.random.default_rng(derive_seed(seed, name)).standard_normal(shape, np.float32)
        return drawn * np.float32(sd)

    table = columns, settings.units
    weights = {name: normal(name, INITIAL_SD, *table) for name in ("input", "output")}
    weights["implicit"] = normal("implicit", INITIAL_SD * settings.implicit_input, *table)
    weights["hidden_bias"], weights["output_bias"] = np.zeros(settings.units, np.float32), np.zeros(columns, np.float32)
    if settings.kernel:
        for name in WITH_KERNEL:
            for side, count in (("u", columns), ("v", settings.units)):
                weights[f"{name}_{side}"] = normal(f"{name}_{side}", INITIAL_SPREAD, count, DIMENSIONS)
    return weights
