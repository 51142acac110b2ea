"""What a training step costs, without compilation, and what reading and writing its rows costs at least."""

import time

import numpy as np
import numpy.typing as npt

from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.settings import DNNSettings, Engine, MFSettings
from recsys.training.fit import FitData
from recsys.training.gibbs.kernels import compiled
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


def copied_ratings_a_second(users: int, items: int, batch: int, ratings: int) -> float:
    """Return how many ratings a second could be trained if nothing were done but to copy their rows.

    The rows are those of `mf`: weights, moments and three numbers more. Those of a batch are copied to a buffer and
    back, in one thread.
    """
    random = np.random.default_rng(0)
    ids = [random.integers(rows, size=ratings // batch * batch).reshape(-1, batch) for rows in (users, items)]
    width = 3 * MFSettings().embedding_size + 3
    tables = [np.ones((rows, width), np.float32) for rows in (users, items)]
    _copy(tables[0], tables[1], ids[0][:1], ids[1][:1])  # compiles
    start = time.perf_counter()
    _copy(tables[0], tables[1], ids[0], ids[1])
    return ids[0].size / (time.perf_counter() - start)


Table = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@compiled
def _copy(users: Table, items: Table, user_ids: Codes, item_ids: Codes) -> None:
    batch, width = user_ids.shape[1], users.shape[1]
    rows = np.empty((2 * batch, width), np.float32)
    for step in range(len(user_ids)):
        for r in range(batch):
            user, item = user_ids[step, r], item_ids[step, r]
            for j in range(width):
                rows[r, j] = users[user, j]
            for j in range(width):
                rows[batch + r, j] = items[item, j]
        for r in range(batch):
            user, item = user_ids[step, r], item_ids[step, r]
            for j in range(width):
                users[user, j] = rows[r, j]
            for j in range(width):
                items[item, j] = rows[batch + r, j]
