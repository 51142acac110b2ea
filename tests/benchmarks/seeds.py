"""How much the notebook's test MSE depends on the seed of the first weights and of the order."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data.encoding import encode
from recsys.data.reading import ingest
from recsys.data.splitting import split
from recsys.models.dnn import build_dnn
from recsys.models.mf import build_mf
from recsys.settings import DataSettings, Settings, SplitSettings
from recsys.training.fit import FitData
from recsys.training.train import train

SEEDS = range(10)


def spread_of_seeds(ratings: Path) -> dict[str, tuple[float, float]]:
    """Return mean and sd of each model's test MSE in protocol `notebook`, on the first 100,000 ratings."""
    settings = Settings()
    models: dict[str, tuple[Callable[..., Any], Any]] = {
        "mf": (build_mf, settings.mf),
        "dnn": (build_dnn, settings.dnn),
        "dnn_tuned": (build_dnn, settings.dnn_tuned),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ingest(ratings, DataSettings(max_rows=100_000), folder)
        codes = encode(folder / "ratings.parquet", None, "keep", folder)
        split(codes["rows"], SplitSettings(), "notebook", folder)
        data = FitData.load({name: folder / f"{name}.npy" for name in FitData.__annotations__})
        found = {}
        for name, (build, how) in models.items():
            errors = []
            for seed in SEEDS:
                fit = train(build(codes["users"], codes["items"], how, 1000 + seed), data, how, seed)
                errors.append(fit.val_loss[fit.scored_epoch - 1])
            found[name] = float(np.mean(errors)), float(np.std(errors, ddof=1))
    return found
