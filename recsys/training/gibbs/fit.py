"""Fitting Bayesian matrix factorisation: the chain, its validation, its checkpoints and what it leaves."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.arrays import taken
from recsys.errors import TrainingDiverged
from recsys.memory import require_memory
from recsys.models.bayes_mf import COMPRESSED_RANK, DRAWS, BayesianFactors
from recsys.models.factor_model import factor_model
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.settings import BayesMFSettings
from recsys.progress import Progress
from recsys.training.callbacks import ProgressReporter
from recsys.training.checkpoint import Checkpoint, Keeper, fingerprint
from recsys.training.fit import Fit, FitData
from recsys.training.gibbs.posterior import Posterior
from recsys.training.gibbs.sampler import Sampler

NAME = "bayes_mf"

FLAT = 1e-3
"""The validation error has flattened where it fell by less than this, in variances of the ratings."""

CHECKED_ROWS = 20_000
"""Training ratings that the compression is checked on where there are no validation ratings."""

TINY = 1e-12
"""An MSE that is no rounding error."""


def fit(
    users: int,
    items: int,
    data: FitData,
    settings: BayesMFSettings,
    seed: int,
    progress: Progress,
    checkpoint: Path | None,
) -> tuple[BayesianFactors, Fit]:
    """Draw `settings.epochs` sweeps from the posterior of standardised training ratings; the draws' mean is the model.

    An epoch is a sweep. The validation loss is that of the mean of the draws so far, from `burn_in` on. It ends the
    chain early where it fell by less than FLAT within `settings.patience` sweeps.

    Raises:
        BadIds: a code is not of one of so many users and items.
        BadSettings: there are no training ratings, or `patience` without validation ratings.
        NotEnoughMemory: there is no room for the ratings and the parameters.
        TrainingDiverged: a draw is not finite.
    """
    data.require_rows(NAME, settings.patience)
    data.require_codes(users, items)
    require_memory(
        f"Sampling {settings.embedding_size} factors from {len(data.train):,} ratings",
        settings.bytes_needed(len(data.train), users, items),
    )
    chain = _Chain((users, items), data, settings, seed)
    return chain.run(ProgressReporter(progress, settings.epochs, len(data.train)), checkpoint)


@dataclass
class _Course:
    """The losses of a chain so far, and the sum of its draws' predictions of the checked rows."""

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    total: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class _Chain:
    """A chain under way."""

    def __init__(self, sizes: tuple[int, int], data: FitData, settings: BayesMFSettings, seed: int) -> None:
        self.data, self.settings, self.seed = data, settings, seed
        self.burnt = math.floor(settings.burn_in * settings.epochs)
        train, validates = data.train, len(data.validation) > 0
        self.sampler = Sampler.begin(sizes, data.columns(train), settings, seed)
        self.checked = data.validation if validates else train[:CHECKED_ROWS]
        self.user, self.item, self.rating = data.columns(self.checked)
        self.validates = validates
        self.posterior = Posterior(self._drawn(settings.epochs), settings.embedding_size)
        self.course = _Course(total=np.zeros(len(self.checked)))

    def run(self, teller: ProgressReporter, folder: Path | None) -> tuple[BayesianFactors, Fit]:
        keeper = Keeper(folder, self._mark)
        if keeper.found:
            self._resume(keeper.found)
            teller.continued(NAME, keeper.found.epoch)
        while len(self.course.loss) < self.settings.epochs and not self._flat():
            val_loss = self._sweep()
            teller.epoch(len(self.course.loss), self.course.loss[-1], val_loss)
            keeper.keep(self._checkpoint)
        sweeps = len(self.course.loss)
        teller.finished(sweeps, self.course.loss[-1])
        predictor = self._predictor()
        keeper.clear()
        losses = self.course.val_loss
        return predictor, Fit(
            loss=self.course.loss,
            val_loss=losses,
            best_epoch=int(np.argmin(losses)) + 1 if losses else None,
            scored_epoch=sweeps,
            stopped_early=sweeps < self.settings.epochs,
            seconds=keeper.seconds,
            engine="gibbs",
            device="CPU",
        )

    def _sweep(self) -> float | None:
        sampler, course = self.sampler, self.course
        sampler.sweep()
        if not math.isfinite(sampler.loss):
            raise TrainingDiverged(f"{NAME}: sweep {sampler.sweeps} drew numbers that are not finite.")
        course.loss.append(sampler.loss)
        predicted: npt.NDArray[Any] = sampler.predict(self.user, self.item)
        if self._drawn(sampler.sweeps) > self.posterior.count:
            self.posterior.add(sampler)
            course.total += predicted
        if self.posterior.count:
            predicted = course.total / self.posterior.count
        if not self.validates:
            return None
        course.val_loss.append(float(np.mean((predicted - self.rating) ** 2, dtype=np.float64)))
        return course.val_loss[-1]

    def _drawn(self, sweeps: int) -> int:
        """How many draws count after so many sweeps."""
        return max(0, sweeps - self.burnt)

    def _flat(self) -> bool:
        """Whether the validation error of the mean has fallen too little for too long."""
        losses, patience = self.course.val_loss, self.settings.patience
        if not patience or len(losses) - self.burnt <= patience:
            return False
        return losses[-1 - patience] - losses[-1] < FLAT

    def _predictor(self) -> BayesianFactors:
        """Compress the mean of the draws, and measure what that loses."""
        mean = self.posterior.mean()
        compressed = self.posterior.mean(COMPRESSED_RANK)
        sampler = self.sampler
        numbers = sum(len(side.theta) for side in (sampler.users, sampler.items)) * sampler.users.size
        model = KerasPredictor(factor_model(compressed, NAME), numbers)
        found = BayesianFactors(mean, lambda: model, self.posterior.some(), "", numbers)
        whole, kept = (
            float(np.mean((one.predict(self.user, self.item) - self.rating) ** 2, dtype=np.float64))
            for one in (found, model)
        )
        rows = f"{len(self.user):,} {'validation' if self.validates else 'training'} ratings"
        about = (
            f"These are the {compressed.user.shape[1]} factors of most weight of the mean of {self.posterior.count:,} "
            f"draws: their MSE on {rows} is {kept / max(whole, TINY):.2%} of that of the mean itself ({DRAWS})."
        )
        return replace(found, about=about)

    def _mark(self) -> str:
        facts = {"settings": self.settings.model_dump(mode="json"), "seed": self.seed, "sizes": self._sizes}
        data = self.data
        return fingerprint(facts, [data.user, data.item, taken(data.rating, data.train), data.train, data.validation])

    @property
    def _sizes(self) -> list[int]:
        return [len(side.theta) for side in (self.sampler.users, self.sampler.items)]

    def _checkpoint(self, seconds: float) -> Checkpoint:
        sampler, posterior = self.sampler, self.posterior
        arrays = {"total": self.course.total, "alpha": np.array(sampler.alpha)}
        for name, side in (("users", sampler.users), ("items", sampler.items)):
            arrays |= {f"{name}_{field}": np.asarray(getattr(side, field)) for field in SIDE}
            if side.link is not None:
                arrays[f"{name}_link"] = side.link
        if posterior.biases is not None:
            arrays |= dict(zip(SUMS, (*posterior.biases, *posterior.factors), strict=True))
        arrays |= {f"kept_{name}": np.stack(kept) for name, kept in posterior.kept.items()}
        return Checkpoint(len(self.course.loss), self.course.loss, self.course.val_loss, seconds, arrays)

    def _resume(self, found: Checkpoint) -> None:
        sampler, posterior, arrays = self.sampler, self.posterior, found.arrays
        self.course = _Course(list(found.loss), list(found.val_loss), arrays["total"])
        sampler.sweeps, sampler.alpha, sampler.loss = found.epoch, float(arrays["alpha"]), found.loss[-1]
        for name, side in (("users", sampler.users), ("items", sampler.items)):
            for attribute in SIDE:
                value = arrays[f"{name}_{attribute}"]
                setattr(side, attribute, value if value.shape else float(value))
            side.link = arrays.get(f"{name}_link")
        posterior.count = self._drawn(found.epoch)
        if posterior.count:
            of_users, of_items, left, right = (arrays[name] for name in SUMS)
            posterior.biases, posterior.factors = (of_users, of_items), (left, right)
        for name in arrays:
            if name.startswith("kept_"):
                posterior.kept[name.removeprefix("kept_")] = list(arrays[name])


SIDE = ("theta", "noise", "mean", "precision", "offset", "ridge")
SUMS = ("user_biases", "item_biases", "left_factors", "right_factors")
