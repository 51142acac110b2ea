"""When to stop, and whose weights to keep."""

import math
from dataclasses import dataclass, field


@dataclass
class EarlyStopping:
    """Keras's `EarlyStopping(monitor="val_loss", patience=…, restore_best_weights=True)`.

    As there, an epoch is better only if its loss is strictly lower than every one before, and the
    best weights are restored whether or not the training ended early. Patience 0 means that there
    is no early stopping at all: the last weights stay.

    Attributes:
        patience: epochs without a better loss after which training stops; 0 never.
        losses: validation losses so far.
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
        return (
            bool(self.patience) and self.best_epoch is not None and len(self.losses) - self.best_epoch >= self.patience
        )
