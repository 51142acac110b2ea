"""An interrupted training's last finished epoch, on disk.

A checkpoint is one folder, `epoch-00007`, in the folder of the training: `state.json` and `arrays.npz`.
It is written under a temporary name, flushed, and renamed, so that it is complete or absent; then the
one before is removed. Nothing in it is pickled.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import DamagedArtefact
from recsys.store.artifacts import verified, with_checksum

CHECKPOINT_SHARE = 0.05
"""Share of a training's time that its checkpoints may take: short epochs are not all kept, long ones are."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A training after its last finished `epoch` (from 1), with the losses of each epoch and the seconds so far.

    `arrays` are weights and moments, and the best weights.
    """

    epoch: int
    loss: list[float]
    val_loss: list[float]
    seconds: float
    arrays: Arrays


class Keeper:
    """Keeps the last finished epoch of a training in a folder, if there is one, and measures how long it has trained.

    `found` is what an interrupted training left there.
    """

    def __init__(self, folder: Path | None, mark: Callable[[], str], share: float | None = None) -> None:
        """Look into the folder of the training with the fingerprint `mark`; checkpoints take this share of the time."""
        self._folder, self._mark = folder, mark() if folder else ""
        self._share = CHECKPOINT_SHARE if share is None else share
        self.found = load(folder, self._mark) if folder else None
        self._begun = time.perf_counter() - (self.found.seconds if self.found else 0.0)
        self._saved, self._cost = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """How long the training has taken, before and after it was interrupted."""
        return time.perf_counter() - self._begun

    def keep(self, checkpoint: Callable[[float], Checkpoint]) -> None:
        """Write what `checkpoint` makes of the seconds so far, if that takes no more than its share of the time."""
        now = time.perf_counter()
        if self._folder and self._cost <= self._share * (now - self._saved):
            save(self._folder, self._mark, checkpoint(now - self._begun))
            self._saved = time.perf_counter()
            self._cost = self._saved - now

    def clear(self) -> None:
        """Remove the checkpoints of the training, which has ended."""
        if self._folder:
            clear(self._folder)


def fingerprint(facts: dict[str, Any], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """A digest of everything that a training's numbers depend on: JSON, and arrays that are read a piece at a time."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        flat = np.ascontiguousarray(array).reshape(-1)
        for start in range(0, flat.size, 1 << 22):
            digest.update(flat[start : start + (1 << 22)].data)
    return digest.hexdigest()


def save(folder: Path, mark: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into `folder`, made if missing, under the training's fingerprint; remove older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / f"epoch-{checkpoint.epoch:05}"
    partial = folder / f".{complete.name}-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    state = {name: value for name, value in vars(checkpoint).items() if name != "arrays"}
    with open(partial / "arrays.npz", "wb") as file:
        np.savez(file, allow_pickle=False, **checkpoint.arrays)
        os.fsync(file.fileno())
    with open(partial / "state.json", "wb") as file:
        file.write(with_checksum({"fingerprint": mark, **state}))
        file.flush()
        os.fsync(file.fileno())
    older = [path for path in _parts(folder) if path != partial]
    shutil.rmtree(complete, ignore_errors=True)
    partial.rename(complete)
    for path in older:
        shutil.rmtree(path, ignore_errors=True)


def load(folder: Path, mark: str) -> Checkpoint | None:
    """The newest checkpoint of the training with this fingerprint; None if there is none that can be read."""
    for path in sorted(folder.glob("epoch-*"), reverse=True):
        try:
            state = verified((path / "state.json").read_bytes(), path)
            if state.pop("fingerprint") != mark:
                continue
            with np.load(path / "arrays.npz", allow_pickle=False) as arrays:
                return Checkpoint(**state, arrays={name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, DamagedArtefact):
            continue  # cut or damaged: train again
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished training, and the folder if nothing else is in it."""
    for path in _parts(folder):
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _parts(folder: Path) -> list[Path]:
    return [*folder.glob("epoch-*"), *folder.glob(".epoch-*")]
