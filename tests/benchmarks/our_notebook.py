"""All that the notebook's script does, done with our library: what is measured against it.

    python -m tests.benchmarks.our_notebook ratings.csv

As in `notebook`, summaries, losses and evaluations are shown, and the last line is JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from recsys.data.encode import encode
from recsys.data.ingest import ingest
from recsys.data.split import split
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.mf import build_mf
from recsys.models.mlp import build_dnn
from recsys.seeding import derive_seed
from recsys.settings import DataSettings, EmbeddingSettings, Settings, SplitSettings
from recsys.training.fit import Fit, FitData
from recsys.training.train import train
from tests.benchmarks.notebook import show_losses

ROWS = 100_000


@dataclass(frozen=True)
class NotebookModel:
    """One of the notebook's three models: how it is built, and its settings."""

    build: Callable[..., Any]
    settings: EmbeddingSettings


def notebook_models() -> dict[str, NotebookModel]:
    """Return the notebook's models by name."""
    settings = Settings(protocol="notebook")
    return {
        "mf": NotebookModel(build_mf, settings.mf),
        "dnn": NotebookModel(build_dnn, settings.dnn),
        "dnn_tuned": NotebookModel(build_dnn, settings.dnn_tuned),
    }


@dataclass(frozen=True)
class Prepared:
    """The notebook's rows, encoded and split, with the numbers of users and of items."""

    rows: FitData
    users: int
    items: int

    @classmethod
    def of(cls, ratings: Path, folder: Path) -> "Prepared":
        """Read, encode and split `ratings` into `folder`; the test rows are the validation rows."""
        ingest(ratings, DataSettings(max_rows=ROWS), folder)
        codes = encode(folder / "ratings.parquet", None, "keep", folder)
        split(codes["rows"], SplitSettings(), "notebook", folder)
        rows = FitData.load({name: folder / f"{name}.npy" for name in FitData.__annotations__})
        return cls(rows, codes["users"], codes["items"])

    def fit(self, model: NotebookModel, first_weights: int, seed: int) -> tuple[Any, Fit]:
        """Train one model; return it and the course of its training."""
        built = model.build(self.users, self.items, model.settings, first_weights)
        return built, train(built, self.rows, model.settings, seed)

    def test_mse(self, model: Any) -> float:
        """Return the mean squared error on the test rows."""
        user, item, rating = (
            column[self.rows.validation] for column in (self.rows.user, self.rows.item, self.rows.rating)
        )
        return float(np.mean((KerasPredictor(model).predict(user, item) - rating) ** 2))


def main() -> None:
    """Prepare the data, train, show and evaluate the models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ratings", type=Path)
    arguments = parser.parse_args()
    matplotlib.use("agg")
    seed, models = Settings().seed, notebook_models()
    with tempfile.TemporaryDirectory() as place:
        prepared = Prepared.of(arguments.ratings, Path(place))
        start = time.perf_counter()
        with ThreadPoolExecutor(max_workers=2) as threads:
            fits = {
                name: threads.submit(prepared.fit, model, derive_seed(seed, name), derive_seed(seed, name, "shuffling"))
                for name, model in models.items()
            }
        seconds, errors = time.perf_counter() - start, {}
        for name, fitting in fits.items():
            model, fit = fitting.result()
            model.summary()
            errors[name] = prepared.test_mse(model)
            show_losses({"loss": fit.loss, "val_loss": fit.val_loss})
    print(json.dumps({"fit_seconds": seconds, "mse": errors}))


if __name__ == "__main__":
    main()
