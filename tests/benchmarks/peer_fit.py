"""One fit of one peer, in an environment that has nothing but the peers.

    python peer_fit.py rows.npz surprise 20

Prints one line of JSON: seconds of the fit, the RMSE on the validation rows, clipped to the scale, and the process's
largest resident memory, in MB. An id
that the training rows do not have gets the peer's own answer, or the training mean where it has none.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FACTORS, RATE, PENALTY = 50, 0.005, 0.08

Rows = tuple[Any, Any, Any]
Predict = Callable[[Any, Any], Any]


def surprise(rows: Rows, epochs: int) -> tuple[float, Predict]:
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    frame = pd.DataFrame(dict(zip(("user", "item", "rating"), rows, strict=True)))
    scale = (float(rows[2].min()), float(rows[2].max()))
    data = Dataset.load_from_df(frame, Reader(rating_scale=scale)).build_full_trainset()
    model = SVD(n_factors=FACTORS, n_epochs=epochs, lr_all=RATE, reg_all=PENALTY, random_state=1)
    start = time.perf_counter()
    model.fit(data)
    seconds = time.perf_counter() - start
    return seconds, lambda user, item: [model.predict(u, i).est for u, i in zip(user, item, strict=True)]


def cornac(rows: Rows, epochs: int) -> tuple[float, Predict]:
    from cornac.data import Dataset
    from cornac.models import MF

    data = Dataset.from_uir(list(zip(*(column.tolist() for column in rows), strict=True)), seed=1)
    model = MF(k=FACTORS, max_iter=epochs, learning_rate=RATE, lambda_reg=PENALTY, use_bias=True, num_threads=2, seed=1)
    start = time.perf_counter()
    model.fit(data)
    seconds = time.perf_counter() - start

    def predict(user: Any, item: Any) -> Any:
        known = [(data.uid_map.get(u), data.iid_map.get(i)) for u, i in zip(user.tolist(), item.tolist(), strict=True)]
        return [model.global_mean if u is None or i is None else float(model.score(u, i)) for u, i in known]

    return seconds, predict


def lenskit(rows: Rows, epochs: int) -> tuple[float, Predict]:
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import ItemList, from_interactions_df

    frame = pd.DataFrame(dict(zip(("user_id", "item_id", "rating"), rows, strict=True)))
    data = from_interactions_df(frame)
    model = BiasedMFScorer(embedding_size=FACTORS, epochs=epochs)
    start = time.perf_counter()
    model.train(data)
    seconds = time.perf_counter() - start

    def predict(user: Any, item: Any) -> Any:
        predicted = np.full(len(user), np.nan)
        order = np.argsort(user, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(user[order])) + 1):
            scored = model(int(user[group[0]]), ItemList(item_ids=item[group]))
            predicted[group] = scored.scores()
        return np.where(np.isnan(predicted), rows[2].mean(), predicted)

    return seconds, predict


def myfm(rows: Rows, epochs: int) -> tuple[float, Predict]:
    from myfm import MyFMRegressor
    from scipy import sparse

    users, items = int(rows[0].max()) + 1, int(rows[1].max()) + 1

    def one_hot(user: Any, item: Any) -> Any:
        columns = [np.minimum(user, users), users + 1 + np.minimum(item, items)]
        ones = np.ones(2 * len(user))
        places = np.concatenate([np.arange(len(user))] * 2), np.concatenate(columns)
        return sparse.csr_matrix((ones, places), shape=(len(user), users + items + 2))

    model = MyFMRegressor(rank=32, random_seed=1)
    train = one_hot(rows[0], rows[1])
    start = time.perf_counter()
    model.fit(train, rows[2], n_iter=epochs, n_kept_samples=max(1, epochs // 2), group_shapes=[users + 1, items + 1])
    seconds = time.perf_counter() - start
    return seconds, lambda user, item: model.predict(one_hot(user, item))


def cmfrec(rows: Rows, epochs: int) -> tuple[float, Predict]:
    import pandas as pd
    from cmfrec import CMF

    frame = pd.DataFrame(dict(zip(("UserId", "ItemId", "Rating"), rows, strict=True)))
    model = CMF(k=FACTORS, lambda_=0.1, scale_lam=True, niter=epochs, precompute_for_predictions=False, verbose=False)
    start = time.perf_counter()
    model.fit(frame)
    seconds = time.perf_counter() - start

    def predict(user: Any, item: Any) -> Any:
        predicted = np.asarray(model.predict(user, item), float)
        return np.where(np.isnan(predicted), rows[2].mean(), predicted)

    return seconds, predict


PEERS = {"surprise": surprise, "lenskit": lenskit, "cornac": cornac, "myfm": myfm, "cmfrec": cmfrec}


def peak_memory() -> float:
    """The process's largest resident memory, in MB; what `getrusage` knows is inherited from the process before."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def main(path: str, peer: str, epochs: str) -> None:
    data = np.load(path)
    train, validation = (tuple(data[f"{part}_{name}"] for name in ("user", "item", "rating")) for part in ("t", "v"))
    seconds, predict = PEERS[peer](train, int(epochs))
    predicted = np.clip(np.asarray(predict(*validation[:2]), float), train[2].min(), train[2].max())
    found = {"seconds": seconds, "rmse": float(np.sqrt(np.mean((predicted - validation[2]) ** 2)))}
    print(json.dumps({**found, "peak_mb": peak_memory()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
