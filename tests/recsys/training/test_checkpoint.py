import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys.backend import keras
from recsys.models.mlp import build_dnn
from recsys.models.neumf import build_deep
from recsys.seeding import epoch_order
from recsys.settings import DNNSettings, TunedDNNSettings
from recsys.training import checkpoint as checkpoints
from recsys.training.checkpoint import Checkpoint
from recsys.training.compiled.engine import train_compiled
from recsys.training.fit import Fit, FitData

SETTINGS = DNNSettings(
    embedding_size=4, units=(8,), dropout=0.2, epochs=6, patience=4, batch_size=16, learning_rate=0.05
)
SEED = 3

KILLED = """
import os, signal, sys
from pathlib import Path
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, sys.argv[2])
from recsys.training.compiled import engine
from test_checkpoint import run, some_ratings

shuffled = engine.epoch_order

def order(rows, seed, epoch):
    if epoch == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return shuffled(rows, seed, epoch)

engine.epoch_order = order
run(some_ratings(), Path(sys.argv[1]))
"""


def some_ratings(seed: int = 0) -> FitData:
    random = np.random.default_rng(seed)
    user, item = random.integers(9, size=300).astype(np.int32), random.integers(40, size=300).astype(np.int32)
    rating = (3 + random.normal(size=9)[user] + random.normal(size=300)).astype(np.float32)
    return FitData(user, item, rating, np.arange(250), np.arange(250, 300))


def run(data: FitData, folder: Path | None, seed: int = SEED, *, normalised: bool = False) -> tuple[keras.Model, Fit]:
    settings = TunedDNNSettings.model_validate({**SETTINGS.model_dump(), "batch_normalisation": normalised})
    model = build_deep(9, 40, settings, SEED, mean=3.0)
    return model, train_compiled(model, data, SETTINGS, seed, checkpoint=folder, checkpoint_share=math.inf)


def assert_same_bits(one: tuple[keras.Model, Fit], other: tuple[keras.Model, Fit]) -> None:
    assert (one[1].loss, one[1].val_loss, one[1].best_epoch) == (other[1].loss, other[1].val_loss, other[1].best_epoch)
    for a, b in zip(one[0].get_weights(), other[0].get_weights(), strict=True):
        assert np.array_equal(a, b)


def interrupted(data: FitData, folder: Path, epochs: int = 2, seed: int = SEED, *, normalised: bool = False) -> None:
    """Train and stop after some epochs, as an exception would."""
    kept: list[int] = []

    def save(*arguments: object) -> None:
        checkpoint_save(*arguments)  # type: ignore[arg-type]
        kept.append(1)
        if len(kept) == epochs:
            raise KeyboardInterrupt

    checkpoint_save = checkpoints.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(data, folder, seed, normalised=normalised)


def epochs_trained(data: FitData, folder: Path, seed: int = SEED) -> tuple[list[int], tuple[keras.Model, Fit]]:
    epochs: list[int] = []

    def noted(rows: int, seed: int, epoch: int) -> np.ndarray:
        epochs.append(epoch)
        return epoch_order(rows, seed, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.training.compiled.engine.epoch_order", noted)
        return epochs, run(data, folder, seed)


def test_a_killed_training_continues_after_its_last_epoch_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    """The killed process has one core, the one that continues has all."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "run"), str(Path(__file__).parent)])
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["epoch-00003"]
    data = some_ratings()
    epochs, continued = epochs_trained(data, tmp_path / "run")
    assert epochs[0] == 4
    assert_same_bits(continued, run(data, None))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", ["data", "seed"])
def test_a_checkpoint_of_another_training_is_ignored(tmp_path: Path, change: str) -> None:
    data = some_ratings()
    interrupted(some_ratings(1) if change == "data" else data, tmp_path, seed=4 if change == "seed" else SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00002"]
    epochs, fresh = epochs_trained(data, tmp_path)
    assert epochs[0] == 1
    assert_same_bits(fresh, run(data, None))


def test_moving_statistics_are_kept_too(tmp_path: Path) -> None:
    data = some_ratings()
    interrupted(data, tmp_path, normalised=True)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00002"]
    continued = run(data, tmp_path, normalised=True)
    assert_same_bits(continued, run(data, None, normalised=True))


@pytest.mark.parametrize("name", ["arrays.npz", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_checkpoint_is_ignored(tmp_path: Path, name: str, damage: str) -> None:
    arrays = {"state-0": np.arange(1000, dtype=np.float32)}
    checkpoints.save(tmp_path, "mark", Checkpoint(2, [1.0, 0.5], [1.1, 0.6], 3.5, arrays))
    assert checkpoints.load(tmp_path, "mark") is not None
    path = tmp_path / "epoch-00002" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    assert checkpoints.load(tmp_path, "mark") is None


def test_a_checkpoint_comes_back_as_it_was_and_replaces_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for epoch in (9, 10):
        arrays = {"state-0": np.random.default_rng(epoch).normal(size=(3, 2)).astype(np.float32)}
        checkpoints.save(tmp_path, "mark", Checkpoint(epoch, [0.1 + 0.2], [1 / 3], 1.5, arrays))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00010", "notes.txt"]
    found = checkpoints.load(tmp_path, "mark")
    assert found is not None
    assert (found.epoch, found.loss, found.val_loss, found.seconds) == (10, [0.1 + 0.2], [1 / 3], 1.5)
    assert np.array_equal(found.arrays["state-0"], arrays["state-0"])
    assert checkpoints.load(tmp_path, "other") is None
    checkpoints.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, "mark", Checkpoint(1, [1.0], [1.0], 1.0, {"state-0": np.zeros(2)}))
    planted = np.array([os.system], dtype=object)
    np.savez(tmp_path / "epoch-00001" / "arrays.npz", planted)
    assert checkpoints.load(tmp_path, "mark") is None
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoints.save(tmp_path, "mark", Checkpoint(1, [], [], 1.0, {"state-0": planted}))


@pytest.mark.parametrize(("share", "kept"), [(math.inf, [1, 2, 3, 4, 5, 6]), (0.0, [1])])
def test_checkpoints_take_no_more_than_their_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, kept: list[int]
) -> None:
    written: list[int] = []
    monkeypatch.setattr(checkpoints, "save", lambda folder, mark, checkpoint: written.append(checkpoint.epoch))
    settings = SETTINGS.model_copy(update={"patience": 0})
    model = build_dnn(9, 40, settings, SEED)
    train_compiled(model, some_ratings(), settings, SEED, checkpoint=tmp_path / "run", checkpoint_share=share)
    assert written == kept


def test_a_scheduled_training_with_a_checkpoint_ends_as_one_without(tmp_path: Path) -> None:
    data, rates = some_ratings(), np.geomspace(0.05, 0.01, 6 * 16)
    fits = []
    for folder in (tmp_path / "run", None):
        model = build_dnn(9, 40, SETTINGS, SEED)
        fits.append(train_compiled(model, data, SETTINGS, SEED, checkpoint=folder, schedule=rates))
    assert fits[0].val_loss == fits[1].val_loss
