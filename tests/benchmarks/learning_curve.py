"""Benchmark: the gap between two models on all ratings, and what power laws through shares of up to 30% predicted.

    python -m tests.benchmarks.learning_curve [--rows 1000000]

Bayesian MF and AutoRec, one of each family, with their default settings and one seed, on made ratings. The laws are
followed to all ratings, 3.3 times those that they are drawn through.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from recsys.data.encode import encode
from recsys.data.ingest import ingest
from recsys.data.split import split
from recsys.data.subsample import subsample
from recsys.evaluation.inputs import Ratings, Tested
from recsys.evaluation.learning_curve import ShareFits, Winner, learning_curve, predictions_on
from recsys.evaluation.significance import compare_pairs
from recsys.models.settings import AutoRecSettings, BayesMFSettings, FitSettings
from recsys.models.specs import MODEL, Family
from recsys.settings import DataSettings, SplitSettings
from recsys.training.fit import FitData
from recsys.training.train import fit_model
from tests.benchmarks.made_ratings import write_ratings
from tests.benchmarks.measuring import report

MODELS: dict[str, FitSettings] = {"bayes_mf": BayesMFSettings(), "autorec": AutoRecSettings()}

KNOWN = 0.3
"""The share of the ratings that the prediction is made from."""

SHARES = (0.03, 0.06, 0.12, 0.21, KNOWN, 1.0)

SEED, RESAMPLES = 42, 2000


def main(*options: str) -> None:
    """Fit both models to each share and print what was predicted and what came about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(options).rows
    with tempfile.TemporaryDirectory() as place:
        measured(Path(place), rows)


def measured(folder: Path, rows: int) -> None:
    """Make the ratings, fit, and report; `folder` is empty."""
    write_ratings(folder / "ratings.csv", rows)
    ingest(folder / "ratings.csv", DataSettings(), folder)
    encode(folder / "ratings.parquet", None, "keep", folder)
    how = SplitSettings()
    split(rows, how, "fair", folder)
    arrays = {
        name: np.load(folder / f"{name}.npy") for name in ("user", "item", "rating", "train", "validation", "test")
    }
    ratings = Ratings(**arrays, users=folder / "users.parquet", items=folder / "items.parquet")
    sizes = pq.read_table(ratings.users).num_rows, pq.read_table(ratings.items).num_rows
    user, item, rating = ratings.columns(ratings.test)
    test = Tested(user, item, rating, np.zeros(len(user), bool))

    shares = {share: fitted(ratings, share, sizes, folder / str(share)) for share in SHARES}
    known, whole = (predictions_on(shares[share], ratings, how, test, sizes) for share in (KNOWN, 1.0))
    winners: dict[Family, Winner] = {
        "mf": Winner("bayes_mf", [known["bayes_mf"]]),
        "dnn": Winner("autorec", [known["autorec"]]),
    }
    part = replace(ratings, train=shares[KNOWN].train, validation=shares[KNOWN].validation)
    below = [one for share, one in shares.items() if share < KNOWN]
    curve = learning_curve(below, winners, part, how, test, sizes, resamples=RESAMPLES, seed=SEED, times=1 / KNOWN)
    assert curve is not None
    assert curve.outlook is not None
    [found] = compare_pairs(
        user,
        rating,
        {name: [predicted] for name, predicted in whole.items()},
        [("autorec", "bayes_mf")],
        smallest_effect=0.0,
        resamples=RESAMPLES,
        seed=SEED,
    )
    assert found.low is not None
    assert found.high is not None
    gap = curve.outlook.gap
    assert gap.low is not None
    assert gap.high is not None
    table = [
        {"ratings": one.ratings, "bayes_mf": one.mf.value, "autorec": one.dnn.value, "gap": one.gap.value}
        for one in curve.points
    ]
    mse = {name: float(np.mean((predicted - rating.astype(np.float64)) ** 2)) for name, predicted in whole.items()}
    table.append({"ratings": len(ratings.train) + len(ratings.validation), **mse, "gap": found.mse_difference})
    report(
        "learning_curve",
        table,
        predicted_gap=f"{gap.value:.5f} ({gap.low:.5f} to {gap.high:.5f})",
        gap=f"{found.mse_difference:.5f} ({found.low:.5f} to {found.high:.5f})",
        prediction_in_the_interval_of_the_gap=found.low <= gap.value <= found.high,
        gap_in_the_interval_of_the_prediction=gap.low <= found.mse_difference <= gap.high,
        seconds_of_training=sum(one.seconds for one in shares.values()),
    )


def fitted(ratings: Ratings, share: float, sizes: tuple[int, int], folder: Path) -> ShareFits:
    """Fit both models to a share of the ratings; `folder` does not exist."""
    folder.mkdir()
    subsample(ratings.train, ratings.validation, share, SEED, folder)
    train, validation = (np.load(folder / f"{name}.npy") for name in ("train", "validation"))
    data, fits, start = FitData(ratings.user, ratings.item, ratings.rating, train, validation), {}, time.perf_counter()
    for name, settings in MODELS.items():
        spec = MODEL[name]
        fit_it = partial(fit_model, name, spec.build, spec.fit, *sizes, seed=SEED, standardised=spec.standardised)
        chosen = settings
        if spec.chooses_epochs:
            _, course = fit_it(data=data, settings=settings)
            chosen = settings.model_copy(update={"epochs": course.scored_epoch, "patience": 0})
        predictor, _ = fit_it(data=data.with_validation, settings=chosen)
        fits[name] = folder / name / spec.file
        fits[name].parent.mkdir()
        predictor.save(fits[name])
    return ShareFits(share, train, validation, fits, time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
