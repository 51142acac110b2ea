"""One fit of our regularised matrix factorisation, as `peer_fit` has one of a peer: compilation included.

python -m tests.benchmarks.our_fit rows.npz 20 --batch 256
"""

import argparse
import json

import numpy as np

from recsys.models.biased_mf import build_biased_mf
from recsys.settings import BiasedMFSettings
from recsys.training.fit import FitData
from recsys.training.train import train


def main() -> None:
    """Fit and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("epochs", type=int)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--l2", type=float, default=0.15)
    arguments = parser.parse_args()
    rows = np.load(arguments.rows)
    fitted, judged = ([rows[f"{part}_{name}"] for name in ("user", "item", "rating")] for part in ("t", "v"))
    user, item, rating = (np.concatenate(columns) for columns in zip(fitted, judged, strict=True))
    numbers = np.arange(len(rating))
    data = FitData(user, item, rating, numbers[: len(fitted[0])], numbers[len(fitted[0]) :])
    settings = BiasedMFSettings(
        epochs=arguments.epochs,
        batch_size=arguments.batch,
        learning_rate=arguments.rate,
        l2_factors=arguments.l2,
        patience=0,
    )
    mean = float(fitted[2].mean())
    model = build_biased_mf(int(user.max()) + 1, int(item.max()) + 1, settings, 1, mean)
    fit = train(model, data, settings, 1)
    predicted = model.predict([judged[0][:, None], judged[1][:, None]], batch_size=8192, verbose=0)[:, 0]
    predicted = np.clip(predicted, fitted[2].min(), fitted[2].max())
    print(json.dumps({"seconds": fit.seconds, "rmse": float(np.sqrt(np.mean((predicted - judged[2]) ** 2)))}))


if __name__ == "__main__":
    main()
