"""What a training says while it runs."""

import logging
import math
import time

from recsys.progress import Progress

SECONDS_BETWEEN = 1.0

log = logging.getLogger(__name__)


class Teller:
    """Turns epochs and chunks into words, at most one message a second.

    Args:
        progress: who is told.
        epochs: epochs of the training, at most.
        rows: ratings an epoch visits.
    """

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
