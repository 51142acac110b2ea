"""Fits of models that read both sides' histories: the two towers, and SVD++ for both sides.

An epoch deals the training ratings into a few large batches, and each is a step of Adam with all weights
(`history_steps`). The learning rate rises over the first tenth of the steps and falls along a cosine to 0 at the end,
so the number of epochs is the length of the schedule and the last weights are kept. Biases begin at those of ridge
regression. Whatever is read of ratings is read of training rows alone.
"""

import math
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import numpy as np

from recsys.memory import require_memory
from recsys.models.baselines import fit_biases
from recsys.models.factors import Factors
from recsys.models.histories import NO_BATCH, Batches, Floats, deal, sides_of
from recsys.models.keras_predictor import FittedFactors
from recsys.models.settings import BiasedMFSettings, TowersSettings
from recsys.models.towers import DAMPING, TowersPredictor, UserHistories, build_tower
from recsys.progress import Progress, silent
from recsys.seeding import derive_seed
from recsys.training.callbacks import EarlyStopping, ProgressReporter, require_finite_loss, require_finite_weights
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.fit import Fit, FitData
from recsys.training.history_steps import BETA_1, BETA_2, Half, Halves, Penalties, SideWeights, take_step, vectors_of

SIDES = ("user", "item")

WARM_UP = 0.1
"""Share of the steps over which the learning rate rises."""

OWN_SD, TABLE_SD, BACK_SD = 0.1, 0.03, 0.1
"""Standard deviations of the initial vectors and tables, and of a layer's W₂ times the root of its width."""

SVDPP_RATE = 0.01
"""Highest learning rate of SVD++, whose sums pass through no layers."""


