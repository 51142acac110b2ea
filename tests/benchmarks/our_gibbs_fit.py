"""One fit of our Gibbs sampler without side information and with one noise, as `peer_fit` has one of myFM.

python -m tests.benchmarks.our_gibbs_fit rows.npz 100
"""

import json
import sys

import numpy as np

from recsys.models.settings import BayesMFSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_model

FACTORS = 32


def main(path: str, sweeps: str) -> None:
    """Fit and print one line of JSON."""
    rows = np.load(path)
    fitted, judged = ([rows[f"{part}_{name}"] for name in ("user", "item", "rating")] for part in ("t", "v"))
    user, item, rating = (np.concatenate(columns) for columns in zip(fitted, judged, strict=True))
    data = FitData(user, item, rating, np.arange(len(fitted[0])), np.arange(0))
    settings = BayesMFSettings(
        embedding_size=FACTORS, epochs=int(sweeps), burn_in=0.5, histories="none", user_noise=False, item_noise=False
    )
    sizes = int(user.max()) + 1, int(item.max()) + 1
    predictor, fit = fit_model(
        "bayes_mf", None, "recsys.training.gibbs.fit:fit", *sizes, data, settings, 1, standardised=True
    )
    predicted = np.clip(predictor.predict(*judged[:2]), fitted[2].min(), fitted[2].max())
    print(json.dumps({"seconds": fit.seconds, "rmse": float(np.sqrt(np.mean((predicted - judged[2]) ** 2)))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
