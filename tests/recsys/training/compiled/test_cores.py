"""What a training computes does not depend on how many cores there are."""

import os
import subprocess
import sys
from typing import Any, TypeAlias

import pytest

from flows.runners import WIDEST
from recsys.models.specs import MODEL

TRAIN = """
import hashlib
import numpy as np
from recsys.models.mlp import build_dnn
from recsys.settings import DNNSettings
from recsys.training.compiled.engine import train_compiled
from recsys.training.fit import FitData

random = np.random.default_rng(0)
user, item = (random.integers(top, size=9_000).astype(np.int32) for top in (300, 2_000))
rating = random.integers(1, 6, size=9_000).astype(np.float32)
data = FitData(user, item, rating, np.arange(8_192), np.arange(8_192, 9_000))
for batch, units in NETWORKS:
    settings = DNNSettings(epochs=2, batch_size=batch, units=units)
    model = build_dnn(300, 2_000, settings, 1)
    train_compiled(model, data, settings, 1)
    predicted = model.predict_on_batch([user[:, None], item[:, None]])
    print(hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in (*model.weights, predicted))).hexdigest())
"""

Networks: TypeAlias = "list[tuple[int, tuple[int, ...]]]"


def digests(networks: Networks, begin: str = "", **environment: str) -> str:
    """Of the trained weights and predictions, in a process of its own; `networks` are batches and units."""
    command = [sys.executable, "-c", f"{begin}NETWORKS = {networks}\n{TRAIN}"]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_networks_have_the_same_bits_in_any_number_of_threads() -> None:
    networks: Networks = [(64, (128, 128)), (500, (WIDEST, WIDEST))]
    one, three = (digests(networks, TF_NUM_INTRAOP_THREADS=threads) for threads in ("1", "3"))
    assert one == three
    assert len(set(one.split())) == len(networks)


def test_no_layer_that_the_search_tries_is_wider() -> None:
    space: Any = MODEL["dnn_tuned"].space
    widths = [width for units in space.fields["units"].values for width in units]
    assert max(*widths, *(2 * size for size in space.fields["embedding_size"].values)) <= WIDEST


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process on one core")
def test_one_core_gives_the_bits_of_all_cores(capsys: pytest.CaptureFixture[str]) -> None:
    one = f"import os\nos.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    networks: Networks = [(4_096, (128, 128))]
    exec(TRAIN, {"NETWORKS": networks})
    assert capsys.readouterr().out == digests(networks, one)