def fit_towers(
    users: int,
    items: int,
    data: FitData,
    settings: TowersSettings,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> tuple[TowersPredictor, Fit]:
    """Fit the two towers, as `recsys.models.specs.ModelSpec` describes it.

    Raises:
        BadIds: a code is not of one of so many users and items.
        NotEnoughMemory: there is no room for it.
        TrainingDiverged: a loss or a weight became NaN or infinite.
    """
    training = _Training("towers", users, items, data, settings, seed)
    fit = training.run(progress, checkpoint)
    half, others = training.halves
    layers = half.weights.kernels, half.weights.shifts, half.weights.backs
    tower = build_tower(*layers, settings.dropout, derive_seed(seed, "user tower"), "user_tower")
    expected = (half.side.other_bias + np.float32(training.mean)).astype(np.float32)
    histories = UserHistories(others.weights.tables, expected, settings.l2_biases)
    return TowersPredictor(training.predictor(), tower, histories), fit


def fit_svdpp(
    users: int,
    items: int,
    data: FitData,
    settings: BiasedMFSettings,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> tuple[FittedFactors, Fit]:
    """Fit matrix factorisation with implicit feedback, which is two towers without layers and without R.

    Of the settings it reads `embedding_size`, `epochs`, `implicit` and `l2_implicit`.

    Raises:
        BadIds: a code is not of one of so many users and items.
        NotEnoughMemory: there is no room for it.
        TrainingDiverged: a loss or a weight became NaN or infinite.
    """
    linear = settings.svdpp.model_copy(update={"learning_rate": SVDPP_RATE})
    training = _Training("mf_tuned", users, items, data, linear, seed)
    fit = training.run(progress, checkpoint)
    return training.predictor(), fit


class _Training:
    """One training under way."""

    def __init__(self, name: str, users: int, items: int, data: FitData, settings: TowersSettings, seed: int) -> None:
        data.require_rows(name, patience=0)
        data.require_codes(users, items)
        require_memory(
            f"Training {name} with {users:,} users, {items:,} items and {settings.embedding_size:,} factors",
            settings.bytes_needed(len(data.train), users, items),
        )
        self.name, self.data, self.settings, self.seed = name, data, settings, seed
        self.mean = data.mean
        user, item, rating = data.columns(data.train)
        deviation = rating - np.float32(self.mean)
        biases = fit_biases(user, item, deviation, users, items, (DAMPING,))[0]
        of_users, of_items = (bias.astype(np.float32) for bias in biases)
        self.halves: Halves = tuple(  # type: ignore[assignment]
            Half(side, side.scale, *self._weights(which, side.bias))
            for which, side in enumerate(sides_of(user, item, deviation, (of_users, of_items)))
        )
        count = len(user)
        tables = (settings.l2_histories / count, settings.l2_rating_histories / count)
        self.penalties = Penalties(
            settings.l2_factors / count, settings.l2_biases / count, tables, settings.l2_kernels / count
        )
        self.losses: list[float] = []
        self.validation = EarlyStopping(patience=0)

    def _weights(self, which: int, bias: Floats) -> tuple[SideWeights, SideWeights, SideWeights]:
        """The initial weights of a side, and their moments."""
        settings, rows, size, width = self.settings, len(bias), self.settings.embedding_size, self.settings.width
        reads = settings.histories in ("both", SIDES[which])
        is_read = settings.histories in ("both", SIDES[1 - which])
        layers, parts = settings.layers * reads, (1 + settings.rating_histories) * is_read
        random = np.random.default_rng(derive_seed(self.seed, SIDES[which], "initial"))

        def normal(sd: float, *shape: int) -> Floats:
            return random.standard_normal(shape, np.float32) * np.float32(sd)

        weights = SideWeights(
            own=normal(OWN_SD, rows, size),
            bias=bias.copy(),
            tables=normal(TABLE_SD, rows, parts, size),
            kernels=normal(size**-0.5, layers, size, width),
            shifts=np.zeros((layers, width), np.float32),
            backs=normal(BACK_SD * width**-0.5, layers, width, size),
        )
        first, second = (SideWeights(*map(np.zeros_like, weights)) for _ in range(2))
        return weights, first, second

    def run(self, progress: Progress, folder: Path | None) -> Fit:
        epochs, teller = self.settings.epochs, ProgressReporter(progress, self.settings.epochs, len(self.data.train))
        keeper = Keeper(folder, self._mark)
        if keeper.found:
            self._restore(keeper.found)
            teller.continued(self.name, keeper.found.epoch)
        while len(self.losses) < epochs:
            epoch = len(self.losses) + 1
            self.losses.append(self._train_epoch(epoch, teller))
            val_loss = self._validate() if len(self.data.validation) else None
            if val_loss is not None:
                require_finite_loss(self.name, val_loss, epoch, self.settings.learning_rate)
                self.validation.better(val_loss)
            teller.epoch(epoch, self.losses[-1], val_loss)
            keeper.keep(self._checkpoint)
        teller.finished(epochs, self.losses[-1])
        weights = [part for half in self.halves for part in half.weights]
        require_finite_weights(self.name, weights, epochs, self.settings.learning_rate)
        keeper.clear()
        return Fit(
            loss=self.losses,
            val_loss=self.validation.losses,
            best_epoch=self.validation.best_epoch,
            scored_epoch=epochs,
            stopped_early=False,
            seconds=keeper.seconds,
            engine="histories",
            device="CPU",
        )

    def _train_epoch(self, epoch: int, teller: ProgressReporter) -> float:
        """Take a step with each batch; return the mean squared error before it."""
        settings, batches = self.settings, self.settings.batches
        dealt = self._deal(epoch)
        sizes = np.bincount(dealt[0], minlength=batches)
        squares, seen = 0.0, 0
        for batch in range(batches):
            step = (epoch - 1) * batches + batch + 1
            random = np.random.default_rng(derive_seed(self.seed, "dropout", str(step)))
            alpha = self._rate(step) * math.sqrt(1 - float(BETA_2) ** step) / (1 - float(BETA_1) ** step)
            squares += take_step(self.halves, dealt, batch, settings.dropout, random, self.penalties, alpha)
            seen += int(sizes[batch])
            if seen:
                require_finite_loss(self.name, squares / seen, epoch, settings.learning_rate)
                teller.chunk(epoch, seen, squares / seen)
        return squares / seen

    def _deal(self, epoch: int) -> tuple[Batches, Batches]:
        """The batch of each rating in an epoch, in the order of each side."""
        random = np.random.default_rng(derive_seed(self.seed, "batches", str(epoch)))
        of_users, of_items = (random.integers(2**64, size=half.side.rows, dtype=np.uint64) for half in self.halves)
        users, items = (half.side for half in self.halves)
        batches = self.settings.batches
        return deal(users, of_users, of_items, batches), deal(items, of_items, of_users, batches)

    def _rate(self, step: int) -> float:
        """The learning rate of a step, from 1."""
        steps = self.settings.epochs * self.settings.batches
        warm = max(1, round(WARM_UP * steps))
        if step <= warm:
            return self.settings.learning_rate * step / warm
        return self.settings.learning_rate * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2

    def factors(self) -> Factors:
        """Vectors and biases in inference, with whole histories; 0 without training ratings."""
        vectors = [
            vectors_of(
                self.halves, which, np.arange(half.side.rows), np.zeros(len(half.side.other), np.uint8), NO_BATCH
            )
            for which, half in enumerate(self.halves)
        ]
        user_bias, item_bias = (np.where(half.scale > 0, half.weights.bias, 0) for half in self.halves)
        return Factors(vectors[0], vectors[1], user_bias, item_bias, self.mean)

    def predictor(self) -> FittedFactors:
        learnt = sum(part.size for half in self.halves for part in half.weights)
        return FittedFactors(self.factors(), self.name, learnt)

    def _validate(self) -> float:
        """The mean squared error over the validation ratings."""
        found, rows = self.factors(), self.data.validation
        squares = 0.0
        for start in range(0, len(rows), 1 << 16):
            chunk = rows[start : start + (1 << 16)]
            user, item = self.data.user[chunk], self.data.item[chunk]
            dot = np.einsum("nk,nk->n", found.user[user], found.item[item])
            error = found.mean + found.user_bias[user] + found.item_bias[item] + dot - self.data.rating[chunk]
            squares += float(np.square(error, dtype=np.float64).sum())
        return squares / len(rows)

    def _state(self) -> dict[str, Floats]:
        """Weights and moments by name."""
        return {
            f"{side}-{kind}-{name}": part
            for side, half in zip(SIDES, self.halves, strict=True)
            for kind in ("weights", "first", "second")
            for name, part in getattr(half, kind)._asdict().items()
        }

    def _checkpoint(self, seconds: float) -> Checkpoint:
        return Checkpoint(len(self.losses), self.losses, self.validation.losses, seconds, self._state())

    def _restore(self, found: Checkpoint) -> None:
        self.losses, self.validation.losses = list(found.loss), list(found.val_loss)
        for name, part in self._state().items():
            part[...] = found.arrays[name]

    def _mark(self) -> str:
        facts = {
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "versions": {library: version(library) for library in ("numba", "numpy")},
        }
        return fingerprint(facts, [getattr(self.data, field.name) for field in fields(self.data)])
