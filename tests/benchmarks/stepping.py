"""What a training step costs, without compilation."""

import numpy as np

from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.settings import DNNSettings, Engine, MFSettings
from recsys.training.fit import FitData
from recsys.training.train import train


def step_milliseconds(model: str, users: int, items: int, engine: Engine, steps: int, batch: int = 64) -> float:
    """Return the time of one step, over two epochs of `steps` steps.

    Args:
        model: `mf` or `dnn`, with the notebook's sizes.
        users: rows of the user table.
        items: rows of the item table.
        engine: what trains.
        steps: steps an epoch; at the end of ours all rows catch up, which many steps make light of.
        batch: ratings in a step.
    """
    random = np.random.default_rng(0)
    rows = steps * batch
    data = FitData(
        random.integers(users, size=rows + 64).astype(np.int32),
        random.integers(items, size=rows + 64).astype(np.int32),
        random.integers(1, 6, size=rows + 64).astype(np.float32),
        np.arange(rows),
        np.arange(rows, rows + 64),
    )

    def seconds(epochs: int) -> float:
        if model == "mf":
            mf = MFSettings(epochs=epochs, batch_size=batch)
            return train(build_mf(users, items, mf, 1), data, mf, 1, engine=engine).seconds
        dnn = DNNSettings(epochs=epochs, batch_size=batch)
        return train(build_dnn(users, items, dnn, 1), data, dnn, 1, engine=engine).seconds

    seconds(1)  # compiles
    return 1000 * (seconds(3) - seconds(1)) / (2 * steps)
