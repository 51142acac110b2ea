"""What happens between epochs: early stopping, divergence and progress."""

import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recsys.backend import keras
from recsys.errors import BadSettings, TrainingDiverged
from recsys.progress import Progress


@dataclass
class EarlyStopping:
    """Keras's `EarlyStopping(monitor="val_loss", patience=…, restore_best_weights=True)`.

    As there, an epoch is better only if its loss is strictly lower than every one before, and the
    best weights are restored whether or not the training ended early. Patience 0 means that there
    is no early stopping at all: the last weights stay. `losses` are the validation losses so far.
    """

    patience: int
    losses: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch (1-based) of the lowest loss; None without losses."""
        return min(range(len(self.losses)), key=self.losses.__getitem__) + 1 if self.losses else None

    def scored_epoch(self, epochs: int) -> int:
        """The epoch whose weights count, of so many that were run."""
        return (self.patience and self.best_epoch) or epochs

    def better(self, loss: float) -> bool:
        """Note an epoch's loss; return whether it is the best so far."""
        best = min(self.losses, default=math.inf)
        self.losses.append(loss)
        return loss < best

    def exhausted(self) -> bool:
        """Return whether training should stop."""
        best = self.best_epoch
        return bool(self.patience) and best is not None and len(self.losses) - best >= self.patience


def require_float32(model: keras.Model) -> None:
    """Check that a model computes in single precision, as the comparison's numbers are meant.

    Raises:
        BadSettings: one of its layers does not, as where Keras was set to another precision.
    """
    for layer in model.layers:
        policy = layer.dtype_policy.name
        if policy != "float32" and not isinstance(layer, keras.layers.InputLayer):
            raise BadSettings(
                f"{model.name}: layer {layer.name} ({type(layer).__name__}) computes in {policy}, not in float32; set "
                "Keras to float32 (keras.config.set_floatx, keras.config.set_dtype_policy, or its keras.json)."
            )


def require_finite_loss(model: str, loss: float, epoch: int, learning_rate: float) -> None:
    """Raise `TrainingDiverged` where a loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise _diverged(model, f"the loss became {loss}", epoch, learning_rate)


def require_finite_weights(
    model: str, weights: Iterable[npt.NDArray[np.floating]], epoch: int, learning_rate: float
) -> None:
    """Raise `TrainingDiverged` where a weight is NaN or infinite at the end: no loss measures the last step."""
    if not all(np.isfinite(array).all() for array in weights):
        raise _diverged(model, "weights became NaN or infinite", epoch, learning_rate)


def _diverged(model: str, what: str, epoch: int, learning_rate: float) -> TrainingDiverged:
    return TrainingDiverged(
        f"{model}: {what} in epoch {epoch} at learning rate {learning_rate:g}; "
        "try a smaller learning rate or a larger batch."
    )


SECONDS_BETWEEN = 1.0

log = logging.getLogger(__name__)


class ProgressReporter:
    """Turns epochs and chunks into words, at most one message a second; `rows` are the ratings that an epoch visits."""

    def __init__(self, progress: Progress, epochs: int, rows: int) -> None:  # noqa: D107
        self._progress, self._epochs, self._rows = progress, epochs, rows
        self._last = -math.inf
        self._begun = 0.0
        self._done = self._done_before = 0.0
        self._val_loss: float | None = None
        self._history: list[str] = []

    def continued(self, model: str, epoch: int) -> None:
        """Tell that the training of a model was interrupted, and that this epoch is the last that was kept."""
        log.info("%s: the training was interrupted and continues after epoch %d/%d", model, epoch, self._epochs)
        self._history.append(f"continued after epoch {epoch}")

    def chunk(self, epoch: int, rows: int, loss: float) -> None:
        """Tell that `rows` ratings of an epoch have been visited, with this mean squared error."""
        self._tell(epoch, epoch - 1 + rows / self._rows, loss)

    def epoch(self, epoch: int, loss: float, val_loss: float | None) -> None:
        """Tell that an epoch is finished."""
        self._val_loss = val_loss
        self._tell(epoch, epoch, loss)

    def finished(self, epoch: int, loss: float) -> None:
        """Tell that the training is finished, with its last epoch; this is always told."""
        self._tell(epoch, self._epochs, loss, anyway=True)

    def _tell(self, epoch: int, done: float, loss: float, anyway: bool = False) -> None:
        now = time.perf_counter()
        self._done = done
        if not self._begun:  # what came before the first message was mostly compilation
            self._begun, self._done_before = now, done
        if now - self._last < SECONDS_BETWEEN and not anyway:
            return
        self._last = now
        words = [f"epoch {epoch}/{self._epochs}", f"loss {loss:.5g}"]
        if self._val_loss is not None:
            words.append(f"val {self._val_loss:.5g}")
        pace = (done - self._done_before) / max(now - self._begun, 1e-9)
        if pace > 0 and done < self._epochs:
            words += [f"{pace * self._rows:,.0f} ratings/s", f"{(self._epochs - done) / pace:.0f} s left"]
        self._progress(done, self._epochs, " · ".join([*words, *self._history]))
