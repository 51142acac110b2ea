"""One fit of ours, as `peer_fit` has one of a peer.

python -m tests.benchmarks.our_fit rows.npz als 20
"""

import json
import sys
import time
from pkgutil import resolve_name
from typing import Any

import numpy as np
from numba.core.registry import cpu_target

from recsys.models.settings import FitSettings
from recsys.models.specs import MODEL
from recsys.training.fit import FitData
from recsys.training.train import fit_model

PLAIN = {"embedding_size": 32, "burn_in": 0.5, "histories": "none", "user_noise": False, "item_noise": False}
"""The Gibbs sampler without side information and with one noise, as myFM has it."""

FITS: dict[str, tuple[str, dict[str, Any]]] = {
    "als": ("mf_tuned", {"solver": "als", "embedding_size": 50, "l2_factors": 0.09, "l2_biases": 0.05, "patience": 0}),
    "adam": ("mf_tuned", {"embedding_size": 50, "patience": 0}),
    "bayes_mf": ("bayes_mf", {}),
    "gibbs": ("bayes_mf", PLAIN),
}


def main(path: str, who: str, epochs: str) -> None:
    """Fit and print one line of JSON; the seconds are those of the fit without imports, as those of the peers are."""
    rows = np.load(path)
    fitted, judged = ([rows[f"{part}_{name}"] for name in ("user", "item", "rating")] for part in ("t", "v"))
    user, item, rating = (np.concatenate(columns) for columns in zip(fitted, judged, strict=True))
    name, changes = FITS[who]
    spec = MODEL[name]
    settings: FitSettings = spec.settings.model_validate({**changes, "epochs": int(epochs)})
    sizes = int(user.max()) + 1, int(item.max()) + 1
    data = FitData(user, item, rating, np.arange(len(fitted[0])), np.arange(0))
    if spec.fit:
        resolve_name(spec.fit)
    cpu_target.typing_context.refresh()  # imports what Numba needs, which it would do in its first call
    cpu_target.target_context.refresh()
    start = time.perf_counter()
    predictor, _ = fit_model(name, spec.build, spec.fit, *sizes, data, settings, 1, standardised=True)
    seconds = time.perf_counter() - start
    predicted = np.clip(predictor.predict(*judged[:2]), fitted[2].min(), fitted[2].max())
    print(json.dumps({"seconds": seconds, "rmse": float(np.sqrt(np.mean((predicted - judged[2]) ** 2)))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
