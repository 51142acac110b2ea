"""Benchmark: the gap between two models on all ratings, and what power laws through shares of up to 30% predicted.

    python -m tests.benchmarks.learning_curve [--rows 1000000] [--made 20]

Bayesian MF and AutoRec, one of each family, with their default settings, on made ratings, whose factors are as strong
as those of real ones: of factors that are equally strong, all or none can be learnt, and the errors follow no power
law. As in a report, the last point and all ratings are fitted with five seeds, the other shares with one. The laws are
followed to all ratings, 3.3 times those that they are drawn through.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
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
from tests.benchmarks.made_ratings import FALLING, write_ratings
from tests.benchmarks.measuring import report

MODELS: dict[str, FitSettings] = {"bayes_mf": BayesMFSettings(), "autorec": AutoRecSettings()}

KNOWN = 0.3
"""The share of the ratings that the prediction is made from."""

SHARES = (0.03, 0.06, 0.12, 0.21)
"""Those below it."""

SEEDS = range(42, 47)
RESAMPLES = 2000


def main(*options: str) -> None:
    """Fit both models to each share and print what was predicted and what came about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--made", type=int, default=20, help="seed of the ratings")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as place:
        measured(Path(place), given.rows, given.made)


def measured(folder: Path, rows: int, seed: int) -> None:
    """Make the ratings, fit, and report; `folder` is empty."""
    write_ratings(folder / "ratings.csv", rows, seed, FALLING)
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

    below = [fitted(ratings, share, sizes, folder / str(share))[0] for share in SHARES]
    known, whole = (fitted(ratings, share, sizes, folder / str(share), SEEDS) for share in (KNOWN, 1.0))
    of_known, of_whole = (
        {name: [one[name] for one in predicted] for name in MODELS}
        for predicted in ([predictions_on(fit, ratings, how, test, sizes) for fit in fits] for fits in (known, whole))
    )
    winners: dict[Family, Winner] = {MODEL[name].family: Winner(name, of_known[name]) for name in MODELS}
    part = replace(ratings, train=known[0].train, validation=known[0].validation)
    curve = learning_curve(below, winners, part, how, test, sizes, resamples=RESAMPLES, seed=SEEDS[0], times=1 / KNOWN)
    assert curve is not None
    assert curve.outlook is not None
    [found] = compare_pairs(
        user,
        rating,
        of_whole,
        [("autorec", "bayes_mf")],
        smallest_effect=0.0,
        resamples=RESAMPLES,
        seed=SEEDS[0],
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
    mse = {
        name: float(np.mean([(one - rating.astype(np.float64)) ** 2 for one in predicted]))
        for name, predicted in of_whole.items()
    }
    table.append({"ratings": len(ratings.train) + len(ratings.validation), **mse, "gap": found.mse_difference})
    report(
        "learning_curve",
        table,
        predicted_gap=f"{gap.value:.5f} ({gap.low:.5f} to {gap.high:.5f})",
        gap=f"{found.mse_difference:.5f} ({found.low:.5f} to {found.high:.5f})",
        prediction_in_the_interval_of_the_gap=found.low <= gap.value <= found.high,
        gap_in_the_interval_of_the_prediction=gap.low <= found.mse_difference <= gap.high,
        seconds_of_training=sum(one.seconds for one in (*below, *known, *whole)),
    )


def fitted(
    ratings: Ratings, share: float, sizes: tuple[int, int], folder: Path, seeds: Sequence[int] = SEEDS[:1]
) -> list[ShareFits]:
    """Fit both models to a share of the ratings, with each seed as often as the first has found best."""
    folder.mkdir()
    subsample(ratings.train, ratings.validation, share, SEEDS[0], folder)
    train, validation = (np.load(folder / f"{name}.npy") for name in ("train", "validation"))
    data = FitData(ratings.user, ratings.item, ratings.rating, train, validation)
    chosen, found = dict(MODELS), []
    for seed in seeds:
        fits, start = {}, time.perf_counter()
        for name, settings in MODELS.items():
            spec = MODEL[name]
            fit_it = partial(fit_model, name, spec.build, spec.fit, *sizes, seed=seed, standardised=spec.standardised)
            if spec.chooses_epochs and seed == seeds[0]:
                _, course = fit_it(data=data, settings=settings)
                chosen[name] = settings.model_copy(update={"epochs": course.scored_epoch, "patience": 0})
            predictor, _ = fit_it(data=data.with_validation, settings=chosen[name])
            fits[name] = folder / str(seed) / name / spec.file
            fits[name].parent.mkdir(parents=True)
            predictor.save(fits[name])
        found.append(ShareFits(share, train, validation, fits, time.perf_counter() - start))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
