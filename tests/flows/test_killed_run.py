"""A run that is killed, and the same run begun again."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from recsys.evaluation.results import Comparison, ModelResult
from recsys.settings import Settings
from recsys.store.artifacts import verified, with_checksum
from recsys.store.store import sha256_of
from tests.factories import write_ratings
from tests.interrupting import MANY_EPOCHS, checkpoint, config, long_settings

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0
"""Seconds in which the first run has to come to its first checkpoints."""

SPENT_BEFORE = 1e6
"""Seconds that the checkpoint is made to say were spent: a training that goes on from it counts them in."""


def killed_in_its_long_training(settings: Settings, place: Path, server: str) -> Path:
    """Begin a run, kill it, and return the checkpoint that it leaves."""
    run = subprocess.Popen(
        [sys.executable, "flows/compare.py", *config(settings, place / "run.yaml")],
        cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": server},
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + PATIENCE
    while not checkpoint(settings) and run.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    run.kill()
    run.wait()
    left = checkpoint(settings)
    assert left, "the run ended before it could be killed"
    return left


def models(settings: Settings) -> dict[str, str]:
    """Task -> digest of the model that it has made."""
    made = (Path(settings.output.store) / "models").glob("*/artefact.json")
    return {json.loads(path.read_text())["kind"]: sha256_of(path.with_name("model.keras")) for path in made}


def finished(settings: Settings) -> ModelResult:
    """Run to the end and return what became of the long training."""
    from flows.compare import compare

    comparison = Comparison.model_validate_json((Path(compare(settings)) / "comparison.json").read_bytes())
    return next(model for model in comparison.models if model.name == "mf")


def test_it_goes_on_from_the_last_kept_epoch_to_the_same_bits(prefect_server: str, tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    interrupted, undisturbed = (long_settings(ratings, tmp_path / name) for name in ("interrupted", "undisturbed"))
    left = killed_in_its_long_training(interrupted, tmp_path, prefect_server)
    assert "train_mf" not in models(interrupted)
    state = verified((left / "state.json").read_bytes(), left)
    assert state["epoch"] < MANY_EPOCHS
    (left / "state.json").write_bytes(with_checksum({**state, "seconds": SPENT_BEFORE}))

    continued, at_once = finished(interrupted), finished(undisturbed)
    assert continued.fit_seconds >= SPENT_BEFORE > at_once.fit_seconds
    assert continued.epochs == MANY_EPOCHS
    curves = [model.history.model_copy(update={"seconds": None}) for model in (continued, at_once)]
    assert curves[0] == curves[1]
    assert set(models(interrupted)) == {"train_mf", "train_dnn", "train_dnn_tuned"}
    assert models(interrupted) == models(undisturbed)
    assert not checkpoint(interrupted)
