"""How long work tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called by long work now and then; whoever passes it in decides where it is shown."""

    def __call__(self, done: float, total: float | None, text: str) -> None:
        """Say that `done` of `total` is finished.

        Args:
            done: units finished so far (bytes, rows, epochs).
            total: units in all, None where it is not known.
            text: a few words for a person, such as "epoch 3/10 · loss 0.871".
        """


def silent(done: float, total: float | None, text: str) -> None:
    """The progress of a caller who does not want to know."""
