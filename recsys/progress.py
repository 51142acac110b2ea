"""How long-running work reports its progress."""

from typing import Protocol


class Progress(Protocol):
    """Called by long-running work from time to time; the caller decides where it is shown."""

    def __call__(self, done: float, total: float | None, text: str) -> None:
        """Report that `done` of `total` is finished.

        Args:
            done: units finished so far (bytes, rows, epochs).
            total: units in all, None where it is not known.
            text: a few words for a person, such as "epoch 3/10 · loss 0.871".
        """


def silent(done: float, total: float | None, text: str) -> None:
    """Report nothing."""
