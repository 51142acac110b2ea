"""How much the notebook's test MSE depends on the seed of the first weights and of the order."""

import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.our_notebook import Prepared, notebook_models

SEEDS = range(10)


def spread_of_seeds(ratings: Path) -> dict[str, tuple[float, float]]:
    """Return mean and sd of each model's test MSE in protocol `notebook`, on the first 100,000 ratings."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        prepared = Prepared.of(ratings, Path(place))
        for name, model in notebook_models().items():
            fits = [prepared.fit(model, 1000 + seed, seed)[1] for seed in SEEDS]
            errors = [fit.val_loss[fit.scored_epoch - 1] for fit in fits]
            found[name] = float(np.mean(errors)), float(np.std(errors, ddof=1))
    return found
